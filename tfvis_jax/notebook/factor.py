"""Explore one factor in a notebook: `run.factor(30)`."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfvis_jax import description, levels, markup, saliency
from tfvis_jax.description import terms
from tfvis_jax.errors import InputError
from tfvis_jax.examples import contexts, passages, reading
from tfvis_jax.notebook import findings, html, panels

# Words on either side of one that fires a factor.
_AROUND = 8


class Importance(Mapping[int, float]):
    """Importance scores by layer: a mapping, shown as a curve."""

    def __init__(self, scores: Mapping[int, float], *, factor: int):
        """Initialises the mapping from the scores of a factor, by layer."""
        self._scores, self._factor = dict(scores), factor

    def __getitem__(self, layer: int) -> float:
        return self._scores[layer]

    def __iter__(self) -> Iterator[int]:
        return iter(self._scores)

    def __len__(self) -> int:
        return len(self._scores)

    @property
    def peak(self) -> int:
        """The layer with the largest score; the first one if several are equal."""
        return max(self._scores, key=self._scores.__getitem__)

    def __repr__(self) -> str:
        scores = ", ".join(f"{at}: {score:.3f}" for at, score in self.items())
        return f"Importance({{{scores}}})"

    def _repr_html_(self) -> str:
        return markup.curve(self._scores, factor=self._factor)


@dataclasses.dataclass(frozen=True)
class Factor:
    """One transformer factor of a run.

    Attributes:
      run: the run.
      number: index of the factor.
    """

    run: findings.Findings
    number: int

    @property
    def vector(self) -> np.ndarray:
        """The unit direction, [d_model]."""
        return self.run.trained.factors[self.number]

    @property
    def level(self) -> levels.Level:
        """The level, one of `levels.LEVELS`, with its probability and the reason."""
        return self.run.levels[self.number]

    @property
    def is_dead(self) -> bool:
        """True if the factor does not fire at any token of the corpus, at any layer."""
        return not np.any(self.run.examples.firing[:, self.number])

    def importance(self) -> Importance:
        """Returns the importance score of each layer."""
        curve = self.run.importance()[:, self.number].tolist()
        scores = dict(zip(self.run.trained.layers, curve, strict=True))
        return Importance(scores, factor=self.number)

    def examples(
        self, *, layer: int | None = None, n: int = 20, fold: str | None = None
    ) -> contexts.ExampleList:
        """Returns the top-activating examples at a layer, in their contexts.

        Args:
          layer: layer of the dictionary; the layer where the factor peaks if None.
          n: maximum number of examples.
          fold: If "text", show only the strongest token among windows of the same text;
            if "document", only the strongest of each document. `Example.folded` counts
            the stored examples that are left out.

        Raises:
          InputError: if there is no such layer, or if ``layer`` is None and the factor
            is dead.
        """
        _check_count(n)
        layer, index = self._layer(layer)
        # Folding needs all stored examples, since it is unknown how many are folded.
        stop = n if fold is None else None
        found = reading.strongest(self.run.examples, index, self.number, stop=stop)
        if fold is not None:
            found = reading.fold(found, self.run.windows, by=fold).take(slice(0, n))
        return contexts.in_context(self.run, found, factor=self.number, layer=layer)

    def words(self, *, layer: int | None = None, n: int = 8) -> list[str]:
        """Returns words that fire the factor at a layer; see `factor_words`.

        Args:
          layer: layer of the dictionary; the layer where the factor peaks if None.
          n: maximum number of words.

        Raises:
          InputError: if there is no such layer, or if ``layer`` is None and the factor
            is dead.
        """
        _check_count(n)
        _, index = self._layer(layer)
        return [word.text for word in self.run.words.at(index, self.number, n=n)]

    def random_examples(
        self, *, layer: int | None = None, n: int = 20
    ) -> contexts.ExampleList:
        """Returns a uniform sample of the tokens that fire the factor at a layer.

        Args:
          layer: layer of the dictionary; the layer where the factor peaks if None.
          n: maximum number of examples.
        """
        _check_count(n)
        layer, index = self._layer(layer)
        found = reading.drawn(self.run.examples, index, self.number, stop=n)
        return contexts.in_context(self.run, found, factor=self.number, layer=layer)

    def band_examples(
        self, band: tuple[float, float], *, layer: int | None = None, n: int = 20
    ) -> contexts.ExampleList:
        """Returns examples with α between two quantiles; see `reading.in_band`.

        Args:
          band: lower and upper quantile of α among the tokens that fire the factor at
            the layer, such as (0.5, 0.9).
          layer: layer of the dictionary; the layer where the factor peaks if None.
          n: maximum number of examples.
        """
        _check_count(n)
        layer, index = self._layer(layer)
        found = reading.in_band(self.run.examples, index, self.number, band=band, n=n)
        return contexts.in_context(self.run, found, factor=self.number, layer=layer)

    def show(self, *, layer: int | None = None, n: int = 5) -> panels.Panel:
        """Shows the factor: its curve, and contexts of its strongest, middling and
        random firings.

        The strongest ones alone make a factor look more of one mind than it is.

        Args:
          layer: layer of the contexts; the layer where the factor peaks if None.
          n: maximum number of contexts of each band.

        Raises:
          InputError: if there is no such layer, or if ``layer`` is None and the factor
            is dead.
        """
        _check_count(n)
        layer, index = self._layer(layer)
        run = self.run
        reader = passages.Passages(run.windows, run.examples)
        upper, middle = passages.BANDS
        found = {
            "Strongest": reader.strongest(index, self.number, n=n),
            "90–99 % of α": reader.in_band(index, self.number, band=upper, n=n),
            "50–90 % of α": reader.in_band(index, self.number, band=middle, n=n),
            "Random": reader.drawn(index, self.number, n=n),
        }
        return panels.factor(
            self.number,
            name=run.name(self.number) or f"factor {self.number}",
            level=self.level.name,
            reason=self.level.reason,
            importance=self.importance(),
            layer=layer,
            bands={
                heading: [
                    (
                        passage.activation,
                        *reader.around(passage, n=_AROUND),
                        reader.window(passage.window).document,
                    )
                    for passage in band
                ]
                for heading, band in found.items()
            },
            largest=float(run.examples.max_activation[:, self.number].max()),
        )

    def explain(
        self, *, layer: int | None = None, example: int = 1, **settings: Any
    ) -> saliency.Explanation:
        """Explains what makes the factor fire at one of its top-activating examples.

        Args:
          layer: layer of the dictionary; the layer where the factor peaks if None.
          example: rank of the example at the layer; 1 is the strongest.
          **settings: settings of `saliency.explain`, such as
            ``methods=("occlusion",)``.

        Raises:
          InputError: if there is no such layer or example, or if the factor is dead.
        """
        layer, _ = self._layer(layer)
        target = saliency.target_of_example(
            self.run, factor=self.number, layer=layer, rank=example
        )
        return self.run.explain_target(target, layer=layer, **settings)

    def describe(
        self, *, layer: int | None = None, tagger: terms.Tagger | None = None
    ) -> description.Description:
        """Describes the factor in words; see `description.describe`.

        Args:
          layer: layer from which the contexts are taken; the layer where the factor
            peaks if None.
          tagger: returns a part-of-speech tag for each word of a window.
        """
        layer, _ = self._layer(layer)
        run = self.run
        # First, because the word counts and the head below take long to compute.
        run.check_fires(self.number, layer=layer)
        return description.describe(
            run,
            self.number,
            layer=layer,
            level=self.level,
            label=self.label and self.label.at(layer),
            note=run.notes[self.number].note if self.number in run.notes else "",
            words=run.words,
            word_counts=run.word_counts,
            head=run.language_model_head,
            tagger=tagger,
        )

    @property
    def label(self) -> description.FactorLabel | None:
        """The user-supplied label that `tfvis labels` imported, or None."""
        return self.run.labels.get(self.number)

    def _repr_html_(self) -> str:
        importance, dead = self.importance(), self.is_dead
        return html.factor(
            self.number,
            level=self.level.name,
            reason=self.level.reason,
            importance=importance,
            examples="" if dead else self.examples(n=10).as_html(),
            is_dead=dead,
            label="" if self.label is None else str(self.label),
            words=() if dead else self.words(),
        )

    def _layer(self, layer: int | None) -> tuple[int, int]:
        """Returns the layer, by default that of the peak, and its index."""
        if layer is None:
            layer = self.run.peak_layer(self.number)
        self.run.check_layer(layer)
        return layer, self.run.trained.layers.index(layer)


def _check_count(n: int) -> None:
    if n < 0:
        raise InputError(f"Expected a non-negative number of examples, got {n}.")

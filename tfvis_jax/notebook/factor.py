"""One factor in a notebook: `run.factor(30)`."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from tfvis_jax import markup
from tfvis_jax.description import description, labels, terms
from tfvis_jax.errors import InputError
from tfvis_jax.examples import contexts, reading
from tfvis_jax.levels import rule
from tfvis_jax.notebook import findings, html
from tfvis_jax.saliency import example_target, explanation


class Importance(Mapping[int, float]):
    """Importance score of each layer, as a mapping and as a curve."""

    def __init__(self, scores: Mapping[int, float], *, factor: int):
        """Keeps the scores, by layer."""
        self._scores, self._factor = dict(scores), factor

    def __getitem__(self, layer: int) -> float:
        return self._scores[layer]

    def __iter__(self) -> Iterator[int]:
        return iter(self._scores)

    def __len__(self) -> int:
        return len(self._scores)

    @property
    def peak(self) -> int:
        """The layer of the largest score; of equal ones the first."""
        return max(self._scores, key=self._scores.__getitem__)

    def __repr__(self) -> str:
        scores = ", ".join(f"{at}: {score:.3f}" for at, score in self.items())
        return f"Importance({{{scores}}})"

    def _repr_html_(self) -> str:
        return markup.curve(self._scores, factor=self._factor)


@dataclasses.dataclass(frozen=True)
class Factor:
    """One transformer factor of a run."""

    run: findings.Findings
    number: int

    @property
    def vector(self) -> np.ndarray:
        """The unit direction, [d_model]."""
        return self.run.trained.factors[self.number]

    @property
    def level(self) -> rule.Level:
        """Low, mid, high or unclear, with the reason."""
        return self.run.levels[self.number]

    @property
    def is_dead(self) -> bool:
        """Whether it fires at no token of the corpus, at no layer."""
        return not np.any(self.run.examples.firing[:, self.number])

    def importance(self) -> Importance:
        """Returns the importance score of each layer."""
        curve = self.run.importance()[:, self.number].tolist()
        scores = dict(zip(self.run.trained.layers, curve, strict=True))
        return Importance(scores, factor=self.number)

    def examples(
        self, *, layer: int | None = None, n: int = 20, fold: str | None = None
    ) -> contexts.ExampleList:
        """Returns the strongest tokens of a layer in their contexts.

        Args:
          layer: one of the dictionary's; where the factor peaks if None.
          n: how many at most.
          fold: "text" shows one token of all windows of the same text, "document" one
            of each document: the strongest, with the number of stored ones left out.

        Raises:
          InputError: no such layer; without one, a factor that fires nowhere.
        """
        _check_count(n)
        layer, index = self._layer(layer)
        stop = n if fold is None else None
        found = reading.strongest(self.run.examples, index, self.number, stop=stop)
        if fold is not None:
            found = reading.fold(found, self.run.windows, by=fold).take(slice(0, n))
        return contexts.in_context(self.run, found, factor=self.number, layer=layer)

    def random_examples(
        self, *, layer: int | None = None, n: int = 20
    ) -> contexts.ExampleList:
        """Returns tokens drawn uniformly from all that fire the factor at a layer.

        Args:
          layer: one of the dictionary's; where the factor peaks if None.
          n: how many at most.
        """
        _check_count(n)
        layer, index = self._layer(layer)
        found = reading.drawn(self.run.examples, index, self.number, stop=n)
        return contexts.in_context(self.run, found, factor=self.number, layer=layer)

    def band_examples(
        self, band: tuple[float, float], *, layer: int | None = None, n: int = 20
    ) -> contexts.ExampleList:
        """Returns tokens between two quantiles of α; see `reading.in_band`.

        Args:
          band: such as (0.5, 0.9), of the tokens that fire the factor at the layer.
          layer: one of the dictionary's; where the factor peaks if None.
          n: how many at most.
        """
        _check_count(n)
        layer, index = self._layer(layer)
        found = reading.in_band(self.run.examples, index, self.number, band=band, n=n)
        return contexts.in_context(self.run, found, factor=self.number, layer=layer)

    def explain(
        self, *, layer: int | None = None, example: int = 1, **settings
    ) -> explanation.Explanation:
        """Returns what makes the factor fire at one of its strongest tokens.

        Args:
          layer: one of the dictionary's; where the factor peaks if None.
          example: 1 is the strongest token of the layer.
          **settings: of `explanation.explain`, such as ``methods=("occlusion",)``.

        Raises:
          InputError: no such layer or example, or a factor that fires nowhere.
        """
        layer, _ = self._layer(layer)
        target = example_target.of_example(
            self.run, factor=self.number, layer=layer, rank=example
        )
        return self.run.explain_target(target, layer=layer, **settings)

    def describe(
        self, *, layer: int | None = None, tagger: terms.Tagger | None = None
    ) -> description.Description:
        """Returns the factor in words; see `description.describe`.

        Args:
          layer: whose contexts are read; where the factor peaks if None.
          tagger: returns the part of speech of each word of a window.
        """
        layer, _ = self._layer(layer)
        run = self.run
        run.check_fires(self.number, layer=layer)
        return description.describe(
            run,
            self.number,
            layer=layer,
            level=self.level,
            label=self.label,
            word_counts=run.word_counts,
            head=run.masked_lm_head,
            tagger=tagger,
        )

    @property
    def label(self) -> labels.Label | None:
        """What somebody calls it, as `tfvis labels` imported it."""
        return self.run.labels.get(self.number)

    def _repr_html_(self) -> str:
        importance, dead = self.importance(), self.is_dead
        return html.factor(
            self.number,
            level=self.level.name,
            reason=self.level.reason,
            importance=importance,
            examples="" if dead else self.examples(n=10)._repr_html_(),
            is_dead=dead,
            label="" if self.label is None else str(self.label),
        )

    def _layer(self, layer: int | None) -> tuple[int, int]:
        """Returns the layer and its place among the layers."""
        if layer is None:
            layer = self.run.peak_layer(self.number)
        self.run.check_layer(layer)
        return layer, self.run.trained.layers.index(layer)


def _check_count(n: int) -> None:
    if n < 0:
        raise InputError(f"Expected a number of examples from 0 on, got {n}.")

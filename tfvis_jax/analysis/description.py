"""A factor in words: what stands where it fires, where it lives, what is near it."""

import dataclasses
import textwrap
import typing
from typing import Any

from tfvis_jax.analysis import (
    example_target,
    featured,
    labels,
    neighbours,
    notebook_html,
    terms,
    vocabulary,
)

if typing.TYPE_CHECKING:  # A run imports this file.
    from tfvis_jax.analysis import run as run_lib

_TERMS = 12
_NEIGHBOURS = 6
_ENTRIES = 10
_WORDS_OF_NEIGHBOUR = 3


@dataclasses.dataclass(frozen=True)
class LayerProfile:
    """A factor at one layer.

    Attributes:
      layer: its number.
      importance: score of the factor.
      density: fraction of tokens on which it fires.
      max_activation: its largest α.
    """

    layer: int
    importance: float
    density: float
    max_activation: float


@dataclasses.dataclass(frozen=True)
class Relative:
    """Another factor, with what it marks.

    Attributes:
      factor: its number.
      score: cosine, or how often both fire together.
      words: that it marks most often.
    """

    factor: int
    score: float
    words: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Description:
    """A factor in words.

    Attributes:
      factor: its number.
      layer: where its contexts are from.
      level, reason: low, mid, high or unclear, and why.
      label: what somebody calls it; None if nobody does.
      layers: its profile.
      terms: words and n-grams over-represented in its contexts.
      parts_of_speech: share of each tag; None without a tagger.
      nearest: factors of the largest cosine.
      together: factors that fire with it most.
      vocabulary: entries that its direction raises and lowers; None where the model
        has no masked-LM head.
    """

    factor: int
    layer: int
    level: str
    reason: str
    label: labels.Label | None
    layers: tuple[LayerProfile, ...]
    terms: terms.Terms
    parts_of_speech: dict[str, float] | None
    nearest: tuple[Relative, ...]
    together: tuple[Relative, ...]
    vocabulary: vocabulary.Vocabulary | None

    def as_json(self) -> dict[str, Any]:
        """Returns all of it as plain values."""
        found = dataclasses.asdict(self)
        found["label"] = None if self.label is None else labels.as_json(self.label)
        return found

    @property
    def lists(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """What is said, as headings with pairs of an entry and its figure."""

        def of_terms(found):
            return [(term.text, f"{term.z:.1f}") for term in found]

        def of_relatives(found):
            return [
                (f"Φ{each.factor} {' '.join(each.words)}".strip(), f"{each.score:.2f}")
                for each in found
            ]

        def of_entries(found):
            return [(piece, f"{change:+.2f}") for piece, change in found]

        tags = (self.parts_of_speech or {}).items()
        head = self.vocabulary or vocabulary.Vocabulary((), ())
        return [
            ("at the factor (z)", of_terms(self.terms.at)),
            ("round it (z)", of_terms(self.terms.around)),
            ("part of speech", [(tag, f"{share:.0%}") for tag, share in tags]),
            ("nearest (cosine)", of_relatives(self.nearest)),
            ("fires with (Jaccard)", of_relatives(self.together)),
            ("raises (logit)", of_entries(head.raised)),
            ("lowers (logit)", of_entries(head.lowered)),
        ]

    def __str__(self) -> str:
        label = "" if self.label is None else f"{self.label} · "
        lines = [f"Φ{self.factor}  {label}{self.level}: {self.reason}"]
        for heading, entries in self.lists:
            if entries:
                said = ", ".join(f"{entry} {figure}" for entry, figure in entries)
                lines.append(f"{heading}: {said}")
        return "\n".join(
            textwrap.fill(line, 88, subsequent_indent="  ") for line in lines
        )

    def _repr_html_(self) -> str:
        label = "" if self.label is None else f"{self.label} · "
        return notebook_html.description(
            self.factor,
            head=f"{label}{self.level}: {self.reason}",
            importance={each.layer: each.importance for each in self.layers},
            lists=self.lists,
        )


def describe(
    run: "run_lib.Run",
    factor: int,
    *,
    layer: int | None = None,
    tagger: terms.Tagger | None = None,
) -> Description:
    """Describes a factor.

    Args:
      run: with its examples.
      factor: its number.
      layer: whose contexts are read; where the factor peaks if None.
      tagger: returns the part of speech of each word of a window.

    Raises:
      InputError: no such factor or layer, one that fires nowhere or not there, or a
        run without examples.
    """
    if layer is None:
        layer = example_target.peak_layer(run, factor=factor)
    example_target.check_fires(run, factor=factor, layer=layer)
    contexts = terms.contexts(run, factor=factor, layer=layer)
    level = run.levels[factor]
    return Description(
        factor=factor,
        layer=layer,
        level=level.name,
        reason=level.reason,
        label=run.labels.get(factor),
        layers=_profile(run, factor),
        terms=terms.find(
            contexts,
            run.word_counts,
            counted_by="document" if terms.by_document(run.windows) else "window",
            limit=_TERMS,
        ),
        parts_of_speech=tagger and terms.part_of_speech(contexts, tagger),
        nearest=_relatives(
            run, neighbours.by_cosine(run.trained, factor, k=_NEIGHBOURS)
        ),
        together=_relatives(
            run,
            neighbours.by_firing(run.examples, factor, layer=layer, k=_NEIGHBOURS),
        ),
        vocabulary=_vocabulary(run, factor, layer=layer),
    )


def _profile(run, factor) -> tuple[LayerProfile, ...]:
    examples, importance = run.examples, run.importance()
    return tuple(
        LayerProfile(
            layer=layer,
            importance=float(importance[index, factor]),
            density=float(examples.density[index, factor]),
            max_activation=float(examples.activation[index, factor, 0]),
        )
        for index, layer in enumerate(run.trained.layers)
    )


def _relatives(run, found) -> tuple[Relative, ...]:
    return tuple(
        Relative(
            each.factor,
            each.score,
            tuple(featured.top_words(run, each.factor, n=_WORDS_OF_NEIGHBOUR)),
        )
        for each in found
    )


def _vocabulary(run, factor, *, layer) -> vocabulary.Vocabulary | None:
    head = run.masked_lm_head
    if head is None:
        return None
    index = run.trained.layers.index(layer)
    size = run.trained.layer_scale[index] * run.importance()[index, factor]
    change = head.changes(size * run.trained.factors[factor])
    return vocabulary.extremes(change, head.tokenizer, k=_ENTRIES)

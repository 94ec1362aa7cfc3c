"""A factor in words: what stands where it fires, where it lives, what is near it."""

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import Any

from tfvis_jax import markup
from tfvis_jax.description import featured, labels, neighbours, terms, vocabulary
from tfvis_jax.description import word_counts as word_counts_lib
from tfvis_jax.examples import results as results_lib
from tfvis_jax.levels import rule

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
      score: cosine, or the Jaccard index of where both fire.
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
      nearest: nearest factors by cosine.
      together: co-firing factors, by the Jaccard index.
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
            ("around it (z)", of_terms(self.terms.around)),
            ("part of speech", [(tag, f"{share:.0%}") for tag, share in tags]),
            ("nearest factors (cosine)", of_relatives(self.nearest)),
            ("co-firing factors (Jaccard)", of_relatives(self.together)),
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
        return markup.description(
            self.factor,
            head=f"{label}{self.level}: {self.reason}",
            importance={each.layer: each.importance for each in self.layers},
            lists=self.lists,
        )


def describe(
    results: results_lib.Results,
    factor: int,
    *,
    layer: int,
    level: rule.Level,
    label: labels.Label | None,
    word_counts: word_counts_lib.WordCounts,
    head: vocabulary.Head | None,
    tagger: terms.Tagger | None = None,
) -> Description:
    """Describes a factor.

    Args:
      results: of the run, with its examples.
      factor: its number.
      layer: whose contexts are read.
      level: of the factor.
      label: what somebody calls it; None if nobody does.
      word_counts: of the corpus.
      head: the model's masked-LM head; None where it has none.
      tagger: returns the part of speech of each word of a window.

    Raises:
      InputError: no such factor or layer, one that fires nowhere or not there, or a
        run without examples.
    """
    results.check_fires(factor, layer=layer)
    contexts = terms.contexts(results, factor=factor, layer=layer)
    return Description(
        factor=factor,
        layer=layer,
        level=level.name,
        reason=level.reason,
        label=label,
        layers=_profile(results, factor),
        terms=terms.find(
            contexts,
            word_counts,
            counted_by="document" if terms.by_document(results.windows) else "window",
            limit=_TERMS,
        ),
        parts_of_speech=tagger and terms.part_of_speech(contexts, tagger),
        nearest=_relatives(
            results, neighbours.by_cosine(results.trained, factor, k=_NEIGHBOURS)
        ),
        together=_relatives(
            results,
            neighbours.by_firing(results.examples, factor, layer=layer, k=_NEIGHBOURS),
        ),
        vocabulary=head and _vocabulary(results, factor, head, layer=layer),
    )


def _profile(run: results_lib.Results, factor: int) -> tuple[LayerProfile, ...]:
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


def _relatives(
    run: results_lib.Results, found: Sequence[neighbours.Neighbour]
) -> tuple[Relative, ...]:
    return tuple(
        Relative(
            each.factor,
            each.score,
            tuple(featured.top_words(run, each.factor, n=_WORDS_OF_NEIGHBOUR)),
        )
        for each in found
    )


def _vocabulary(
    run: results_lib.Results, factor: int, head: vocabulary.Head, *, layer: int
) -> vocabulary.Vocabulary:
    index = run.trained.layers.index(layer)
    size = run.trained.layer_scale[index] * run.importance()[index, factor]
    change = head.changes(size * run.trained.factors[factor])
    return vocabulary.extremes(change, head.tokenizer, k=_ENTRIES)

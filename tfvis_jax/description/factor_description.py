"""Describe a factor: the text around its firing tokens, its layers, its neighbours."""

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import Any

from tfvis_jax import markup
from tfvis_jax.description import (
    factor_label,
    factor_words,
    labels,
    neighbours,
    terms,
    vocabulary,
)
from tfvis_jax.description import word_counts as word_counts_lib
from tfvis_jax.examples import results as results_lib
from tfvis_jax.levels import rule

# Number of entries in each list of a description.
_TERMS = 12
_NEIGHBOURS = 6
_ENTRIES = 10
_WORDS = 8
_WORDS_OF_NEIGHBOUR = 3


@dataclasses.dataclass(frozen=True)
class LayerProfile:
    """A factor at one layer.

    Attributes:
      layer: number of the layer.
      importance: importance score.
      density: fraction of tokens on which the factor fires.
      max_activation: largest α.
    """

    layer: int
    importance: float
    density: float
    max_activation: float


@dataclasses.dataclass(frozen=True)
class Relative:
    """A related factor, with words that fire it.

    Attributes:
      factor: index of the related factor.
      score: cosine similarity, or Jaccard index of co-firing.
      words: the first of its words; see `factor_words`.
    """

    factor: int
    score: float
    words: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Description:
    """A factor in words.

    Attributes:
      factor: index of the factor.
      layer: layer from which the contexts are taken.
      level: one of `levels.LEVELS`.
      reason: the evidence for the level.
      label: user-supplied label, or None.
      note: what a person noted on the page; "" for nothing.
      words: the words of the factor at this layer, largest weight first.
      layers: the factor at each layer.
      terms: words and n-grams that are over-represented in its contexts.
      parts_of_speech: share of each tag among the firing words; None without a tagger.
      nearest: factors with the largest cosine similarity.
      together: co-firing factors.
      vocabulary: vocabulary entries that its direction raises and lowers; None if the
        model has no masked-LM head.
    """

    factor: int
    layer: int
    level: str
    reason: str
    label: factor_label.FactorLabel | None
    note: str
    words: tuple[str, ...]
    layers: tuple[LayerProfile, ...]
    terms: terms.Terms
    parts_of_speech: dict[str, float] | None
    nearest: tuple[Relative, ...]
    together: tuple[Relative, ...]
    vocabulary: vocabulary.Vocabulary | None

    def as_json(self) -> dict[str, Any]:
        """Returns the description as JSON values."""
        found = dataclasses.asdict(self)
        # In the form that `tfvis labels --import` takes, without null fields.
        found["label"] = None if self.label is None else labels.as_json(self.label)
        return found

    @property
    def lists(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """The lists of the description: headings, each with (entry, score) pairs."""

        def of_terms(found: Sequence[terms.Term]) -> list[tuple[str, str]]:
            return [(term.text, f"{term.z:.1f}") for term in found]

        def of_relatives(found: Sequence[Relative]) -> list[tuple[str, str]]:
            return [
                (f"Φ{each.factor} {' '.join(each.words)}".strip(), f"{each.score:.2f}")
                for each in found
            ]

        def of_entries(found: Sequence[tuple[str, float]]) -> list[tuple[str, str]]:
            return [(piece, f"{change:+.2f}") for piece, change in found]

        tags = (self.parts_of_speech or {}).items()
        head = self.vocabulary or vocabulary.Vocabulary((), ())
        return [
            ("terms with the firing word (z)", of_terms(self.terms.at)),
            ("terms nearby (z)", of_terms(self.terms.around)),
            ("part of speech", [(tag, f"{share:.0%}") for tag, share in tags]),
            ("nearest factors (cosine)", of_relatives(self.nearest)),
            ("co-firing factors (Jaccard)", of_relatives(self.together)),
            ("raises (logit)", of_entries(head.raised)),
            ("lowers (logit)", of_entries(head.lowered)),
        ]

    def __str__(self) -> str:
        label = "" if self.label is None else f"{self.label} · "
        lines = [f"Φ{self.factor}  {label}{self.level}: {self.reason}"]
        lines += [f"note: {self.note}"] if self.note else []
        lines.append(f"words: {', '.join(self.words)}")
        for heading, entries in self.lists:
            if entries:
                joined = ", ".join(f"{entry} {score}" for entry, score in entries)
                lines.append(f"{heading}: {joined}")
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
    label: factor_label.FactorLabel | None,
    note: str,
    words: factor_words.FactorWords,
    word_counts: word_counts_lib.WordCounts,
    head: vocabulary.Head | None,
    tagger: terms.Tagger | None = None,
) -> Description:
    """Describes a factor.

    Args:
      results: results of the run, with examples.
      factor: index of the factor.
      layer: layer from which the contexts are taken.
      level: level of the factor.
      label: user-supplied label, or None.
      note: what a person noted on the page; "" for nothing.
      words: the words of the factors of the run.
      word_counts: n-gram counts of the corpus.
      head: masked-LM head of the model, or None.
      tagger: returns a part-of-speech tag for each word of a window.

    Raises:
      InputError: if there is no such factor or layer, if the factor is dead or does not
        fire at this layer, or if the run has no examples.
    """
    results.check_fires(factor, layer=layer)
    contexts = terms.contexts(results, factor=factor, layer=layer)
    return Description(
        factor=factor,
        layer=layer,
        level=level.name,
        reason=level.reason,
        label=label,
        note=note,
        words=tuple(
            word.text
            for word in words.at(results.trained.layers.index(layer), factor, n=_WORDS)
        ),
        layers=_profile(results, factor),
        terms=terms.find(
            contexts,
            word_counts,
            counted_by="document" if terms.by_document(results.windows) else "window",
            limit=_TERMS,
        ),
        parts_of_speech=tagger and terms.part_of_speech(contexts, tagger),
        nearest=_relatives(
            words, neighbours.by_cosine(results.trained, factor, k=_NEIGHBOURS)
        ),
        together=_relatives(
            words,
            neighbours.by_firing(results.examples, factor, layer=layer, k=_NEIGHBOURS),
        ),
        vocabulary=head and vocabulary_of(results, factor, head, layer=layer),
    )


def _profile(results: results_lib.Results, factor: int) -> tuple[LayerProfile, ...]:
    examples, importance = results.examples, results.importance()
    return tuple(
        LayerProfile(
            layer=layer,
            importance=float(importance[index, factor]),
            density=float(examples.density[index, factor]),
            max_activation=examples.largest(index, factor),
        )
        for index, layer in enumerate(results.trained.layers)
    )


def _relatives(
    words: factor_words.FactorWords, found: Sequence[neighbours.Neighbour]
) -> tuple[Relative, ...]:
    return tuple(
        Relative(
            each.factor,
            each.score,
            tuple(word.text for word in words.of(each.factor, n=_WORDS_OF_NEIGHBOUR)),
        )
        for each in found
    )


def vocabulary_of(
    results: results_lib.Results, factor: int, head: vocabulary.Head, *, layer: int
) -> vocabulary.Vocabulary:
    """Returns what the factor's typical part of a hidden state does to the logits.

    Args:
      results: results of the run, with examples.
      factor: index of the factor.
      head: masked-LM head of the model.
      layer: layer whose importance score is the typical α.
    """
    # The dictionary describes scaled hidden states; the head reads unscaled ones.
    trained = results.trained
    index = trained.layers.index(layer)
    size = trained.layer_scale[index] * results.importance()[index, factor]
    change = head.changes(size * trained.directions[factor])
    return vocabulary.extremes(change, head.tokenizer, k=_ENTRIES)

"""Do factors single out patterns? All tokens are ranked, beside controls.

For each pattern and representation the best feature is chosen on half of the documents
and measured on the other half, at every layer. Two figures are given for it:

    average precision   does it single out the occurrences in all of the text?
    same-word AUC       does a token in the pattern outscore the same word elsewhere?

An occurrence has several tokens, of which a feature may mark one. So the text is cut
into segments, the occurrences and, of their usual length, what lies between them; a
segment's score is the largest of its tokens. The words compared by the second figure
are those that the feature marks. A feature that tells words apart and no more may do
well at the first figure, never at the second.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse

from tfvis_jax.evaluation import representations
from tfvis_jax.studies.patterns import pattern_rows, pattern_scores, pattern_text

# One feature of each is asked. A hidden dimension counts with either sign.
ASKED = (
    representations.FACTORS,
    representations.PROJECTIONS,
    representations.SAMPLES,
    representations.RANDOM,
    representations.HIDDEN,
)
# The rate at which a token's word takes part, whatever its context.
WORD = "word alone"
# Features that are kept for each question, best first.
_KEPT = 5
# Tokens of one word on either side that are compared, at most.
_SAME_WORD = 200


@dataclasses.dataclass(frozen=True, eq=False)
class Figure:
    """One feature for one pattern, on documents it was not chosen on.

    Attributes:
      pattern: name of the pattern.
      representation: a name of `representations`, or `WORD`.
      layer: number of the layer; None for `WORD`.
      features: the best features by the documents chosen on, best first; the first is
        measured.
      when_chosen: its average precision on the documents it was chosen on.
      average_precision: over all segments measured on.
      same_word_auc: among tokens of the words that the feature marks.
      precision: share of its firings that take part; None where all tokens fire.
      recall: share of the occurrences in which it fires.
    """

    pattern: str
    representation: str
    layer: int | None
    features: tuple[int, ...]
    when_chosen: float
    average_precision: pattern_scores.Estimate
    same_word_auc: pattern_scores.Estimate
    precision: float | None
    recall: float | None


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """All figures, and how many tokens they are from.

    Attributes:
      figures: of every pattern, representation and layer.
      layers: the layers.
      n_tokens: tokens measured on.
      n_documents: their documents.
      n_occurrences: for each pattern the occurrences measured on.
      prevalence: for each pattern their share of the segments, which is the average
        precision of chance.
      base_rate: for each pattern the share of tokens of random passages that take part.
    """

    figures: list[Figure]
    layers: tuple[int, ...]
    n_tokens: int
    n_documents: int
    n_occurrences: dict[str, int]
    prevalence: dict[str, float]
    base_rate: dict[str, float]

    def find(self, pattern: str, representation: str) -> list[Figure]:
        """Returns the figures of a pattern and a representation, layer by layer."""
        return [
            figure
            for figure in self.figures
            if (figure.pattern, figure.representation) == (pattern, representation)
        ]

    def chosen(self, pattern: str, representation: str) -> Figure:
        """Returns the figure at the layer that was best on the documents chosen on."""
        return max(self.find(pattern, representation), key=lambda f: f.when_chosen)


def study(
    rows: pattern_rows.Rows,
    drawn: pattern_text.DrawnText,
    probed: representations.Probed,
    *,
    n_resamples: int = 200,
    seed: int = 0,
    progress: Callable[[str], None] = lambda what: None,
) -> Study:
    """Chooses and measures the best feature of every representation.

    Args:
      rows: the tokens.
      drawn: the passages that they are from.
      probed: the dictionary with its controls.
      n_resamples: of the intervals.
      seed: of the resamples.
      progress: called with lines of text.
    """
    before, after = (
        rows.of_half(half)
        for half in (pattern_text.CHOSEN_ON, pattern_text.MEASURED_ON)
    )
    asked = _Asked(rows, before, after, n_resamples=n_resamples, seed=seed)
    names = [pattern.name for pattern in drawn.patterns]
    figures = []
    for layer in rows.codes:
        progress(f"layer {layer}: ranking all tokens")
        found = probed.represent(rows.x[layer], ASKED[1:], layer=layer)
        found[representations.FACTORS] = rows.codes[layer]
        x = found[representations.HIDDEN]
        found[representations.HIDDEN] = np.concatenate([x, -x], axis=1)
        for representation in ASKED:
            features = found[representation]
            figures += asked.figures(names, representation, layer, features)
    rates = rows.taking_part[:, rows.is_random]
    figures += [asked.word_alone(number, name) for number, name in enumerate(names)]
    return Study(
        figures=figures,
        layers=tuple(rows.codes),
        n_tokens=len(after),
        n_documents=len(np.unique(rows.document_of[after])),
        n_occurrences=asked.n_occurrences(names),
        prevalence=asked.prevalence(names),
        base_rate={
            name: float(rates[number].mean()) if rates.shape[1] else float("nan")
            for number, name in enumerate(names)
        },
    )


class _Segments:
    """Occurrences of one pattern, and pieces of the text between them.

    Attributes:
      first: [n_segments] the first row of each segment, within the rows.
      is_occurrence: [n_segments] bool.
    """

    def __init__(self, inside: np.ndarray, passage_of: np.ndarray) -> None:
        """Cuts rows into segments; ``inside`` and ``passage_of`` are [rows]."""
        begins = np.ones(len(inside), bool)
        begins[1:] = (inside[1:] != inside[:-1]) | (passage_of[1:] != passage_of[:-1])
        first = np.flatnonzero(begins)
        lengths = np.diff(np.append(first, len(inside)))
        usual = max(int(np.median(lengths[inside[first]])), 1) if inside.any() else 1
        # Rows between occurrences, cut every so many rows.
        since = np.arange(len(inside)) - np.repeat(first, lengths)
        begins |= ~inside & (since % usual == 0)
        self.first = np.flatnonzero(begins)
        self.is_occurrence = inside[self.first]

    def largest(self, scores: np.ndarray) -> np.ndarray:
        """Returns the largest score of each segment; ``scores`` begins with [rows]."""
        return np.maximum.reduceat(scores, self.first, axis=0)

    def marked(self, scores: np.ndarray) -> np.ndarray:
        """Returns the row with the largest score of each occurrence, if above 0."""
        ends = np.append(self.first[1:], len(scores))
        places = [
            first + int(np.argmax(scores[first:end]))
            for first, end in zip(
                self.first[self.is_occurrence].tolist(),
                ends[self.is_occurrence].tolist(),
                strict=True,
            )
        ]
        places = np.array(places, np.int64)
        return places[scores[places] > 0]


class _Asked:
    """The documents chosen on and measured on, and the resamples of the latter."""

    def __init__(
        self,
        rows: pattern_rows.Rows,
        before: np.ndarray,
        after: np.ndarray,
        *,
        n_resamples: int,
        seed: int,
    ) -> None:
        self._rows, self._before, self._after = rows, before, after
        self._segments = [
            tuple(_Segments(inside[r], rows.passage_of[r]) for r in (before, after))
            for inside in rows.taking_part
        ]
        weights = pattern_scores.resampled(
            rows.document_of[after], n_resamples=n_resamples, seed=seed
        )
        # The first repeat is the data itself.
        self._weights = np.concatenate([np.ones_like(weights[:1]), weights])
        rng = np.random.default_rng(seed)
        self._same_word = [
            _thinned(inside[after], rows.token_ids[after], rng)
            for inside in rows.taking_part
        ]

    def n_occurrences(self, names: Sequence[str]) -> dict[str, int]:
        return {
            name: int(after.is_occurrence.sum())
            for name, (_, after) in zip(names, self._segments, strict=True)
        }

    def prevalence(self, names: Sequence[str]) -> dict[str, float]:
        return {
            name: float(after.is_occurrence.mean())
            for name, (_, after) in zip(names, self._segments, strict=True)
        }

    def figures(
        self, names: Sequence[str], representation: str, layer: int, features: Any
    ) -> list[Figure]:
        """Returns the figure of each pattern."""
        is_sparse = scipy.sparse.issparse(features)
        before = features[self._before]
        before = before.toarray() if is_sparse else before
        found = []
        for number, name in enumerate(names):
            segments = self._segments[number][0]
            precisions = pattern_scores.average_precision(
                pattern_scores.ranks(segments.largest(before)), segments.is_occurrence
            )
            best = np.argsort(-precisions, kind="stable")[:_KEPT]
            figure = self._figure(
                number,
                before[:, best[0]],
                _column(features, int(best[0]))[self._after],
                fires=is_sparse,
            )
            found.append(
                dataclasses.replace(
                    figure,
                    pattern=name,
                    representation=representation,
                    layer=layer,
                    features=tuple(best.tolist()),
                    when_chosen=float(precisions[best[0]]),
                )
            )
        return found

    def word_alone(self, number: int, name: str) -> Figure:
        """Returns the figure of the words' rates on the documents chosen on."""
        inside, ids = self._rows.taking_part[number], self._rows.token_ids
        rates, base = pattern_scores.word_rates(ids[self._before], inside[self._before])
        rates = np.concatenate([rates, np.full(int(ids.max()) + 1, base)])
        before, after = rates[ids[self._before]], rates[ids[self._after]]
        return dataclasses.replace(
            self._figure(number, before, after, fires=False), pattern=name
        )

    def _figure(
        self, number: int, before: np.ndarray, after: np.ndarray, *, fires: bool
    ) -> Figure:
        """Measures one feature, given its scores on both halves."""
        chosen_on, measured_on = self._segments[number]
        inside = self._rows.taking_part[number, self._after]
        largest = measured_on.largest(after)
        found = pattern_scores.weighted_average_precision(
            largest, measured_on.is_occurrence, self._weights[:, measured_on.first]
        )
        ids = self._rows.token_ids
        marked = np.unique(ids[self._before][chosen_on.marked(before)])
        kept = self._same_word[number]
        kept = kept[np.isin(ids[self._after][kept], marked)]
        same_word = pattern_scores.same_word_auc(
            after[kept], inside[kept], ids[self._after][kept], self._weights[:, kept]
        )
        precision = recall = None
        if fires:
            precision = float(np.sum(inside & (after > 0)) / max(np.sum(after > 0), 1))
            of_occurrences = largest[measured_on.is_occurrence]
            recall = float(np.mean(of_occurrences > 0)) if len(of_occurrences) else 0.0
        when_chosen = pattern_scores.average_precision(
            pattern_scores.ranks(chosen_on.largest(before)[:, None]),
            chosen_on.is_occurrence,
        )
        return Figure(
            pattern="",
            representation=WORD,
            layer=None,
            features=(),
            when_chosen=float(when_chosen[0]),
            average_precision=pattern_scores.Estimate(float(found[0]), found[1:]),
            same_word_auc=pattern_scores.Estimate(float(same_word[0]), same_word[1:]),
            precision=precision,
            recall=recall,
        )


def _column(features: Any, number: int) -> np.ndarray:
    column = features[:, [number]]
    if scipy.sparse.issparse(column):
        column = column.toarray()
    return np.asarray(column)[:, 0]


def _thinned(
    inside: np.ndarray, words: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Returns rows of words that are on both sides, few of each frequent word."""
    kept = []
    order = rng.permutation(len(words))
    for side in (inside, ~inside):
        rows = order[side[order]]
        by_word = rows[np.argsort(words[rows], kind="stable")]
        first = np.searchsorted(words[by_word], words[by_word], side="left")
        kept.append(by_word[np.arange(len(by_word)) - first < _SAME_WORD])
    both = np.intersect1d(words[kept[0]], words[kept[1]])
    rows = np.concatenate(kept)
    return np.sort(rows[np.isin(words[rows], both)])

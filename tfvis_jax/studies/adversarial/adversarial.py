"""Does α fall as a text departs from a pattern? Graded variants of many contexts.

The paper (Yun et al., 2021, table 4) shows one factor in seven texts. Here the best
features of every pattern are chosen on half of the documents, and contexts are taken
from the other half. Every value is relative: 1 is the original text, 0 the mean over
all tokens. Controls are chosen and read in the same way.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse
import scipy.stats

from tfvis_jax import codes
from tfvis_jax.description import terms
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import representations
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.studies.adversarial import (
    adversarial_templates,
    adversarial_texts,
    adversarial_words,
)
from tfvis_jax.studies.patterns import (
    passages,
    pattern_rows,
    pattern_scores,
    pattern_study,
    pattern_text,
    patterns,
)

# The factor that fires at the original target and is most one word's own.
WORD_FACTOR = "word factor"
ASKED = (
    representations.FACTORS,
    representations.PROJECTIONS,
    representations.SAMPLES,
    representations.RANDOM,
)
GRADES = (*adversarial_texts.GRADED, *adversarial_texts.BESIDE)
# A word factor has at least this share of its α at one word.
_OWN_WORD = 0.5
_TOGETHER = 1024
_LEAST_CONTEXTS = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """One feature and one pattern.

    Attributes:
      pattern: name of the pattern.
      representation: a name of `representations`, or `WORD_FACTOR`.
      layer: number of the layer.
      feature: index of the feature; None for `WORD_FACTOR`, chosen context by context.
      n_contexts: contexts from which it is measured.
      original: mean value at the targets of the original texts.
      relative: mean relative value of each grade.
      examples: a context in all its grades: grade, text, value.
    """

    pattern: str
    representation: str
    layer: int
    feature: int | None
    n_contexts: int
    original: float
    relative: dict[str, float]
    examples: list[tuple[str, str, float]]


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """What was found.

    Attributes:
      pairs: all pairs.
      n_contexts: contexts over all pairs.
      still_fits: for each grade the share of texts in which the matcher still finds the
        pattern at the target.
    """

    pairs: list[Pair]
    n_contexts: int
    still_fits: dict[str, float]

    def of(self, representation: str) -> list[Pair]:
        """Returns the pairs of a representation."""
        return [p for p in self.pairs if p.representation == representation]


def grade_means(
    pairs: Sequence[Pair], *, n_resamples: int = 1000, seed: int = 0
) -> dict[str, pattern_scores.Estimate]:
    """Returns the mean of each grade over pairs; features of one pattern are one group.

    Args:
      pairs: pairs of one representation.
      n_resamples: bootstrap resamples over patterns.
      seed: of the resamples.
    """
    groups = np.unique([pair.pattern for pair in pairs], return_inverse=True)[1]
    weights = pattern_scores.resampled(groups, n_resamples=n_resamples, seed=seed)
    found = {}
    for grade in GRADES:
        values = np.array([pair.relative[grade] for pair in pairs])
        means = (weights @ values) / np.maximum(weights.sum(axis=1), 1)
        found[grade] = pattern_scores.Estimate(float(values.mean()), means)
    return found


def trend_p_value(pairs: Sequence[Pair]) -> float:
    """Returns the p-value of Page's trend test that values fall along the grades.

    Pairs are blocks, and values are ranked within each (Page, 1963). The original text
    is left out: it was chosen for its value, so it is first by selection.

    Args:
      pairs: pairs of one representation.
    """
    grades = adversarial_texts.GRADED[:0:-1]
    table = np.array([[pair.relative[grade] for grade in grades] for pair in pairs])
    if len(table) < 2:
        return float("nan")
    return float(scipy.stats.page_trend_test(table, method="asymptotic").pvalue)


def run(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    rows: pattern_rows.Rows,
    drawn: pattern_text.DrawnText,
    study: pattern_study.Study,
    probed: representations.Probed,
    tagger: terms.Tagger,
    *,
    n_features: int = 2,
    n_contexts: int = 8,
    seed: int = 0,
    progress: Callable[[str], None] = lambda what: None,
) -> Found:
    """Writes variants of contexts and measures features on them.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      rows: tokens of the drawn passages.
      drawn: the passages.
      study: the best features of each pattern, chosen on half of the documents.
      probed: the dictionary with its controls.
      tagger: returns a tag for each word.
      n_features: features of each pattern and representation.
      n_contexts: contexts of each pair, at most.
      seed: draws contexts and words.
      progress: called with lines of text.

    Raises:
      InputError: no feature fires in enough occurrences.
    """
    tagged = [passages.Passage(text, tagger) for text in drawn.passages]
    lexicon = adversarial_words.Lexicon(opened, tagged)
    writer = _Writer(drawn, rows, tagged, lexicon, n_contexts=n_contexts, seed=seed)
    planned = []
    for representation in ASKED:
        chosen = [study.chosen(p.name, representation) for p in drawn.patterns]
        for layer in sorted({figure.layer or 0 for figure in chosen}):
            progress(f"layer {layer}: contexts of {representation}")
            asked = [
                (number, feature)
                for number, figure in enumerate(chosen)
                if (figure.layer or 0) == layer
                for feature in figure.features[:n_features]
            ]
            values = _values(
                representation,
                probed,
                rows.codes[layer],
                rows.x[layer],
                [feature for _, feature in asked],
                layer=layer,
            )
            for (number, feature), column in zip(asked, values.T, strict=True):
                contexts = writer.contexts(number, column)
                if len(contexts) >= _LEAST_CONTEXTS:
                    base = float(column.mean())
                    planned.append(
                        _Planned(number, representation, layer, feature, base, contexts)
                    )
    if not any(p.representation == representations.FACTORS for p in planned):
        raise InputError(
            "Expected a factor that fires in several occurrences of its pattern, got "
            f"none in {drawn.source}. Give more text (--text) or raise --occurrences."
        )
    encoder = _Encoder(opened, trained, rows, probed, progress=progress)
    pairs = []
    for layer in sorted({plan.layer for plan in planned}):
        pairs += encoder.measure(
            layer, [plan for plan in planned if plan.layer == layer], drawn
        )
    return Found(
        pairs=pairs,
        n_contexts=sum(len(c) for plan in planned for c in plan.contexts),
        still_fits=writer.still_fits(planned),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Planned:
    """A pair before it is measured; ``base`` is the mean over all tokens."""

    number: int
    representation: str
    layer: int
    feature: int
    base: float
    contexts: list[dict[str, adversarial_texts.Variant]]


class _Writer:
    """Chooses contexts on the documents measured on, and writes their variants."""

    def __init__(
        self,
        drawn: pattern_text.DrawnText,
        rows: pattern_rows.Rows,
        tagged: Sequence[passages.Passage],
        lexicon: adversarial_words.Lexicon,
        *,
        n_contexts: int,
        seed: int,
    ) -> None:
        self._drawn, self._rows, self._tagged = drawn, rows, tagged
        self._lexicon, self._n_contexts, self._seed = lexicon, n_contexts, seed
        measured_on = np.flatnonzero(drawn.half_of == pattern_text.MEASURED_ON)
        self._passages = measured_on.tolist()
        self._bounds = np.searchsorted(
            rows.passage_of, np.arange(len(drawn.passages) + 1)
        )
        self._without = [
            [tagged[p] for p in self._passages if not drawn.spans[p][number]]
            for number in range(len(drawn.patterns))
        ]

    def contexts(
        self, number: int, values: np.ndarray
    ) -> list[dict[str, adversarial_texts.Variant]]:
        """Returns contexts in which a feature is strong, each in all grades."""
        base = values.mean()
        candidates = []
        for passage in self._passages:
            first, end = self._bounds[passage : passage + 2]
            for span in self._drawn.spans[passage][number]:
                inside = patterns.taking_part(
                    [span], self._rows.starts[first:end], self._rows.ends[first:end]
                )
                places = first + np.flatnonzero(inside)
                if not len(places):
                    continue
                row = int(places[np.argmax(values[places])])
                if values[row] > max(base, 0):
                    candidates.append((float(values[row]), passage, span, row))
        candidates.sort(key=lambda candidate: -candidate[0])
        found = []
        for _, passage, span, row in candidates:
            if len(found) == self._n_contexts:
                break
            written = self._write(number, passage, span, row)
            if written is not None:
                found.append(written)
        return found

    def still_fits(self, planned: Sequence[_Planned]) -> dict[str, float]:
        """Returns for each grade the share of targets that are in the pattern."""
        fits: dict[str, list[bool]] = {grade: [] for grade in GRADES}
        seen = set()
        for plan in planned:
            pattern = self._drawn.patterns[plan.number]
            for context in plan.contexts:
                for grade, variant in context.items():
                    key = plan.number, grade, variant
                    if key in seen:
                        continue
                    seen.add(key)
                    [spans] = patterns.spans(
                        variant.text, [pattern], self._tagged[0].tagger
                    )
                    fits[grade].append(
                        any(a < variant.end and b > variant.start for a, b in spans)
                    )
        return {grade: float(np.mean(found)) for grade, found in fits.items() if found}

    def _write(
        self, number: int, passage: int, span: tuple[int, int], row: int
    ) -> dict[str, adversarial_texts.Variant] | None:
        given = adversarial_texts.context(
            self._tagged[passage], span, int(self._rows.starts[row])
        )
        if given is None:
            return None
        # The same context has the same variants for every feature.
        rng = np.random.default_rng([self._seed, number, passage, span[0], row])
        found = adversarial_texts.variants(given, self._lexicon, rng)
        other = adversarial_texts.elsewhere(given, self._without[number], rng)
        if found is None or other is None:
            return None
        own = self._own(number, rng)
        host = self._without[number][int(rng.integers(len(self._without[number])))]
        # As many characters as the pattern has, as the best of them counts.
        length = own.end - own.start
        start = int(rng.integers(max(len(host.text) - length, 1)))
        return found | {
            adversarial_texts.ELSEWHERE: other,
            adversarial_texts.OWN: own,
            adversarial_texts.OWN_CONTROL: adversarial_texts.Variant(
                host.text, start, start + length
            ),
        }

    def _own(self, number: int, rng: np.random.Generator) -> adversarial_texts.Variant:
        pattern = self._drawn.patterns[number]
        templates = adversarial_templates.TEMPLATES[pattern.name]
        text = templates[int(rng.integers(len(templates)))]
        [spans] = patterns.spans(text, [pattern], self._tagged[0].tagger)
        return adversarial_texts.Variant(text, *spans[0])


@dataclasses.dataclass(frozen=True, eq=False)
class _Read:
    """The tokens at which variants are read, one variant after the other.

    Attributes:
      place: number of each variant.
      first: [n_variants] the first row of each.
      codes: [rows, n_factors].
      x: [rows, d_model].
    """

    place: dict[adversarial_texts.Variant, int]
    first: np.ndarray
    codes: scipy.sparse.csr_array
    x: np.ndarray

    def largest_codes(self, variant: adversarial_texts.Variant) -> np.ndarray:
        """Returns the largest code of each factor over the tokens of a variant."""
        number = self.place[variant]
        rows = np.append(self.first, len(self.x))[number : number + 2]
        return self.codes[slice(*rows.tolist())].toarray().max(axis=0)


class _Encoder:
    """Encodes texts and reads features of them."""

    def __init__(
        self,
        opened: setup.Setup,
        trained: trained_dictionary.TrainedDictionary,
        rows: pattern_rows.Rows,
        probed: representations.Probed,
        *,
        progress: Callable[[str], None],
    ) -> None:
        self._opened, self._trained = opened, trained
        self._rows, self._probed, self._progress = rows, probed, progress

    def measure(
        self, layer: int, planned: Sequence[_Planned], drawn: pattern_text.DrawnText
    ) -> list[Pair]:
        """Returns the pairs of one layer, and the word factors beside them."""
        variants = list(
            dict.fromkeys(v for p in planned for c in p.contexts for v in c.values())
        )
        read = self._encode(layer, variants)
        pairs = []
        for representation in dict.fromkeys(plan.representation for plan in planned):
            plans = [p for p in planned if p.representation == representation]
            values = _values(
                representation,
                self._probed,
                read.codes,
                read.x,
                [plan.feature for plan in plans],
                layer=layer,
            )
            # [n_variants, n_plans].
            largest = np.maximum.reduceat(values, read.first, axis=0)
            for plan, column in zip(plans, largest.T, strict=True):
                pattern = drawn.patterns[plan.number].name
                found = [
                    {grade: float(column[read.place[v]]) for grade, v in c.items()}
                    for c in plan.contexts
                ]
                pairs.append(
                    _pair(plan, pattern, found, plan.base, feature=plan.feature)
                )
                if representation == representations.FACTORS:
                    pairs += self._word_factor(plan, pattern, layer, read)
        return pairs

    def _encode(
        self, layer: int, variants: Sequence[adversarial_texts.Variant]
    ) -> "_Read":
        texts = list(dict.fromkeys(variant.text for variant in variants))
        of_text: dict[str, list[adversarial_texts.Variant]] = {}
        for variant in variants:
            of_text.setdefault(variant.text, []).append(variant)
        place, first, n_rows = {}, [], 0
        parts_of_codes, parts_of_x = [], []
        for start in range(0, len(texts), _TOGETHER):
            self._progress(f"layer {layer}: {start:,} of {len(texts):,} texts")
            part = texts[start : start + _TOGETHER]
            encoded = codes.encode_texts(
                self._opened,
                self._trained,
                part,
                layers=[layer],
                with_rows=True,
                # Words are masked by an unknown token on purpose.
                notify=lambda notice: None,
            )
            for number, text in enumerate(part):
                for variant in of_text[text]:
                    rows = encoded.rows_of(number, variant.start, variant.end)
                    if not len(rows):
                        # Between two words there is no token: that before it counts.
                        rows = encoded.rows_of(number, 0, variant.end)[-1:]
                    place[variant] = len(first)
                    first.append(n_rows)
                    n_rows += len(rows)
                    parts_of_codes.append(encoded.codes[layer][rows])
                    parts_of_x.append((encoded.x or {})[layer][rows])
        return _Read(
            place=place,
            first=np.array(first, np.int64),
            codes=scipy.sparse.csr_array(
                scipy.sparse.vstack(parts_of_codes, format="csr")
            ),
            x=np.concatenate(parts_of_x),
        )

    def _word_factor(
        self, plan: _Planned, pattern: str, layer: int, read: "_Read"
    ) -> list[Pair]:
        """Returns the values of the factors that tell the word at each target."""
        values = []
        for context in plan.contexts:
            at_target = read.largest_codes(context[adversarial_texts.ORIGINAL])
            shares = self._own_word_share(layer, self._token_ids(context))
            shares = np.where(at_target > 0, shares, 0)
            shares[plan.feature] = 0
            factor = int(np.argmax(shares))
            if shares[factor] >= _OWN_WORD:
                values.append(
                    {
                        g: float(read.largest_codes(v)[factor])
                        for g, v in context.items()
                    }
                )
        if len(values) < _LEAST_CONTEXTS:
            return []
        written = dataclasses.replace(plan, representation=WORD_FACTOR)
        return [_pair(written, pattern, values, 0.0, feature=None)]

    def _token_ids(self, context: dict[str, adversarial_texts.Variant]) -> np.ndarray:
        variant = context[adversarial_texts.ORIGINAL]
        return np.unique(
            self._opened.tokenizer.encode(variant.text[variant.start : variant.end]).ids
        )

    def _own_word_share(self, layer: int, token_ids: np.ndarray) -> np.ndarray:
        """Returns the share of each factor's α that is at some tokens, [n_factors]."""
        rows = self._rows.of_half(pattern_text.CHOSEN_ON)
        found = self._rows.codes[layer][rows]
        is_word = np.isin(self._rows.token_ids[rows], token_ids)
        total = np.asarray(found.sum(axis=0)).ravel()
        own = np.asarray(found[is_word].sum(axis=0)).ravel()
        return np.where(total > 0, own / np.maximum(total, 1e-12), 0.0)


def _pair(
    plan: _Planned,
    pattern: str,
    values: Sequence[dict[str, float]],
    base: float,
    *,
    feature: int | None,
) -> Pair:
    original = float(np.mean([v[adversarial_texts.ORIGINAL] for v in values])) - base
    return Pair(
        pattern=pattern,
        representation=plan.representation,
        layer=plan.layer,
        feature=feature,
        n_contexts=len(values),
        original=original + base,
        # A ratio of means: the mean of ratios would follow the weakest context.
        relative={
            grade: (float(np.mean([v[grade] for v in values])) - base) / original
            for grade in GRADES
        },
        examples=[
            (grade, plan.contexts[0][grade].text, values[0][grade]) for grade in GRADES
        ],
    )


def _values(
    representation: str,
    probed: representations.Probed,
    codes_of_run: scipy.sparse.csr_array,
    x: np.ndarray,
    features: Sequence[int],
    *,
    layer: int,
) -> np.ndarray:
    """Returns features of tokens, [rows, n]."""
    if representation == representations.FACTORS:
        found: Any = codes_of_run[:, list(features)]
    else:
        found = probed.represent(x, (representation,), layer=layer)[representation]
        found = found[:, list(features)]
    return found.toarray() if scipy.sparse.issparse(found) else np.asarray(found)

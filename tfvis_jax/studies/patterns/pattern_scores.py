"""How well scores of tokens single out those that take part in a pattern.

Many features are asked about many patterns, so each feature is ranked once.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

# Percentiles of a 95 % interval.
_INTERVAL = (2.5, 97.5)
# Pairs that are compared at a time; bounds memory.
_AT_ONCE = 2**22


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """A figure with its resamples over documents.

    Attributes:
      value: the figure.
      samples: [n_resamples] float64; those of one study are paired.
    """

    value: float
    samples: np.ndarray

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return interval(self.samples)

    def less(self, other: "Estimate") -> "Estimate":
        """Returns the paired difference."""
        return Estimate(self.value - other.value, self.samples - other.samples)


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Returns the mean of figures of the same documents, without those that are NaN."""
    known = [e for e in estimates if not np.isnan(e.value)]
    if not known:
        return Estimate(float("nan"), np.full(1, np.nan))
    samples = np.stack([e.samples for e in known])
    # A resample may hold no occurrence of a pattern.
    filled = np.where(np.isnan(samples), np.nanmean(samples, axis=1)[:, None], samples)
    return Estimate(float(np.mean([e.value for e in known])), filled.mean(axis=0))


def ranks(features: np.ndarray | scipy.sparse.csr_array) -> np.ndarray:
    """Returns the place of each row among the rows, from 1 for the highest score.

    Rows with the same score share the last of their places, since no order is known
    among them.

    Args:
      features: [rows, features], an array, or a CSR matrix of non-negative codes.

    Returns:
      [features, rows] int32.
    """
    # Not typed in SciPy.
    shape: Any = features.shape
    n_rows, n_features = shape
    found = np.full((n_features, n_rows), n_rows, np.int32)
    if scipy.sparse.issparse(features):
        by_feature = scipy.sparse.csc_array(features)
        for feature in range(n_features):
            part = slice(*by_feature.indptr[feature : feature + 2])
            values = by_feature.data[part]
            # Explicit zeros do not fire.
            rows = by_feature.indices[part][values > 0]
            found[feature, rows] = _places(values[values > 0])
        return found
    for feature in range(n_features):
        found[feature] = _places(np.asarray(features)[:, feature])
    return found


def average_precision(ranked: np.ndarray, is_positive: np.ndarray) -> np.ndarray:
    """Returns Σ_n (R_n − R_{n−1}) P_n of each feature over its thresholds.

    Args:
      ranked: [features, rows] from `ranks`.
      is_positive: [rows] bool, at least one of them True.

    Returns:
      [features] float64.
    """
    places = np.sort(ranked[:, is_positive], axis=1)
    n = places.shape[1]
    # Positives up to the end of those with the same place.
    last = np.full(places.shape, n, np.int64)
    is_end = places[:, :-1] != places[:, 1:]
    last[:, :-1] = np.where(is_end, np.arange(1, n)[None], n)
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    return np.mean(last / places, axis=1)


def weighted_average_precision(
    scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Returns the average precision of one feature with weighted rows.

    Args:
      scores: [rows].
      is_positive: [rows] bool.
      weights: [repeats, rows], ≥ 0.

    Returns:
      [repeats]; NaN where no positive has weight.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    at = np.flatnonzero(is_positive[order])
    # Only thresholds at which there is a positive add to the sum.
    kept = np.unique(np.searchsorted(ends, at))
    found = np.empty(len(weights))
    for repeat, weight in enumerate(weights):
        ordered = weight[order]
        everything = np.cumsum(ordered, dtype=np.float64)[ends[kept]]
        true = np.cumsum(ordered[at], dtype=np.float64)[
            np.searchsorted(at, ends[kept], side="right") - 1
        ]
        gained = np.diff(true, prepend=0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(everything > 0, true / everything, 0.0)
            found[repeat] = np.sum(gained * precision) / true[-1]
    return found


def same_word_auc(
    scores: np.ndarray,
    is_positive: np.ndarray,
    words: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Returns how often a token in the pattern outscores the same word outside of it.

    Tokens are compared with others of the same word only, so a feature that tells words
    and no more has 1/2. Words that are only in the pattern, or never, say nothing and
    are left out. A word counts by its tokens in the pattern; ties count half.

    Args:
      scores: [rows].
      is_positive: [rows] bool.
      words: [rows] int, the word of each row.
      weights: [repeats, rows] weights of the rows, ≥ 0; one repeat of ones if None.

    Returns:
      [repeats]; NaN where no word has weight on both sides.
    """
    if weights is None:
        weights = np.ones((1, len(scores)))
    total, weight_of_all = np.zeros(len(weights)), np.zeros(len(weights))
    order = np.argsort(words, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(words[order])) + 1):
        inside, outside = rows[is_positive[rows]], rows[~is_positive[rows]]
        if not len(inside) or not len(outside):
            continue
        with_weight = weights[:, inside].sum(axis=1)
        against = weights[:, outside].sum(axis=1)
        won = np.zeros(len(weights))
        step = max(_AT_ONCE // len(outside), 1)
        for first in range(0, len(inside), step):
            part = inside[first : first + step]
            ahead = scores[part][:, None] - scores[outside][None]
            wins = np.where(ahead > 0, 1.0, np.where(ahead == 0, 0.5, 0.0))
            won += np.sum((weights[:, part] @ wins) * weights[:, outside], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            total += np.where(against > 0, won / against, 0.0)
        weight_of_all += np.where(against > 0, with_weight, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / weight_of_all


def word_rates(
    words: np.ndarray, is_positive: np.ndarray, *, least: float = 1.0
) -> tuple[np.ndarray, float]:
    """Returns how often each word is in the pattern, drawn towards the mean.

    Args:
      words: [rows] int ≥ 0, the word of each row.
      is_positive: [rows] bool.
      least: rows of the mean rate that are added to each word.

    Returns:
      [largest word + 1] float64, and the mean rate, that of unseen words.
    """
    base = float(np.mean(is_positive))
    size = int(words.max(initial=0)) + 1
    times = np.bincount(words, minlength=size)
    inside = np.bincount(words, weights=is_positive, minlength=size)
    return (inside + least * base) / (times + least), base


def shift_p_value(
    is_positive: np.ndarray,
    places: np.ndarray,
    *,
    n_shifts: int,
    least_shift: int,
    rng: np.random.Generator,
) -> float:
    """Returns how often places fit the pattern as well when it is moved along the text.

    The null hypothesis is that where a factor fires has nothing to do with where the
    pattern is. The text is a circle on which the pattern is moved: unlike a permutation
    of tokens, it keeps occurrences together as they are, and firings as well.

    Args:
      is_positive: [n] bool, the tokens in reading order.
      places: [m] int, tokens that the factor chose.
      n_shifts: number of random shifts.
      least_shift: shifts are at least so far in both directions.
      rng: draws them.
    """
    n = len(is_positive)
    least_shift = min(least_shift, (n - 1) // 2)
    observed = np.sum(is_positive[places])
    at_least = 0
    step = max(_AT_ONCE // max(len(places), 1), 1)
    for first in range(0, n_shifts, step):
        shifts = rng.integers(
            least_shift, n - least_shift + 1, size=min(step, n_shifts - first)
        )
        moved = (places[None] + shifts[:, None]) % n
        at_least += int(np.sum(is_positive[moved].sum(axis=1) >= observed))
    return (1 + at_least) / (1 + n_shifts)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Returns p-values corrected for their number as Holm (1979) does.

    Args:
      p_values: [n].
    """
    order = np.argsort(p_values, kind="stable")
    n = len(p_values)
    stepped = np.maximum.accumulate(p_values[order] * (n - np.arange(n)))
    corrected = np.empty(n)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def resampled(groups: np.ndarray, *, n_resamples: int, seed: int) -> np.ndarray:
    """Draws groups with replacement, [n_resamples, rows], how often each row counts.

    Args:
      groups: [rows] int, the group of each row, such as its document.
      n_resamples: number of resamples.
      seed: of the resamples.
    """
    kept, place = np.unique(groups, return_inverse=True)
    times = np.random.default_rng(seed).multinomial(
        len(kept), np.full(len(kept), 1 / len(kept)), size=n_resamples
    )
    return times[:, place].astype(np.float32)


def interval(samples: np.ndarray) -> tuple[float, float]:
    """Returns the 95 % interval of resampled figures; NaN are left out."""
    known = samples[~np.isnan(samples)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, _INTERVAL)
    return float(low), float(high)


def _places(values: np.ndarray) -> np.ndarray:
    """Returns the place of each value from the highest down, ties the last."""
    ascending = np.sort(values)
    return len(values) - np.searchsorted(ascending, values, side="left")

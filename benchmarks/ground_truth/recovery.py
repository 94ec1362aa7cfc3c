"""How much of a known world a dictionary recovers; each score is defined here, once.

Definitions of SynthSAEBench (Chanin & Garriga-Alonso, arXiv 2602.14687). With |cos| the
absolute cosine of a factor and a true feature:

    MCC          mean |cos| over the one-to-one matching that makes its sum largest;
                 the smaller of the two dictionaries is matched whole
    uniqueness   number of features that are the nearest of some factor / n_factors
    F1           mean over factors of the F1 of "the factor fires" as a detector of
                 "its nearest feature fires"; 0 where a factor never meets its feature

Explained variance, L0, the share of factors alive and shrinkage (the norm ratio) are
those of `sparse_coding.metrics`. Nearest features are chosen by the dictionary alone,
so several factors may share one. A factor fires where its code is not zero.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from tfvis_jax.evaluation import matching
from tfvis_jax.sparse_coding import metrics


@dataclasses.dataclass(frozen=True)
class Recovery:
    """Scores of one method; see the module's docstring for the definitions.

    Attributes:
      f1: mean F1 of the factors.
      precision: mean share of a factor's firings in which its feature fires.
      recall: mean share of a feature's firings in which its factor fires.
      mcc: mean |cosine| of the best one-to-one matching.
      uniqueness: share of factors with a nearest feature of their own.
      explained_variance: 1 − FVU.
      l0: mean number of factors that fire in a row.
      true_l0: mean number of features that fire in a row.
      alive: share of factors that fire at all.
      shrinkage: mean of ‖x̂‖ / ‖x‖; below 1 where codes shrink.
    """

    f1: float
    precision: float
    recall: float
    mcc: float
    uniqueness: float
    explained_variance: float
    l0: float
    true_l0: float
    alive: float
    shrinkage: float


class FiringCounts(NamedTuple):
    """In how many rows factors and features fire.

    Attributes:
      both: [n_factors], rows in which a factor and its nearest feature fire.
      factor: [n_factors], rows in which the factor fires.
      feature: [n_factors], rows in which its nearest feature fires.
    """

    both: np.ndarray | jax.Array
    factor: np.ndarray | jax.Array
    feature: np.ndarray | jax.Array


def absolute_cosines(
    dictionary: jax.Array | np.ndarray, features: jax.Array | np.ndarray
) -> np.ndarray:
    """Returns |cosine| of every factor with every feature, [n_factors, n_true].

    Args:
      dictionary: [n_factors, d_model], any norms; a zero row has the cosine 0.
      features: [n_true, d_model].
    """
    return np.abs(matching.cosines(np.asarray(dictionary), np.asarray(features)))


def mean_matched_cosine(cosines: np.ndarray) -> float:
    """Returns MCC from `absolute_cosines`: their mean under the best matching."""
    rows, columns = scipy.optimize.linear_sum_assignment(cosines, maximize=True)
    return float(np.mean(cosines[rows, columns], dtype=np.float64))


def uniqueness(cosines: np.ndarray) -> float:
    """Returns the number of different nearest features over that of factors."""
    return len(np.unique(np.argmax(cosines, axis=1))) / len(cosines)


@jax.jit
def count_firings(
    codes: jax.Array, true_codes: jax.Array, nearest: jax.Array
) -> FiringCounts:
    """Returns the counts of one batch.

    Args:
      codes: [batch, n_factors].
      true_codes: [batch, n_true].
      nearest: [n_factors] int, the nearest feature of each factor.
    """
    factor = codes != 0
    feature = jnp.take(true_codes != 0, nearest, axis=1)
    return FiringCounts(
        both=jnp.sum(factor & feature, axis=0),
        factor=jnp.sum(factor, axis=0),
        feature=jnp.sum(feature, axis=0),
    )


def detection(counts: FiringCounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns precision, recall and F1 of every factor, each [n_factors] float64.

    What is undefined, because nothing fires, is 0.
    """
    both, factor, feature = (np.asarray(count, np.float64) for count in counts)
    precision = both / np.maximum(factor, 1)
    recall = both / np.maximum(feature, 1)
    f1 = 2 * both / np.maximum(factor + feature, 1)
    return precision, recall, f1


def evaluate(
    batches: Iterable[tuple[jax.Array, jax.Array]],
    *,
    encode: Callable[[jax.Array], jax.Array],
    decode: Callable[[jax.Array], jax.Array],
    dictionary: jax.Array,
    features: jax.Array,
) -> Recovery:
    """Scores a method on rows that it has not learned from.

    Args:
      batches: x [batch, d_model] and its true codes [batch, n_true], as of
        `synthetic.sample`; read once.
      encode: from x to codes [batch, n_factors].
      decode: from codes to x̂ [batch, d_model].
      dictionary: [n_factors, d_model], what the factors write.
      features: [n_true, d_model], the truth.
    """
    cosines = absolute_cosines(dictionary, features)
    nearest = jnp.asarray(np.argmax(cosines, axis=1))
    n_factors, d_model = dictionary.shape
    totals = metrics.ReconstructionTotals.zeros(d_model=d_model, n_factors=n_factors)
    counts = FiringCounts(*np.zeros((3, n_factors)))
    true_active = 0.0
    for x, true_codes in batches:
        codes = encode(x)
        totals += jax.device_get(_row_sums(x, codes, x - decode(codes)))
        batch = count_firings(codes, true_codes, nearest)
        counts = FiringCounts(
            *(total + np.asarray(new) for total, new in zip(counts, batch, strict=True))
        )
        true_active += float(jnp.sum(true_codes != 0))
    precision, recall, f1 = detection(counts)
    figures = metrics.figures([totals])
    return Recovery(
        f1=float(np.mean(f1)),
        precision=float(np.mean(precision)),
        recall=float(np.mean(recall)),
        mcc=mean_matched_cosine(cosines),
        uniqueness=uniqueness(cosines),
        explained_variance=figures.explained_variance,
        l0=figures.l0,
        true_l0=true_active / figures.n_rows,
        alive=figures.alive,
        shrinkage=figures.norm_ratio,
    )


@jax.jit
def _row_sums(x: jax.Array, codes: jax.Array, residual: jax.Array) -> metrics.RowSums:
    return metrics.row_sums(x, codes, residual, valid=jnp.ones(len(x), bool))

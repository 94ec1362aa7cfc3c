"""How what fires a factor changes with depth, and which factors explain which layer.

The contexts of a factor at a layer are the tokens with its largest α there. The overlap
of two layers is the share of contexts that are the same tokens. Two others stand beside
it: contexts of another factor at the second layer, and tokens of the same words drawn
at random, which is what a factor of the word alone would give.

The variance that a group of factors explains at a layer is

    Σ ⟨x̂_g − mean x̂_g, x − μ⟩ / Σ ‖x − μ‖²,      x̂_g = Σ_{f in g} α_f φ_f

The shares of all groups and of the residual add up to 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

LOWER, MIDDLE, UPPER = "lower layers", "middle layers", "upper layers"
CLASSES = (LOWER, MIDDLE, UPPER)
# A factor that has fewer contexts at a layer is not compared there.
LEAST_CONTEXTS = 5


def contexts(codes: Any, *, n: int) -> list[np.ndarray]:
    """Returns the rows with the largest codes of each factor, the largest first.

    Args:
      codes: CSR [rows, n_factors] of one layer.
      n: rows of a factor, at most; only those where it fires.
    """
    columns = codes.tocsc()
    found = []
    for start, end in zip(columns.indptr[:-1], columns.indptr[1:], strict=True):
        rows, values = columns.indices[start:end], columns.data[start:end]
        order = np.lexsort((rows, -values))
        order = order[values[order] > 0][:n]
        found.append(rows[order].astype(np.int64))
    return found


def importance(codes: Any, *, n: int) -> np.ndarray:
    """Returns the mean of the n largest codes of each factor, zeros included.

    The importance score of Yun et al. (2021), on these rows.

    Args:
      codes: CSR [rows, n_factors] of one layer.
      n: codes that are averaged.
    """
    columns = codes.tocsc()
    found = np.zeros(codes.shape[1])
    for factor, (start, end) in enumerate(
        zip(columns.indptr[:-1], columns.indptr[1:], strict=True)
    ):
        found[factor] = np.sort(columns.data[start:end])[::-1][:n].sum() / n
    return found


def overlaps(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the share of contexts that two layers have in common, [n_factors].

    |a ∩ b| / min(|a|, |b|): a factor that fires rarely at one layer is judged by its
    few contexts there. NaN for a factor with fewer than `LEAST_CONTEXTS` at either.

    Args:
      first: of each factor, rows at one layer, from `contexts`.
      second: the same at another layer.
    """
    found = np.full(len(first), np.nan)
    for factor, (a, b) in enumerate(zip(first, second, strict=True)):
        least = min(len(a), len(b))
        if least >= LEAST_CONTEXTS:
            found[factor] = len(np.intersect1d(a, b)) / least
    return found


def same_words(
    found: Sequence[np.ndarray], word: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draws for the contexts of each factor as many tokens of the same words.

    Args:
      found: of each factor, rows, from `contexts`.
      word: [rows] int, number of each row's word.
      rng: draws.

    Returns:
      Of each factor as many different rows, with the same words as often.
    """
    order = np.argsort(word, kind="stable")
    starts = np.searchsorted(word[order], np.arange(word.max(initial=-1) + 2))
    drawn = []
    for rows in found:
        words, counts = np.unique(word[rows], return_counts=True)
        parts = [
            rng.choice(order[starts[w] : starts[w + 1]], size=n, replace=False)
            for w, n in zip(words.tolist(), counts.tolist(), strict=True)
        ]
        drawn.append(np.concatenate([np.zeros(0, np.int64), *parts]))
    return drawn


def classes(curves: np.ndarray) -> np.ndarray:
    """Returns the third of the network in which each factor is most important.

    Args:
      curves: [n_layers, n_factors], importance.

    Returns:
      [n_factors] str, of `CLASSES`; "" for a factor that never fires.
    """
    n_layers = len(curves)
    third = np.minimum(3 * np.argmax(curves, axis=0) // n_layers, 2)
    return np.where(curves.max(axis=0) > 0, np.array(CLASSES)[third], "")


def explained(
    x: np.ndarray,
    codes: Any,
    factors: np.ndarray,
    groups: Sequence[np.ndarray],
) -> np.ndarray:
    """Returns ⟨x̂_g − mean x̂_g, x − μ⟩ of every row, [rows, n_groups] float64.

    Args:
      x: [rows, d_model] hidden states of one layer.
      codes: CSR [rows, n_factors].
      factors: [n_factors, d_model], as directions of these hidden states.
      groups: [n_factors] bool each.
    """
    centred = x - x.mean(axis=0, dtype=np.float64)
    shares = []
    for group in groups:
        part = np.float64(codes[:, np.flatnonzero(group)] @ factors[group])
        shares.append(np.sum((part - part.mean(axis=0)) * centred, axis=1))
    return np.stack(shares, axis=1)

"""Which other factors fire where the best one does not: splits and absorption.

A concept may be divided among factors (a *split*), or a factor for something narrower,
such as the word itself, may take over the concept where both are present (*absorption*;
Chanin et al. 2024, *A is for absorption*). Either leaves the best factor silent on
occurrences of its class.
"""

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from tfvis_jax.probing import logistic

_LISTED = 5
_WORDS = 12
# A factor stands in for the best one if it fires on so many of what that one misses,
_STANDS_IN = 0.3
# and is one for the class if it fires so much less on the word's other occurrences.
_OF_CLASS = 1 / 3


def describe(
    x: np.ndarray,
    codes: scipy.sparse.csr_array,
    factors: np.ndarray,
    is_positive: np.ndarray,
    others: scipy.sparse.csr_array,
    words: Sequence[str],
    *,
    best: int,
    threshold: float,
) -> dict[str, Any]:
    """Describes what fires on occurrences that the best factor misses.

    It describes all rows, and nothing is predicted: no fold is left out.

    Args:
      x: [n, d_model], rows of the word's occurrences, in the space of the factors.
      codes: [n, n_factors], their codes.
      factors: [n_factors, d_model].
      is_positive: [n] bool, occurrences of the class.
      others: [tokens, n_factors], codes of the other tokens.
      words: the other tokens as text.
      best: the factor that ranks the class best among all tokens.
      threshold: α above which it counts as firing for the class.

    Returns:
      Plain values: numbers of hits and misses, "false_alarms" (the other tokens that
      fire it, as words with their number), and the factors that add most along the
      direction of the class where the best one is missing, less what they add where it
      fires (α φ·w, w being the direction of a linear probe). Of each: how often it
      fires on misses, hits, the word's other occurrences and other tokens, and its
      "kind": "split" (one for the class), "absorbs" (of the word in any class, and
      instead of the best factor), "word" (of the word in any class, beside it) or
      "elsewhere" (fires on few of the misses).
    """
    active = np.asarray(codes[:, [best]].toarray())[:, 0] > max(threshold, 0)
    hits, misses = is_positive & active, is_positive & ~active
    found: dict[str, Any] = {
        "factor": best,
        "threshold": threshold,
        "n_hits": int(hits.sum()),
        "n_misses": int(misses.sum()),
        "false_alarms": _false_alarms(others, words, best, threshold),
        "factors": [],
    }
    if not misses.any() or not hits.any() or is_positive.all():
        return found
    probe = logistic.fit(x, is_positive.astype(np.int64), n_classes=2, strength=0.1)
    direction = (probe.coefficients[1] - probe.coefficients[0]) / probe.scale
    along = factors @ (direction / np.linalg.norm(direction))
    fires: Any = codes > 0

    def share(rows: np.ndarray) -> np.ndarray:
        return np.asarray(fires[rows].mean(axis=0)).ravel()

    more = codes[misses].mean(axis=0) - codes[hits].mean(axis=0)
    added = np.asarray(more).ravel() * along
    of_misses, of_hits, of_others = share(misses), share(hits), share(~is_positive)
    elsewhere = np.asarray(scipy.sparse.csr_array(others > 0).mean(axis=0)).ravel()
    added[best] = 0
    for factor in np.argsort(-added, kind="stable")[:_LISTED].tolist():
        if of_misses[factor] < _STANDS_IN:
            kind = "elsewhere"
        elif of_others[factor] < _OF_CLASS * of_misses[factor]:
            kind = "split"
        elif of_hits[factor] < _OF_CLASS * of_misses[factor]:
            kind = "absorbs"
        else:
            kind = "word"
        found["factors"].append(
            {
                "factor": factor,
                "kind": kind,
                "along_the_class": round(float(added[factor]), 4),
                "misses": round(float(of_misses[factor]), 3),
                "hits": round(float(of_hits[factor]), 3),
                "other_occurrences": round(float(of_others[factor]), 3),
                "other_tokens": round(float(elsewhere[factor]), 4),
            }
        )
    return found


def _false_alarms(
    others: scipy.sparse.csr_array, words: Sequence[str], best: int, threshold: float
) -> dict[str, int]:
    fires = np.asarray(others[:, [best]].toarray())[:, 0] > max(threshold, 0)
    counts = collections.Counter(words[row] for row in np.flatnonzero(fires).tolist())
    return dict(counts.most_common(_WORDS))

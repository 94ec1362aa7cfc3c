"""Measure how faithful a saliency map is by inserting and deleting tokens in order.

Tokens are ranked by weight, largest first. If a map is faithful, inserting few tokens
restores the activation and deleting few tokens removes it. The metrics are those of
Petsiuk, Das & Saenko, "RISE", BMVC 2018, with tokens in place of pixels.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from tfvis_jax.saliency import questions, variants
from tfvis_jax.saliency import target as target_lib

# Maximum number of points on an insertion or deletion curve.
_POINTS = 33
# Numbers of top-ranked tokens for which the share of α kept is reported.
KEPT_TOKENS = (1, 3, 5, 10)


@dataclasses.dataclass(frozen=True)
class Quality:
    """Quality metrics of one map; α is that of the whole window.

    Attributes:
      insertion_area: mean of α(only the first k tokens) / α over k/n from 0 to 1;
        higher is better.
      deletion_area: mean of α(without the first k tokens) / α over k/n from 0 to 1;
        lower is better.
      kept: α(only the first k tokens) / α for k in `KEPT_TOKENS`, k ≤ n.
    """

    insertion_area: float
    deletion_area: float
    kept: dict[int, float]


def measure(
    probe: variants.Probe,
    targets: Sequence[target_lib.Target],
    weights: Sequence[np.ndarray],
    *,
    replacement: int,
) -> list[Quality]:
    """Measures one map for each target.

    Args:
      probe: the model at one layer.
      targets: tokens; α must be above 0. A target may be repeated.
      weights: [n] for each target, the map.
      replacement: id of the token that replaces deleted ones.
    """
    return questions.answer(probe, question(targets, weights, replacement=replacement))


def question(
    targets: Sequence[target_lib.Target],
    weights: Sequence[np.ndarray],
    *,
    replacement: int,
) -> questions.Question[list[Quality]]:
    """Asks for what `measure` returns."""
    found = yield [
        variants.replacing(target, _masks(weight), by=replacement)
        for target, weight in zip(targets, weights, strict=True)
    ]
    return [
        _quality(alpha, n=len(weight))
        for alpha, weight in zip(found, weights, strict=True)
    ]


def mean(qualities: Sequence[Quality]) -> Quality:
    """Returns the mean metrics of several maps of one target."""

    def over(values: Iterable[float]) -> float:
        return float(np.mean(list(values)))

    return Quality(
        insertion_area=over(q.insertion_area for q in qualities),
        deletion_area=over(q.deletion_area for q in qualities),
        kept={k: over(q.kept[k] for q in qualities) for k in qualities[0].kept},
    )


def _masks(weight: np.ndarray) -> np.ndarray:
    """Returns masks: all kept, insertions, deletions, then those of `KEPT_TOKENS`."""
    # Tokens of equal weight are ranked from left to right.
    rank = np.argsort(np.argsort(-weight, kind="stable"))
    first = rank < _sizes(len(weight))[:, None]
    few = rank < np.array(_few(len(weight)))[:, None]
    return np.concatenate([np.ones((1, len(weight)), bool), first, ~first, few])


def _sizes(n: int) -> np.ndarray:
    """Returns the numbers of tokens at the points of a curve, from 0 to n."""
    return np.unique(np.linspace(0, n, min(n + 1, _POINTS)).round().astype(np.int64))


def _few(n: int) -> list[int]:
    return [k for k in KEPT_TOKENS if k <= n]


def _quality(alpha: np.ndarray, *, n: int) -> Quality:
    """Returns the metrics from α under the masks of `_masks`."""
    sizes = _sizes(n)
    share = alpha[1:] / alpha[0]
    inserted, deleted, few = np.split(share, [len(sizes), 2 * len(sizes)])
    return Quality(
        insertion_area=float(np.trapezoid(inserted, sizes / n)),
        deletion_area=float(np.trapezoid(deleted, sizes / n)),
        kept=dict(zip(_few(n), few.tolist(), strict=True)),
    )

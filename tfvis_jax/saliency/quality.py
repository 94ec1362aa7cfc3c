"""How faithful a map is: what happens when tokens come and go in its order.

Tokens are ranked by weight, the largest first. Of a faithful map, few tokens bring the
activation back (insertion) and few take it away (deletion). Petsiuk, Das & Saenko,
"RISE", BMVC 2018, on tokens.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfvis_jax.saliency import target as target_lib
from tfvis_jax.saliency import variants

# Points of a curve, at most; and numbers of tokens of which the share kept is told.
_POINTS = 33
KEPT_TOKENS = (1, 3, 5, 10)


@dataclasses.dataclass(frozen=True)
class Quality:
    """Figures of one map; α is that of the whole window.

    Attributes:
      insertion_area: mean of α(only the k first tokens) / α over the share k/n from 0
        to 1; high is good.
      deletion_area: mean of α(without the k first tokens) / α; low is good.
      kept: α(only the k first tokens) / α for k of `KEPT_TOKENS`, up to n.
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
    """Measures one map of each target.

    Args:
      probe: the model at the layer in question.
      targets: tokens; α must be above 0. One may come several times.
      weights: [n] for each target.
      replacement: id of the token that takes the place of those that are not there.
    """
    requests = [
        variants.replacing(target, _masks(weight), by=replacement)
        for target, weight in zip(targets, weights, strict=True)
    ]
    return [
        _quality(alpha, n=len(weight))
        for alpha, weight in zip(probe.activations(requests), weights, strict=True)
    ]


def mean(qualities: Sequence[Quality]) -> Quality:
    """Returns the mean of the figures of maps of one target."""

    def over(values):
        return float(np.mean(list(values)))

    return Quality(
        insertion_area=over(q.insertion_area for q in qualities),
        deletion_area=over(q.deletion_area for q in qualities),
        kept={k: over(q.kept[k] for q in qualities) for k in qualities[0].kept},
    )


def _masks(weight):
    """Returns all kept, the insertions, the deletions, then those of `KEPT_TOKENS`."""
    rank = np.argsort(np.argsort(-weight, kind="stable"))
    first = rank < _sizes(len(weight))[:, None]
    few = rank < np.array(_few(len(weight)))[:, None]
    return np.concatenate([np.ones((1, len(weight)), bool), first, ~first, few])


def _sizes(n):
    return np.unique(np.linspace(0, n, min(n + 1, _POINTS)).round().astype(np.int64))


def _few(n):
    return [k for k in KEPT_TOKENS if k <= n]


def _quality(alpha, *, n):
    sizes = _sizes(n)
    share = alpha[1:] / alpha[0]
    inserted, deleted, few = np.split(share, [len(sizes), 2 * len(sizes)])
    return Quality(
        insertion_area=float(np.trapezoid(inserted, sizes / n)),
        deletion_area=float(np.trapezoid(deleted, sizes / n)),
        kept=dict(zip(_few(n), few.tolist(), strict=True)),
    )

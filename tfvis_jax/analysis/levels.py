"""Low, mid or high: how deep in the network a factor comes into being.

Yun et al. (2021) read the level off the importance curve by eye: low-level factors are
there in the first layers, mid-level ones rise in the middle, high-level ones only at
the top. Here the *onset* of a factor is the shallowest layer in which its importance
reaches `ONSET_SHARE` of its largest; the thirds of the network decide the level. Layers
in which it fires on fewer than `MIN_FIRING` tokens do not count.
"""

import dataclasses

import numpy as np

LEVELS = ("low", "mid", "high", "unclear")
ONSET_SHARE = 0.5
# A mean over fewer firing tokens than this says nothing.
MIN_FIRING = 20


@dataclasses.dataclass(frozen=True)
class Level:
    """The level of one factor.

    Attributes:
      name: one of `LEVELS`.
      reason: a sentence.
    """

    name: str
    reason: str


def classify(
    importance: np.ndarray, firing: np.ndarray, *, layers: tuple[int, ...]
) -> list[Level]:
    """Returns the level of every factor.

    Args:
      importance: [n_layers, n_factors] importance scores.
      firing: [n_layers, n_factors] numbers of tokens on which a factor fires.
      layers: numbers of the layers, rising.
    """
    return [
        _level(importance[:, factor], firing[:, factor], layers)
        for factor in range(importance.shape[1])
    ]


def _level(curve, firing, layers) -> Level:
    if not firing.any():
        return Level("unclear", "It never fires.")
    if firing.max() < MIN_FIRING:
        return Level(
            "unclear", f"It fires on {firing.max()} tokens of a layer at most."
        )
    curve = np.where(firing >= MIN_FIRING, curve, 0)
    if len(layers) < 3:
        return Level("unclear", "Fewer than three layers say nothing about depth.")
    onset = int(np.argmax(curve >= ONSET_SHARE * curve.max()))
    peak = int(np.argmax(curve))
    name = LEVELS[min(3 * onset // len(layers), 2)]
    return Level(
        name,
        f"Its importance reaches half of its peak (layer {layers[peak]}) "
        f"at layer {layers[onset]}.",
    )

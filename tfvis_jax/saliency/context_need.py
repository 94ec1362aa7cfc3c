"""Measure context need: how much surrounding text an activation depends on."""

from collections.abc import Sequence

import numpy as np

from tfvis_jax.saliency import target as target_lib
from tfvis_jax.saliency import variants

# Fraction of α that the visible window must keep.
_SHARE = 0.9


def curves(
    probe: variants.Probe,
    targets: Sequence[target_lib.Target],
    *,
    radii: Sequence[int],
) -> list[np.ndarray]:
    """Returns the share of α that remains when only nearby tokens are visible.

    Tokens beyond the radius are masked out of attention. Special tokens stay visible,
    and positions are unchanged. Masking removes both the content and the presence of a
    token, whereas a replacement would leave its presence visible.

    Args:
      probe: the model at one layer.
      targets: tokens to measure.
      radii: numbers of tokens that are visible on either side.

    Returns:
      [len(radii)] for each target; NaN if α is 0 with the whole window visible.
    """
    requests = [_within(target, radii) for target in targets]
    return [
        alpha[1:] / alpha[0] if alpha[0] > 0 else np.full(len(radii), np.nan)
        for alpha in probe.activations(requests)
    ]


def needs(probe: variants.Probe, targets: Sequence[target_lib.Target]) -> list[int]:
    """Returns the smallest radius that keeps 90 % of α, for each target.

    Radius 0 is the token alone; the largest radius covers the whole window.
    """
    requests = [
        _within(target, range(_largest_radius(target) + 1)) for target in targets
    ]
    found = []
    for alpha in probe.activations(requests):
        enough = alpha[1:] >= _SHARE * alpha[0]
        # The last radius shows the whole window, so only rounding could fail it.
        enough[-1] = True
        found.append(int(np.argmax(enough)))
    return found


def _largest_radius(target: target_lib.Target) -> int:
    return int(np.max(np.abs(target.places - target.position)))


def _within(target: target_lib.Target, radii: Sequence[int]) -> variants.Variants:
    """Returns the whole window, then the window masked beyond each radius."""
    length = len(target.token_ids)
    distance = np.abs(np.arange(length) - target.position)
    seen = distance <= np.array([length, *radii])[:, None]
    seen |= ~target.is_text
    token_ids = np.broadcast_to(target.token_ids, seen.shape)
    return variants.Variants(token_ids, seen, target)

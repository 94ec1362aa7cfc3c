"""Context need: how much of the text round a token its activation depends on."""

from collections.abc import Sequence

import numpy as np

from tfvis_jax.saliency import target as target_lib
from tfvis_jax.saliency import variants

# Of α, that the window must keep.
_SHARE = 0.9


def curves(
    probe: variants.Probe,
    targets: Sequence[target_lib.Target],
    *,
    radii: Sequence[int],
) -> list[np.ndarray]:
    """Returns the share of α that is left when only the tokens nearby are seen.

    What is further away is hidden from attention; special tokens are seen, and
    positions stay. That removes a token's content and presence alike, where a
    replacement would leave word of its presence.

    Args:
      probe: the model at the layer in question.
      targets: tokens.
      radii: how many tokens are seen on either side.

    Returns:
      [len(radii)] for each target; NaN where α is 0 when all is seen.
    """
    requests = [_within(target, radii) for target in targets]
    return [
        alpha[1:] / alpha[0] if alpha[0] > 0 else np.full(len(radii), np.nan)
        for alpha in probe.activations(requests)
    ]


def needs(probe: variants.Probe, targets: Sequence[target_lib.Target]) -> list[int]:
    """Returns the smallest radius that keeps 90 % of α, for each target.

    0 is the token alone; the largest is where the window ends.
    """
    requests = [
        _within(target, range(_largest_radius(target) + 1)) for target in targets
    ]
    found = []
    for alpha in probe.activations(requests):
        enough = alpha[1:] >= _SHARE * alpha[0]
        # At the last radius all is seen: the comparison is with itself.
        enough[-1] = True
        found.append(int(np.argmax(enough)))
    return found


def _largest_radius(target):
    return int(np.max(np.abs(target.places - target.position)))


def _within(target, radii):
    length = len(target.token_ids)
    distance = np.abs(np.arange(length) - target.position)
    seen = distance <= np.array([length, *radii])[:, None]
    seen |= ~target.is_text
    token_ids = np.broadcast_to(target.token_ids, seen.shape)
    return variants.Variants(token_ids, seen, target)

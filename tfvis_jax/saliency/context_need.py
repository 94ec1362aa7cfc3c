"""Measure context need: how much surrounding text an activation depends on."""

from collections.abc import Sequence

import numpy as np

from tfvis_jax.saliency import questions, variants
from tfvis_jax.saliency import target as target_lib

# Fraction of α that the visible window must keep.
_SHARE = 0.9
# Number of radii that are tried first; twice as many each later time.
_FIRST_RADII = 16


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
    return questions.answer(probe, question(targets))


def question(
    targets: Sequence[target_lib.Target],
) -> questions.Question[list[int]]:
    """Asks for what `needs` returns, a few radii at a time: most needs are small."""
    need: list[int | None] = [None] * len(targets)
    first, step = 0, _FIRST_RADII
    while going := [i for i, found in enumerate(need) if found is None]:
        radii = [
            range(first, min(first + step, _largest_radius(targets[i]) + 1))
            for i in going
        ]
        found = yield [
            _within(targets[i], some) for i, some in zip(going, radii, strict=True)
        ]
        for i, some, alpha in zip(going, radii, found, strict=True):
            enough = alpha[1:] >= _SHARE * alpha[0]
            # The largest radius shows the whole window: only rounding could fail it.
            enough[-1] |= some[-1] == _largest_radius(targets[i])
            if enough.any():
                need[i] = some[int(np.argmax(enough))]
        first, step = first + step, 2 * step
    return [found for found in need if found is not None]


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

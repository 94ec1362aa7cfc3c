"""Occlusion: how much of an activation is lost when one token is replaced."""

from collections.abc import Sequence

import numpy as np

from tfvis_jax.saliency import target as target_lib
from tfvis_jax.saliency import variants


def explain(
    probe: variants.Probe,
    targets: Sequence[target_lib.Target],
    *,
    replacement: int,
) -> list[np.ndarray]:
    """Returns α − α without the token, [n] for each target.

    Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014,
    with tokens in place of patches.

    Args:
      probe: the model at the layer in question.
      targets: tokens.
      replacement: id of the token that takes the other's place.
    """
    requests = [
        variants.replacing(target, _one_missing(len(target.places)), by=replacement)
        for target in targets
    ]
    return [alpha[0] - alpha[1:] for alpha in probe.activations(requests)]


def _one_missing(n: int) -> np.ndarray:
    """Returns masks [1 + n, n]: all kept, then all but one."""
    return np.concatenate([np.ones((1, n), bool), ~np.eye(n, dtype=bool)])

"""Occlusion: measure how much of α is lost when a single token is replaced."""

from collections.abc import Sequence

import numpy as np

from tfvis_jax.saliency import questions, variants
from tfvis_jax.saliency import target as target_lib


def explain(
    probe: variants.Probe,
    targets: Sequence[target_lib.Target],
    *,
    replacement: int,
) -> list[np.ndarray]:
    """Returns α(window) − α(window with one token replaced), [n] for each target.

    Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014,
    with tokens in place of patches.

    Args:
      probe: the model at one layer.
      targets: tokens to explain.
      replacement: id of the token that replaces another.
    """
    return questions.answer(probe, question(targets, replacement=replacement))


def question(
    targets: Sequence[target_lib.Target], *, replacement: int
) -> questions.Question[list[np.ndarray]]:
    """Asks for what `explain` returns."""
    found = yield [
        variants.replacing(target, _one_missing(len(target.places)), by=replacement)
        for target in targets
    ]
    return [alpha[0] - alpha[1:] for alpha in found]


def _one_missing(n: int) -> np.ndarray:
    """Returns masks [1 + n, n]: all tokens kept, then all but one."""
    return np.concatenate([np.ones((1, n), bool), ~np.eye(n, dtype=bool)])

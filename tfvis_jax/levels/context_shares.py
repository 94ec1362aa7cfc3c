"""Measure context shares: how much of α a factor keeps when little text is visible.

Each factor is measured on some of its top-activating examples at the layer where it
peaks, from different documents if there are enough. Its context share within a radius
is the mean share of α that remains when only the tokens within the radius are visible
(`context_need.curves`).
"""

from collections.abc import Callable, Sequence

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import stored
from tfvis_jax.runs import dictionary_file, setup
from tfvis_jax.saliency import context_need, variants
from tfvis_jax.saliency import target as target_lib

# The token alone, and the reach of an n-gram. Radii of 1 and 8 separate patterns from
# longer ranges no better than 3, and every radius costs one window per token.
RADII = (0, 3)
# Number of candidates per chosen token: more candidates come from more documents.
CANDIDATES = 4
# Targets per batch: enough to fill the batches, few enough to report progress.
_TARGETS_AT_ONCE = 128


def measure(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    windows: windows_lib.Windows,
    examples: stored.Examples,
    *,
    peaks: np.ndarray,
    per_factor: int,
    progress: Callable[[int, int], None],
    factors: Sequence[int] | None = None,
) -> np.ndarray:
    """Measures the mean share of α within each radius.

    Args:
      opened: model and settings of the run.
      trained: dictionary of the run.
      windows: token windows of the run.
      examples: examples of the dictionary.
      peaks: [n_factors] index of the layer at which each factor peaks.
      per_factor: maximum number of tokens per factor.
      progress: called with (tokens done, tokens in total).
      factors: factors to measure; all if None.

    Returns:
      [n_factors, len(RADII)] float64 in 0 … 1; NaN for factors that never fire or were
      not measured. Tokens that do not fire the factor when encoded again are skipped.
    """
    chosen: list[list[tuple[int, int]]] = [[] for _ in trained.factors]
    for factor in range(len(chosen)) if factors is None else factors:
        chosen[factor] = _chosen(
            examples, windows, layer=int(peaks[factor]), factor=factor, n=per_factor
        )
    total = sum(map(len, chosen))
    sums = np.zeros((len(trained.factors), len(RADII)))
    count = np.zeros((len(trained.factors), 1), np.int64)
    done = 0
    # Layer by layer, because a probe computes one layer.
    for index, layer in enumerate(trained.layers):
        probe = variants.open_probe(opened, trained, layer=layer)
        places = [
            (factor, *place)
            for factor, found in enumerate(chosen)
            if peaks[factor] == index
            for place in found
        ]
        for start in range(0, len(places), _TARGETS_AT_ONCE):
            part = places[start : start + _TARGETS_AT_ONCE]
            targets = [
                target_lib.of_window(
                    windows, window=window, position=position, factor=factor
                )
                for factor, window, position in part
            ]
            shares = context_need.curves(probe, targets, radii=RADII)
            for target, share in zip(targets, shares, strict=True):
                # NaN: α was below the tolerance of the examples pass, and is 0 here.
                if not np.isnan(share).any():
                    # Clipped, because some tokens inhibit a factor: with them hidden it
                    # fires more strongly.
                    sums[target.factor] += np.clip(share, 0, 1)
                    count[target.factor] += 1
            done += len(part)
            progress(done, total)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


def _chosen(
    examples: stored.Examples,
    windows: windows_lib.Windows,
    *,
    layer: int,
    factor: int,
    n: int,
) -> list[tuple[int, int]]:
    """Returns (window, position) of n strong tokens, from n documents if possible."""
    top = examples.top(layer, factor, stop=CANDIDATES * n)
    # The first token of each document comes before the second of any.
    seen, first, rest = set(), [], []
    for place in zip(top.window.tolist(), top.position.tolist(), strict=True):
        document = windows.document(place[0])
        (rest if document in seen else first).append(place)
        seen.add(document)
    return (first + rest)[:n]

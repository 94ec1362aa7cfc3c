"""Context shares: how much of its activation a factor keeps when it sees little text.

For each factor, some of its strongest tokens at the layer where it peaks, each of
another document where there are as many; and the mean share of α that is left when only
the tokens within a radius are seen (`context_need.curves`).
"""

from collections.abc import Callable, Sequence

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import stored
from tfvis_jax.runs import dictionary_file, setup
from tfvis_jax.saliency import context_need, variants
from tfvis_jax.saliency import target as target_lib

# The token alone, and as far as an n-gram goes. Radii of 1 and 8 tell patterns from
# longer ranges no better than 3 does, and each costs a window for every token.
RADII = (0, 3)
# Strongest tokens that one token is chosen from, for the sake of other documents.
CANDIDATES = 4
# Targets that are probed together: enough to fill batches, few enough for progress.
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
    """Returns the mean share of α within each radius.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens.
      examples: of that dictionary.
      peaks: [n_factors] index of the layer at which each factor peaks.
      per_factor: tokens for each factor, at most.
      progress: called with (tokens done, tokens in all).
      factors: which to measure; all if None.

    Returns:
      [n_factors, len(RADII)] float64 in 0 … 1; NaN where a factor never fires or
      was not to be measured. Tokens that do not fire it when encoded again are left
      out.
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
                # An α within the tolerance of examples may be none here.
                if not np.isnan(share).any():
                    # Other tokens may hold a factor down: alone it then fires more.
                    sums[target.factor] += np.clip(share, 0, 1)
                    count[target.factor] += 1
            done += len(part)
            progress(done, total)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


def _chosen(examples, windows, *, layer, factor, n) -> list[tuple[int, int]]:
    """Returns (window, position) of strong tokens, new documents first."""
    alpha = examples.activation[layer, factor, : CANDIDATES * n]
    count = int(np.count_nonzero(alpha > 0))
    window = examples.window[layer, factor, :count]
    position = examples.position[layer, factor, :count]
    seen, first, rest = set(), [], []
    for place in zip(window.tolist(), position.tolist(), strict=True):
        document = windows.document(place[0])
        (rest if document in seen else first).append(place)
        seen.add(document)
    return (first + rest)[:n]

"""A uniform sample of the tokens that fire a factor, the same however it is gathered.

Every (layer, factor, token) has a number that looks random; the sample are the tokens
of the smallest ones. Samples of parts of a corpus add up to that of the whole.
"""

import numpy as np

from tfvis_jax.examples import ranked_lists

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def streams(*, seed: int, layer: int, n_factors: int) -> np.ndarray:
    """Returns where the random numbers of each factor begin, [n_factors] uint64.

    Args:
      seed: another one draws another sample.
      layer: number of the layer.
      n_factors: factors in the dictionary.
    """
    start = np.full(n_factors, seed % 2**64, np.uint64)
    start = _mix(start + _GOLDEN * np.full(n_factors, layer + 1, np.uint64))
    return _mix(start ^ (_GOLDEN * (np.arange(n_factors, dtype=np.uint64) + 1)))


def ranks(stream: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Returns ranks [m] uint64, uniform below 2^`ranked_lists.RANK_BITS`.

    The generator is SplitMix64 (Steele, Lea and Flood 2014), entered at any place.

    Args:
      stream: [m] uint64, that of each entry's factor, from `streams`.
      place: [m] int64, place of the token in the corpus.
    """
    mixed = _mix(stream + _GOLDEN * (place.astype(np.uint64) + np.uint64(1)))
    return mixed >> np.uint64(64 - ranked_lists.RANK_BITS)


def _mix(state):
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def in_band(
    activation: np.ndarray,
    sample: np.ndarray,
    *,
    firing: int,
    band: tuple[float, float],
) -> tuple[str, np.ndarray]:
    """Says which tokens stand for a band of quantiles of a factor's activations.

    Where the strongest tokens that are stored hold the whole band, it is exact: they
    are ranked among all that fire. Elsewhere the quantile is that in the sample.

    Args:
      activation: [n] of the strongest tokens, falling, 0 where fewer fire.
      sample: [n_random] of the sample, 0 where fewer fire.
      firing: tokens that fire the factor.
      band: quantiles of α, such as (0.9, 0.99); the upper end belongs to it.

    Returns:
      "top" or "random", and the places there, [k]; those of "random" in random order.
    """
    low, high = band
    first, stop = (int(np.ceil(round((1 - q) * firing, 6))) for q in (high, low))
    if stop <= np.count_nonzero(activation):
        return "top", np.arange(first, stop)
    alive = np.flatnonzero(sample)
    order = np.argsort(np.argsort(sample[alive], kind="stable"), kind="stable")
    quantile = (order + 0.5) / max(len(alive), 1)
    return "random", alive[(quantile > low) & (quantile <= high)]

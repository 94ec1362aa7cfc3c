"""Draw a uniform sample of the tokens that fire a factor, independent of the order.

A hash of (layer, factor, token) gives each token a pseudorandom rank. The sample is
the tokens of lowest rank, so the samples of parts of a corpus merge into the sample of
the whole.
"""

import numpy as np

from tfvis_jax.examples import ranked_lists

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def streams(*, seed: int, layer: int, n_factors: int) -> np.ndarray:
    """Returns the start of each factor's random stream, [n_factors] uint64.

    Args:
      seed: random seed of the sample.
      layer: number of the layer.
      n_factors: number of factors in the dictionary.
    """
    start = np.full(n_factors, seed % 2**64, np.uint64)
    start = _mix(start + _GOLDEN * np.full(n_factors, layer + 1, np.uint64))
    return _mix(start ^ (_GOLDEN * (np.arange(n_factors, dtype=np.uint64) + 1)))


def ranks(stream: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Returns ranks [m] uint64, uniform below 2^`ranked_lists.RANK_BITS`.

    The generator is SplitMix64 (Steele, Lea and Flood 2014), evaluated at any index.

    Args:
      stream: [m] uint64, stream of each entry's factor, from `streams`.
      place: [m] int64, position of the token in the corpus.
    """
    mixed = _mix(stream + _GOLDEN * (place.astype(np.uint64) + np.uint64(1)))
    return mixed >> np.uint64(64 - ranked_lists.RANK_BITS)


def _mix(state: np.ndarray) -> np.ndarray:
    """Returns the output function of SplitMix64 at each state, [m] uint64."""
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
    """Chooses the tokens that represent a band of quantiles of a factor's activations.

    If the stored top-activating examples cover the whole band, quantiles are exact,
    because their rank among all firing tokens is known. Otherwise quantiles are those
    of the random sample.

    Args:
      activation: [n], α of the top-activating examples, descending, padded with 0.
      sample: [n_random], α of the random sample, padded with 0.
      firing: number of tokens that fire the factor.
      band: lower and upper quantile of α, such as (0.9, 0.99); the upper is included.

    Returns:
      "top" or "random", and the chosen indices into that list, [k]; those of "random"
      are in random order.
    """
    low, high = band
    # Rounded, because (1 − 0.7) · 10 is a little more than 3 in floating point.
    first, stop = (int(np.ceil(round((1 - q) * firing, 6))) for q in (high, low))
    if stop <= np.count_nonzero(activation):
        return "top", np.arange(first, stop)
    alive = np.flatnonzero(sample)
    rank = np.argsort(np.argsort(sample[alive], kind="stable"), kind="stable")
    quantile = (rank + 0.5) / max(len(alive), 1)
    return "random", alive[(quantile > low) & (quantile <= high)]

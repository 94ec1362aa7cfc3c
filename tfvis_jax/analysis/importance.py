"""The importance score: in which layers a factor lives."""

import numpy as np


def importance_scores(activation: np.ndarray, *, n: int) -> np.ndarray:
    """Returns the mean of the n largest activations per layer and factor.

    The importance score of Yun et al. (2021), who take n = 1000, with one difference:
    where fewer tokens fire, the mean is over those that do instead of counting zeros,
    so that a rare factor is not taken for a weak one; 0 where none fires.

    Args:
      activation: [n_layers, n_factors, at least n], falling, 0 where none.
      n: activations that count.

    Returns:
      [n_layers, n_factors] float32.
    """
    best = activation[:, :, :n].astype(np.float64)
    count = np.count_nonzero(best, axis=2)
    return (best.sum(axis=2) / np.maximum(count, 1)).astype(np.float32)

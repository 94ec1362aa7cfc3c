"""The importance score: in which layers a factor lives."""

import numpy as np


def importance_scores(activation: np.ndarray, *, n: int) -> np.ndarray:
    """Returns the mean of the n largest activations per layer and factor.

    The importance score of Yun et al. (2021), who take n = 1000, and 500 in the
    notebook of their code, with one difference: where fewer tokens fire, the mean is
    over those that do instead of counting zeros, so that a rare factor is not taken for
    a weak one; 0 where none fires. `counts` says how many there are.

    Args:
      activation: [n_layers, n_factors, at least n], falling, 0 where none.
      n: activations that count.

    Returns:
      [n_layers, n_factors] float32.
    """
    best = activation[:, :, :n].astype(np.float64)
    count = np.count_nonzero(best, axis=2)
    return (best.sum(axis=2) / np.maximum(count, 1)).astype(np.float32)


def counts(firing: np.ndarray, *, n: int) -> np.ndarray:
    """Returns how many activations a score is the mean of: n, or fewer if fewer fire.

    Args:
      firing: [n_layers, n_factors], tokens on which the factor fires.
      n: activations that count.
    """
    return np.minimum(firing, n)


def norm_free_scores(scores: np.ndarray, mean_norm: np.ndarray) -> np.ndarray:
    """Returns α·‖φ‖ over the mean ‖x‖ of the layer instead of α; ‖φ‖ is 1.

    Hidden states of deeper layers are longer, and a score rises with them although the
    factor's share does not. Layers of a run without --layer_scale are compared by this.

    Args:
      scores: [n_layers, n_factors], from `importance_scores`.
      mean_norm: [n_layers], `Examples.mean_norm`.
    """
    return (scores / np.maximum(mean_norm, 1e-30)[:, None]).astype(np.float32)

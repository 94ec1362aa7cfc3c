"""Compute importance scores: how strongly each factor is present at each layer."""

import numpy as np


def importance_scores(activation: np.ndarray, *, n: int) -> np.ndarray:
    """Returns the mean of the n largest activations per layer and factor.

    This is the importance score of Yun et al. (2021), who take n = 1000 (500 in the
    notebook of their code), with one difference. If fewer than n tokens fire a factor,
    the mean is over those that do, so that a rare factor does not look like a weak
    one. The score of a factor that never fires is 0. `counts` gives the number of
    activations in each mean.

    Args:
      activation: [n_layers, n_factors, at least n], descending, padded with 0.
      n: number of activations to average.

    Returns:
      [n_layers, n_factors] float32.
    """
    best = activation[:, :, :n].astype(np.float64)
    count = np.count_nonzero(best, axis=2)
    return (best.sum(axis=2) / np.maximum(count, 1)).astype(np.float32)


def counts(firing: np.ndarray, *, n: int) -> np.ndarray:
    """Returns how many activations each score averages: n, or fewer if fewer fire.

    Args:
      firing: [n_layers, n_factors], number of tokens on which the factor fires.
      n: number of activations to average.
    """
    return np.minimum(firing, n)


def norm_free_scores(scores: np.ndarray, mean_norm: np.ndarray) -> np.ndarray:
    """Divides scores by the mean ‖x‖ of their layer.

    Hidden states of deeper layers are longer, so α grows even where a factor's share of
    x, α‖φ‖ / ‖x‖ with ‖φ‖ = 1, does not. Use this to compare the layers of a run
    without --layer_scale.

    Args:
      scores: [n_layers, n_factors], from `importance_scores`.
      mean_norm: [n_layers], `Examples.mean_norm`.

    Returns:
      [n_layers, n_factors] float32.
    """
    return (scores / np.maximum(mean_norm, 1e-30)[:, None]).astype(np.float32)

"""Problems to solve in tests."""

import numpy as np


def sums_of_factors(
    batch: int = 16,
    d_model: int = 24,
    n_factors: int = 64,
    *,
    seed: int = 0,
    n_active: float = 6,
    noise: float = 0.1,
    dtype: type = np.float32,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and unit factors: sums of a few and noise, as hidden states are.

    Args:
      batch, d_model, n_factors: sizes; tests that take these share compiled programs.
      seed: of all numbers.
      n_active: factors in a row, on average.
      noise: standard deviation of what is added to each number.
      dtype: of both.
    """
    rng = np.random.default_rng(seed)
    dictionary = rng.normal(size=(n_factors, d_model))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    truth = rng.exponential(size=(batch, n_factors)) * (
        rng.random((batch, n_factors)) < n_active / n_factors
    )
    x = truth @ dictionary + noise * rng.normal(size=(batch, d_model))
    return x.astype(dtype), dictionary.astype(dtype)

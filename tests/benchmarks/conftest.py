"""A small lasso problem: sums of a few factors and noise, as hidden states are."""

import numpy as np
import pytest

from tfvis_jax.reporting import environment

N_FACTORS, D_MODEL, ROWS = 40, 16, 400


@pytest.fixture(scope="session")
def small_problem() -> tuple[np.ndarray, np.ndarray]:
    """Rows [400, 16] and factors [40, 16]."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(N_FACTORS, D_MODEL))
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    truth = rng.exponential(size=(ROWS, N_FACTORS)) * (
        rng.random((ROWS, N_FACTORS)) < 0.1
    )
    rows = truth @ factors + 0.05 * rng.normal(size=(ROWS, D_MODEL))
    return np.float32(rows), np.float32(factors)


@pytest.fixture
def problem_files(small_problem, tmp_path) -> dict[str, str]:
    """The same as files, as the flags that name them."""
    paths = {name: tmp_path / f"{name}.npy" for name in ("activations", "dictionary")}
    for path, array in zip(paths.values(), small_problem, strict=True):
        np.save(path, array)
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    """Competitors take one thread: tests run beside each other, and threads that wait
    for each other on cores that are taken are slower than one by far."""
    monkeypatch.setattr(environment, "num_cores", lambda: 1)

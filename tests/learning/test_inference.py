"""Codes of a run's settings: the lasso, and an elastic net without its shrinkage."""

import numpy as np
import pytest

from tfvis_jax import config, sparse_coding
from tfvis_jax.learning import inference


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(12, 6)).astype(np.float32)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    return rng.normal(size=(9, 6)).astype(np.float32), factors


def test_elastic_net_codes_lose_the_shrinkage_that_it_adds(problem):
    x, factors = problem
    solver = config.SolverConfig(l1_penalty=0.1, l2_penalty=0.5, tolerance=1e-6)
    found = inference.infer(x, factors, solver=solver)
    naive = sparse_coding.encode(
        x, factors, l1_penalty=0.1, l2_penalty=0.5, tolerance=1e-6
    )
    np.testing.assert_allclose(found.codes, 1.5 * naive.codes, rtol=1e-6)
    # With one orthogonal factor, the lasso's code (Zou and Hastie, 2005, Section 3.2).
    one = np.eye(6, dtype=np.float32)[:1]
    found = inference.infer(x, one, solver=solver).codes[:, 0]
    np.testing.assert_allclose(found, np.maximum(x[:, 0] - 0.1, 0), atol=1e-5)


def test_factors_are_learned_by_the_lasso(problem):
    x, factors = problem
    solver = config.SolverConfig(l1_penalty=0.1, l2_penalty=0.5, tolerance=1e-6)
    found = inference.infer(x, factors, solver=solver.of_training)
    lasso = sparse_coding.encode(x, factors, l1_penalty=0.1, tolerance=1e-6)
    np.testing.assert_array_equal(found.codes, lasso.codes)

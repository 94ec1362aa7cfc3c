"""The power-iteration bound against the exact eigenvalue."""

import numpy as np
import pytest

from tfvis_jax.sparse_coding import lipschitz


def _dictionary(n_factors, d_model, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_factors, d_model)).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 5), (7, 3), (3, 7), (200, 64), (64, 200)])
def test_bound_is_above_and_close_to_the_exact_value(shape):
    dictionary = _dictionary(*shape)
    exact = np.linalg.eigvalsh(np.float64(dictionary).T @ dictionary)[-1]
    bound = float(lipschitz.power_iteration(dictionary))
    # Margin of 5 %; 30 iterations on a random matrix find the rest to well under that.
    assert exact < bound < 1.06 * exact
    np.testing.assert_allclose(
        lipschitz.largest_eigenvalue(dictionary), exact, rtol=1e-5
    )


def test_bound_holds_where_the_factors_sum_to_zero():
    half = _dictionary(40, 16)
    dictionary = np.concatenate([half, -half])
    exact = np.linalg.eigvalsh(np.float64(dictionary).T @ dictionary)[-1]
    assert float(lipschitz.power_iteration(dictionary)) > exact


def test_bound_of_a_zero_dictionary_is_finite():
    assert np.isfinite(lipschitz.power_iteration(np.zeros((3, 4), np.float32)))

"""The power-iteration bound against the exact eigenvalue."""

import jax
import numpy as np
import pytest

from tfvis_jax.sparse_coding import lipschitz


def _dictionary(n_factors, d_model, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_factors, d_model)).astype(np.float32)


@pytest.mark.parametrize(
    "shape", [(1, 5), (7, 3), (3, 7), (200, 64), (64, 200), (600, 20)]
)
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


def test_the_square_of_many_factors_is_formed_once_and_gives_the_same(monkeypatch):
    dictionary = _dictionary(90, 10)
    assert len(dictionary) >= lipschitz._SQUARE_FROM * dictionary.shape[1]
    bound = float(lipschitz.power_iteration(dictionary))
    text = jax.jit(lipschitz.power_iteration).lower(dictionary).as_text()
    # Before the loop one product with the dictionary, in it none.
    assert text.count("tensor<90x10xf32>, tensor<90x10xf32>) ->") == 1
    monkeypatch.setattr(lipschitz, "_SQUARE_FROM", 1000)
    jax.clear_caches()
    np.testing.assert_allclose(lipschitz.power_iteration(dictionary), bound, rtol=1e-5)
    jax.clear_caches()


def test_factors_that_are_shared_give_the_same_bound():
    dictionary = _dictionary(160, 8)
    mesh = jax.make_mesh((8,), ("factor",))
    with jax.set_mesh(mesh):
        split = jax.device_put(dictionary, jax.NamedSharding(mesh, jax.P("factor")))
        bound = lipschitz.power_iteration(split)
    np.testing.assert_allclose(bound, lipschitz.power_iteration(dictionary), rtol=1e-5)

"""Refitted codes against non-negative least squares by SciPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from tfvis_jax.sparse_coding import encode, refit


def _problem(batch=12, d_model=40, n_factors=100, seed=0):
    rng = np.random.default_rng(seed)
    dictionary = rng.normal(size=(n_factors, d_model))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    truth = rng.exponential(size=(batch, n_factors)) * (
        rng.random((batch, n_factors)) < 6 / n_factors
    )
    x = truth @ dictionary + 0.05 * rng.normal(size=(batch, d_model))
    x[0] = 0
    x, dictionary = np.float32(x), np.float32(dictionary)
    return x, dictionary, encode.encode(x, dictionary, l1_penalty=0.1).codes


@pytest.mark.parametrize("max_active", [1, 4, 60])
def test_refit_is_non_negative_least_squares_on_the_largest_codes(max_active):
    x, dictionary, codes = _problem()
    got = refit.refit(x, dictionary, codes, max_active=max_active)
    for row in range(len(x)):
        support = np.argsort(-np.asarray(codes[row]))[:max_active]
        support = support[np.asarray(codes[row])[support] > 0]
        expected = np.zeros(len(dictionary))
        if support.size:
            expected[support], _ = optimize.nnls(
                np.float64(dictionary[support]).T, np.float64(x[row])
            )
        # Float32 spectral steps on a well conditioned support.
        np.testing.assert_allclose(got[row], expected, atol=1e-4)


def test_refit_reconstructs_better_than_the_penalised_codes():
    x, dictionary, codes = _problem()
    got = refit.refit(x, dictionary, codes, max_active=60)
    before = jnp.sum((x - codes @ dictionary) ** 2, axis=1)
    after = jnp.sum((x - got @ dictionary) ** 2, axis=1)
    assert np.all(after <= before + 1e-6)
    assert float(jnp.sum(after)) < 0.8 * float(jnp.sum(before))


def test_signed_refit_is_least_squares():
    x, dictionary, _ = _problem()
    codes = encode.encode(x, dictionary, l1_penalty=0.1, non_negative=False).codes
    got = refit.refit(x, dictionary, codes, max_active=8, non_negative=False)
    for row in range(1, len(x)):
        support = np.argsort(-np.abs(np.asarray(codes[row])))[:8]
        support = support[np.asarray(codes[row])[support] != 0]
        expected = np.zeros(len(dictionary))
        expected[support] = np.linalg.lstsq(
            np.float64(dictionary[support]).T, np.float64(x[row]), rcond=None
        )[0]
        np.testing.assert_allclose(got[row], expected, atol=1e-4)

"""The certificate against its definition in float64."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import decomposition

from tfvis_jax import sparse_coding


def _problem(batch=7, d_model=11, n_factors=19, seed=0):
    rng = np.random.default_rng(seed)
    dictionary = rng.normal(size=(n_factors, d_model))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    x = rng.normal(size=(batch, d_model))
    codes = np.maximum(rng.normal(size=(batch, n_factors)), 0)
    return np.float32(x), np.float32(dictionary), np.float32(codes)


def _primal(x, dictionary, codes, penalty):
    residual = x - codes @ dictionary
    return 0.5 * (residual**2).sum(1) + (penalty * np.abs(codes)).sum(1)


def _optimum(x, dictionary, penalty, non_negative):
    codes = decomposition.sparse_encode(
        np.float64(x),
        np.float64(dictionary),
        algorithm="lasso_cd",
        alpha=penalty,
        positive=non_negative,
        max_iter=100_000,
    )
    return codes, _primal(np.float64(x), np.float64(dictionary), codes, penalty)


@pytest.mark.parametrize("non_negative", [True, False])
def test_gap_is_primal_minus_dual_over_energy(non_negative):
    x, dictionary, codes = _problem()
    if not non_negative:
        codes = codes - 0.3
    gap = sparse_coding.duality_gap(
        x, dictionary, codes, l1_penalty=0.3, non_negative=non_negative
    )
    x, dictionary, codes = (np.float64(a) for a in (x, dictionary, codes))
    residual = x - codes @ dictionary
    correlation = residual @ dictionary.T
    largest = (correlation if non_negative else np.abs(correlation)).max(1)
    theta = residual * np.minimum(1, 0.3 / np.maximum(largest, 1e-30))[:, None]
    energy = 0.5 * (x**2).sum(1)
    dual = energy - 0.5 * ((x - theta) ** 2).sum(1)
    expected = (_primal(x, dictionary, codes, 0.3) - dual) / energy
    np.testing.assert_allclose(gap, expected, rtol=1e-5)


@pytest.mark.parametrize("non_negative", [True, False])
def test_gap_bounds_the_distance_to_the_optimum(non_negative):
    x, dictionary, codes = _problem()
    codes = codes * 0.2
    gap = sparse_coding.duality_gap(
        x, dictionary, codes, l1_penalty=0.3, non_negative=non_negative
    )
    _, optimum = _optimum(x, dictionary, 0.3, non_negative)
    excess = _primal(np.float64(x), np.float64(dictionary), codes, 0.3) - optimum
    energy = 0.5 * (np.float64(x) ** 2).sum(1)
    assert np.all(excess >= 0)
    np.testing.assert_array_less(excess / energy, gap)


def test_gap_vanishes_at_the_optimum_and_is_never_negative():
    x, dictionary, _ = _problem(batch=200)
    codes, _ = _optimum(x, dictionary, 0.3, non_negative=True)
    gap = sparse_coding.duality_gap(x, dictionary, np.float32(codes), l1_penalty=0.3)
    # The raw value, unclipped. sklearn stops at 1e-4 of the energy; float32 codes alone
    # cost about 1e-7.
    assert float(jnp.min(gap)) >= -1e-7
    assert float(jnp.median(gap)) < 1e-5


def test_gap_of_zero_rows_is_zero_and_of_wrong_codes_for_them_is_not():
    x, dictionary, codes = _problem()
    zeros = np.zeros_like(x)
    none = sparse_coding.duality_gap(zeros, dictionary, 0 * codes, l1_penalty=0.3)
    np.testing.assert_array_equal(none, 0)
    some = sparse_coding.duality_gap(zeros, dictionary, codes, l1_penalty=0.3)
    assert np.all(np.asarray(some) > 1)


def test_penalty_may_vary_by_row_and_by_factor():
    x, dictionary, codes = _problem()
    by_row = np.linspace(0.1, 0.5, len(x), dtype=np.float32)
    together = sparse_coding.duality_gap(x, dictionary, codes, l1_penalty=by_row)
    alone = [
        sparse_coding.duality_gap(
            x[i : i + 1], dictionary, codes[i : i + 1], l1_penalty=float(by_row[i])
        )[0]
        for i in range(len(x))
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    # λ_f on factor f is the plain problem in codes λ_f·α_f and factors d_f/λ_f.
    by_factor = np.linspace(0.5, 2, len(dictionary), dtype=np.float32)
    got = sparse_coding.duality_gap(x, dictionary, codes, l1_penalty=by_factor[None])
    scaled = dictionary / by_factor[:, None]
    expected = sparse_coding.duality_gap(x, scaled, codes * by_factor, l1_penalty=1.0)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("non_negative", [True, False])
def test_kkt_residual_tells_optimal_codes_from_others(non_negative):
    x, dictionary, codes = _problem()
    optimal, _ = _optimum(x, dictionary, 0.3, non_negative)
    settings = {"l1_penalty": 0.3, "non_negative": non_negative}
    at_optimum = sparse_coding.kkt_residual(
        x, dictionary, np.float32(optimal), **settings
    )
    # sklearn's own stopping rule leaves about 1e-3.
    assert float(jnp.max(at_optimum)) < 1e-2
    elsewhere = sparse_coding.kkt_residual(x, dictionary, codes, **settings)
    assert float(jnp.min(elsewhere)) > 0.1


def test_objective_is_the_definition():
    x, dictionary, codes = _problem()
    got = sparse_coding.lasso_objective(x, dictionary, codes, l1_penalty=0.3)
    np.testing.assert_allclose(got, _primal(x, dictionary, codes, 0.3), rtol=1e-5)

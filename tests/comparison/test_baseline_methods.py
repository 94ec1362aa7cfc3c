"""PCA and given dictionaries as methods; measuring and matching them."""

import itertools

import jax
import numpy as np
import pytest

from tfvis_jax import errors
from tfvis_jax.comparison import method, sparse_coding
from tfvis_jax.comparison import pca as pca_lib


def _rows(n_rows=300, d_model=10, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, d_model)) * np.linspace(3, 0.2, d_model)
    return np.float32(x @ np.linalg.qr(rng.normal(size=(d_model, d_model)))[0] + 1)


@pytest.mark.parametrize("n_components", [1, 4, 10])
def test_pca_leaves_what_the_smaller_singular_values_hold(n_components):
    x = _rows()
    pca = pca_lib.fit(x, n_components=n_components)
    singular = np.linalg.svd(np.float64(x) - np.float64(x).mean(axis=0))[1]
    expected = (singular[n_components:] ** 2).sum() / (singular**2).sum()
    figures = method.measure(pca, x)
    # Float32 covariance of variances that span a factor of 200.
    np.testing.assert_allclose(figures.fvu, expected, atol=1e-5)
    assert figures.l0 == n_components
    gram = np.float64(pca.factors) @ np.float64(pca.factors).T
    np.testing.assert_allclose(gram, np.eye(n_components), atol=1e-5)


def test_measure_is_the_fraction_of_variance_whatever_the_batches():
    x = _rows()
    pca = pca_lib.fit(x, n_components=3)
    residual = np.float64(x) - np.float64(pca.reconstruct(x))
    centred = np.float64(x) - np.float64(x).mean(axis=0)
    expected = (residual**2).sum() / (centred**2).sum()
    for batch_size in (7, 4096):
        figures = method.measure(pca, x, batch_size=batch_size)
        np.testing.assert_allclose(figures.fvu, expected, rtol=1e-5)
        assert figures.n_rows == len(x)


def test_matching_a_permutation_gives_one():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(12, 5))
    shuffled = 3.0 * factors[rng.permutation(12)]
    assert method.match_factors(factors, shuffled) == pytest.approx(1)


def test_matching_is_the_best_one_to_one_assignment():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    best = max(
        np.mean([a[row] @ b[column] for row, column in enumerate(order)])
        for order in itertools.permutations(range(5))
    )
    assert method.match_factors(a, b) == pytest.approx(best)
    # Taking each factor's own best would count some factors twice.
    assert best < np.mean((a @ b.T).max(axis=1))


def test_matching_ignores_factors_left_over_and_refuses_other_widths():
    factors = np.eye(6)
    assert method.match_factors(factors[:2], factors) == pytest.approx(1)
    with pytest.raises(errors.InputError, match="one width"):
        method.match_factors(factors, np.eye(5))


def test_pca_refuses_more_components_than_dimensions():
    with pytest.raises(errors.InputError, match="d_model = 10"):
        pca_lib.fit(_rows(), n_components=11)


def test_methods_agree_on_one_protocol():
    x = _rows()
    for candidate in (
        pca_lib.fit(x, n_components=2),
        sparse_coding.sample_factors(x, n_factors=32, seed=0, target_l0=3),
    ):
        expected = candidate.offset[None, :] + candidate.codes(x) @ candidate.factors
        np.testing.assert_allclose(candidate.reconstruct(x), expected, atol=1e-5)
        assert isinstance(candidate.factors, jax.Array)

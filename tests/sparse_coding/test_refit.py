"""Refitted codes against non-negative least squares by SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from tfvis_jax import errors, sparse_coding
from tfvis_jax.sparse_coding import refitting


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
    codes = sparse_coding.encode(x, dictionary, l1_penalty=0.1, tolerance=1e-6).codes
    return x, dictionary, codes


def _expected(x, dictionary, codes, *, k, non_negative=True):
    expected = np.zeros((len(x), len(dictionary)))
    for row, kept in enumerate(np.asarray(codes)):
        support = np.argsort(-np.abs(kept), kind="stable")[:k]
        support = support[kept[support] != 0]
        factors = np.float64(dictionary[support]).T
        if support.size and non_negative:
            expected[row, support], _ = optimize.nnls(factors, np.float64(x[row]))
        elif support.size:
            answer = np.linalg.lstsq(factors, np.float64(x[row]), rcond=None)
            expected[row, support] = answer[0]
    return expected


def _violation(x, dictionary, got, support):
    """Returns the largest violation of the KKT conditions of NNLS, [batch]."""
    x, dictionary, got = (np.float64(a) for a in (x, dictionary, got))
    correlation = (x - got @ dictionary) @ dictionary.T
    wrong = np.where(got > 0, np.abs(correlation), np.maximum(correlation, 0))
    norms = np.linalg.norm(dictionary, axis=1)
    return (np.where(support, wrong, 0) / norms).max(1)


@pytest.mark.parametrize("k", [1, 4, None])
def test_refit_is_non_negative_least_squares_on_the_largest_codes(k):
    x, dictionary, codes = _problem()
    got = sparse_coding.refit(x, dictionary, codes, k=k)
    expected = _expected(x, dictionary, codes, k=k)
    # Float32 spectral steps on a well conditioned support.
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_refit_reconstructs_better_than_the_penalised_codes():
    x, dictionary, codes = _problem()
    got = sparse_coding.refit(x, dictionary, codes)
    before = jnp.sum((x - codes @ dictionary) ** 2, axis=1)
    after = jnp.sum((x - got @ dictionary) ** 2, axis=1)
    assert np.all(after <= before + 1e-6)
    assert float(jnp.sum(after)) < 0.8 * float(jnp.sum(before))


def test_signed_refit_is_least_squares():
    x, dictionary, _ = _problem()
    codes = sparse_coding.encode(
        x, dictionary, l1_penalty=0.1, non_negative=False
    ).codes
    got = sparse_coding.refit(x, dictionary, codes, k=8, non_negative=False)
    expected = _expected(x, dictionary, codes, k=8, non_negative=False)
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_conditions_hold_for_every_size_of_support(scale):
    # More codes than factors have dimensions, more than any small problem, and none.
    rng = np.random.default_rng(3)
    dictionary = np.float32(scale * rng.normal(size=(700, 90)))
    x = np.float32(rng.normal(size=(70, 90)) + dictionary.sum(0) / 900)
    count = np.r_[0, 1, np.linspace(2, 400, 68).astype(int)]
    support = rng.random((70, 700)).argsort(axis=1) < count[:, None]
    codes = np.float32(np.where(support, 0.01, 0))
    got = np.asarray(sparse_coding.refit(x, dictionary, codes))
    np.testing.assert_array_equal(got[~support], 0)
    assert got.min() >= 0
    # The tolerance of 1e-5 and the rounding of a residual in float32.
    limit = 2e-5 * np.linalg.norm(x, axis=1)
    assert np.all(_violation(x, dictionary, got, support) <= limit)


@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_a_row_that_runs_out_of_steps_keeps_its_best(scale):
    # With two factors in the support for a dimension, the least residual is just 0 and
    # reached by as many factors as there are dimensions: condition numbers up to 2e6.
    rng = np.random.default_rng(3)
    dictionary = np.float32(scale * rng.normal(size=(200, 60)))
    x = np.float32(rng.normal(size=(70, 60)) + dictionary.sum(0) / 300)
    count = np.r_[0, 1, np.linspace(2, 150, 68).astype(int)]
    support = rng.random((70, 200)).argsort(axis=1) < count[:, None]
    codes = np.float32(np.where(support, 0.01, 0))
    got = np.asarray(sparse_coding.refit(x, dictionary, codes))
    violation = _violation(x, dictionary, got, support) / np.linalg.norm(x, axis=1)
    # The last codes in place of the best would violate them by up to 1e-2.
    assert violation.max() <= 2e-4
    hard = np.abs(count - 120) < 15
    assert np.all(violation[~hard] <= 2e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": np.zeros((3, 4), np.float32)}, "`codes` of shape"),
        ({"x": np.zeros((12, 4), np.float32)}, "`x` of shape"),
        ({"k": 0}, "`k` to be a whole number, at least 1"),
    ],
)
def test_a_refit_of_what_does_not_fit_is_refused(change, message):
    given = {
        "x": np.zeros((12, 40), np.float32),
        "dictionary": np.ones((100, 40), np.float32),
        "codes": np.zeros((12, 100), np.float32),
    } | change
    arrays = [given.pop(name) for name in ("x", "dictionary", "codes")]
    with pytest.raises(errors.InputError, match=message):
        sparse_coding.refit(*arrays, **given)


def test_largest_keeps_exactly_k_even_of_equal_codes():
    codes = np.float32([[0.5, 0.5, 0.5, 0], [-3, 1, 2, 0], [0, 0, 0, 0.1]])
    got = refitting.largest(codes, size=2)
    expected = [[0.5, 0.5, 0, 0], [-3, 0, 2, 0], [0, 0, 0, 0.1]]
    np.testing.assert_array_equal(got, np.float32(expected))


def test_more_codes_than_there_are_may_be_kept():
    x, dictionary, codes = _problem()
    got = sparse_coding.refit(x, dictionary, codes, k=200)
    expected = _expected(x, dictionary, codes, k=None)
    np.testing.assert_allclose(got, expected, atol=1e-4)
    np.testing.assert_array_equal(got[0], 0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_named(value):
    x, dictionary, codes = _problem()
    wrong = np.array(codes)
    wrong[3, 4] = value
    with pytest.raises(errors.InputError, match=r"`codes`.*1 of 12 rows.* row 3"):
        sparse_coding.refit(x, dictionary, wrong)


def test_refit_is_the_same_on_every_layout():
    x, dictionary, codes = _problem(batch=16, n_factors=104)
    whole = sparse_coding.refit(x, dictionary, codes)
    largest = sparse_coding.refit(x, dictionary, codes, k=3)

    def of_rows(rows, codes):
        return sparse_coding.refit(rows, jnp.asarray(dictionary), codes)

    stacked = x.reshape(8, 2, -1), codes.reshape(8, 2, -1)
    for mapped in (jax.pmap(of_rows), jax.vmap(of_rows)):
        got = np.asarray(mapped(*stacked)).reshape(whole.shape)
        # Rows that are solved together stop together, within 1e-5 of the conditions.
        np.testing.assert_allclose(got, whole, atol=1e-4)
    for shape in ((8, 1), (4, 2), (1, 8)):
        with jax.set_mesh(jax.make_mesh(shape, ("rows", "columns"))):
            rows = jax.device_put(x, jax.P("rows"))
            split = jax.device_put(dictionary, jax.P("columns"))
            found = jax.device_put(codes, jax.P("rows", "columns"))
            got = jax.jit(sparse_coding.refit)(rows, split, found)
            np.testing.assert_allclose(got, whole, atol=1e-4)
            if shape[1] > 1:
                with pytest.raises(errors.InputError, match="whole factors"):
                    sparse_coding.refit(rows, split, found, k=3)
            else:
                got = sparse_coding.refit(rows, split, found, k=3)
                np.testing.assert_allclose(got, largest, atol=1e-4)

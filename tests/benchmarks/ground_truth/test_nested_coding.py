"""Nested sparse coding as a method: its L0, its codes, a λ for every factor."""

import numpy as np
import pytest
import scipy.optimize

from benchmarks.ground_truth import nested_coding
from tfvis_jax.comparison import method
from tfvis_jax.errors import InputError


def _rows(n=3000, d_model=16, n_true=40, seed=0):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_true, d_model))
    codes = rng.exponential(size=(n, n_true)) * (rng.random((n, n_true)) < 0.1)
    return np.float32(codes @ factors + rng.normal(size=(n, d_model)) * 0.05 + 1)


@pytest.fixture(scope="module")
def fitted():
    calls = []
    fitted = nested_coding.fit(
        _rows()[:2000],
        n_factors=16,
        target_l0=3,
        num_passes=2,
        seed=0,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(done, 14) for done in range(1, 15)]
    return fitted


def test_the_target_l0_is_reached_on_other_rows(fitted):
    figures = method.measure(fitted, _rows()[2000:])
    # A thousand rows tell their mean L0 to about a thirtieth.
    assert abs(figures.l0 / 3 - 1) < 0.12
    assert 0 < figures.fvu < 0.6
    np.testing.assert_allclose(np.linalg.norm(fitted.factors, axis=1), 1, rtol=1e-5)


def test_codes_are_least_squares_on_their_support(fitted):
    x = _rows()[2000:2020]
    codes, factors = np.float64(fitted.codes(x)), np.float64(fitted.factors)
    for row, code in zip(x - np.float64(fitted.centre), codes, strict=True):
        support = code > 0
        if support.any():  # SciPy aborts on a problem without columns.
            expected, _ = scipy.optimize.nnls(factors[support].T, row)
            np.testing.assert_allclose(code[support], expected, atol=1e-3)


def test_the_offset_leaves_no_mean_error(fitted):
    x = _rows()[:2000]
    error = np.mean(x - np.asarray(fitted.reconstruct(x)), axis=0)
    assert np.abs(error).max() < 1e-4
    expected = np.asarray(fitted.codes(x)) @ np.asarray(fitted.factors)
    np.testing.assert_allclose(
        fitted.reconstruct(x), expected + np.asarray(fitted.offset), atol=1e-5
    )


def test_rare_factors_need_more_evidence():
    x, rng = _rows(), np.random.default_rng(1)
    factors = rng.normal(size=(16, 16)).astype(np.float32)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    rates = np.geomspace(0.5, 1e-3, 16)
    fitted = nested_coding.with_target_l0(
        x, factors, centre=x.mean(axis=0), rates=rates, target_l0=2
    )
    wanted = np.log(1 / rates) + 0.5
    ratio = np.asarray(fitted.penalties) / wanted
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert abs(np.count_nonzero(fitted.codes(x)) / len(x) / 2 - 1) < 0.02


def test_rows_that_are_equal_are_refused():
    with pytest.raises(InputError, match="differ"):
        nested_coding.fit(
            np.ones((9, 3), np.float32), n_factors=4, target_l0=1, num_passes=1, seed=0
        )


def test_an_l0_out_of_reach_is_refused():
    x = _rows(100)
    with pytest.raises(InputError, match="within reach"):
        nested_coding.with_target_l0(
            x,
            np.eye(3, 16, dtype=np.float32),
            centre=x.mean(axis=0),
            rates=np.ones(3),
            target_l0=30,
        )

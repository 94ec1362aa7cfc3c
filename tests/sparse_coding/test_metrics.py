"""Metrics against plain NumPy on the whole array."""

import jax.numpy as jnp
import numpy as np

from tfvis_jax.sparse_coding import metrics

RNG = np.random.default_rng(0)


def test_batched_totals_equal_the_definitions_on_the_whole():
    x = RNG.normal(size=(53, 6)).astype(np.float32) + 3
    codes = np.maximum(RNG.normal(size=(53, 9)) - 1, 0).astype(np.float32)
    codes[:, 4] = 0
    dictionary = RNG.normal(size=(9, 6)).astype(np.float32)
    totals = metrics.ReconstructionTotals.zeros(d_model=6, n_factors=9)
    for start in range(0, 60, 10):
        rows = slice(start, start + 10)
        pad = 10 - len(x[rows])
        # Rubbish in the padding must not be counted.
        xs = np.concatenate([x[rows], np.full((pad, 6), 7, np.float32)])
        cs = np.concatenate([codes[rows], np.full((pad, 9), 7, np.float32)])
        totals = totals + metrics.row_sums(
            jnp.asarray(xs),
            jnp.asarray(cs),
            jnp.asarray(xs - cs @ dictionary),
            valid=jnp.arange(10) < 10 - pad,
        )
    error = np.sum((np.float64(x) - np.float64(codes) @ np.float64(dictionary)) ** 2)
    variance = np.sum((np.float64(x) - np.float64(x).mean(0)) ** 2)
    np.testing.assert_allclose(totals.fvu(), error / variance, rtol=1e-5)
    np.testing.assert_allclose(totals.l0(), (codes > 0).sum(1).mean(), rtol=1e-7)
    np.testing.assert_allclose(totals.alive(), (codes > 0).any(0).mean(), rtol=1e-7)


def test_the_mean_row_alone_has_an_fvu_of_one():
    x = jnp.asarray(RNG.normal(size=(40, 3)), jnp.float32)
    totals = metrics.ReconstructionTotals.zeros(d_model=3, n_factors=1)
    totals = totals + metrics.row_sums(
        x,
        jnp.ones((40, 1)),
        x - jnp.mean(x, axis=0, keepdims=True),
        valid=jnp.ones(40, bool),
    )
    np.testing.assert_allclose(totals.fvu(), 1, rtol=1e-5)


def test_no_rows_is_not_a_number_rather_than_a_crash():
    totals = metrics.ReconstructionTotals.zeros(d_model=3, n_factors=2)
    assert np.isnan([totals.fvu(), totals.l0(), totals.alive()]).all()

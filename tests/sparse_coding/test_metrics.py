"""Metrics against plain float64 NumPy on the whole array."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax.sparse_coding import metrics

RNG = np.random.default_rng(0)


def _layer(n_rows=53, *, mean=3.0, noise=0.5):
    """Rows, their codes and dictionary; one factor is the mean, one never fires."""
    codes = np.maximum(RNG.normal(size=(n_rows, 9)) - 0.5, 0).astype(np.float32)
    codes[:, 4], codes[:, 0] = 0, 1
    dictionary = RNG.normal(size=(9, 6)).astype(np.float32)
    dictionary[0] = mean
    x = codes @ dictionary + noise * RNG.normal(size=(n_rows, 6))
    return np.float32(x), np.float32(0.9 * codes), dictionary


def _totals(x, codes, dictionary, *, batch=10):
    totals = metrics.ReconstructionTotals.zeros(
        d_model=x.shape[1], n_factors=codes.shape[1]
    )
    for start in range(0, len(x), batch):
        rows = slice(start, start + batch)
        pad = batch - len(x[rows])
        # Rubbish in the padding must not be counted.
        xs = np.concatenate([x[rows], np.full((pad, x.shape[1]), np.nan, np.float32)])
        cs = np.concatenate(
            [codes[rows], np.full((pad, codes.shape[1]), 7, np.float32)]
        )
        totals = totals + metrics.row_sums(
            jnp.asarray(xs),
            jnp.asarray(cs),
            jnp.asarray(xs - cs @ dictionary),
            valid=jnp.arange(batch) < batch - pad,
        )
    return totals


def _expected(layers):
    """The figures of several layers by their definitions, in float64."""
    layers = [tuple(np.float64(part) for part in layer) for layer in layers]
    xs = [x for x, _, _ in layers]
    x = np.concatenate(xs)
    x_hat = np.concatenate([codes @ dictionary for _, codes, dictionary in layers])
    codes = np.concatenate([codes for _, codes, _ in layers])
    error = np.sum((x - x_hat) ** 2)
    fvu = error / sum(np.sum((x - x.mean(axis=0)) ** 2) for x in xs)
    norm, norm_hat = np.linalg.norm(x, axis=1), np.linalg.norm(x_hat, axis=1)
    inner = np.sum(x * x_hat, axis=1)
    safe = np.where(norm_hat > 0, norm_hat, 1)
    return metrics.Figures(
        n_rows=len(x),
        fvu=fvu,
        explained_variance=1 - fvu,
        legacy_explained_variance=1 - error / np.sum(x**2),
        l0=np.count_nonzero(codes) / len(x),
        cosine=np.mean(inner / (norm * safe)),
        relative_bias=np.sum(norm_hat**2) / np.sum(inner),
        norm_ratio=np.mean(norm_hat / norm),
        alive=np.mean((codes > 0).any(axis=0)),
    )


def _assert_equal(got, expected):
    for name, value in dataclasses.asdict(expected).items():
        np.testing.assert_allclose(
            getattr(got, name), value, rtol=1e-5, err_msg=f"{name} differs"
        )


def test_batched_totals_equal_the_definitions_on_the_whole():
    layer = _layer()
    totals = _totals(*layer)
    expected = _expected([layer])
    _assert_equal(metrics.figures([totals]), expected)
    _assert_equal(metrics.figures([_totals(*layer, batch=60)]), expected)
    for name in ("fvu", "l0", "alive"):
        np.testing.assert_allclose(
            getattr(totals, name)(), getattr(expected, name), rtol=1e-5
        )


def test_pooled_figures_centre_each_layer_on_its_own_mean():
    layers = [_layer(mean=3), _layer(31, mean=-40, noise=2)]
    totals = [_totals(*layer) for layer in layers]
    pooled = metrics.figures(totals)
    _assert_equal(pooled, _expected(layers))
    each = [metrics.figures([one]).fvu for one in totals]
    assert min(each) < pooled.fvu < max(each)
    # A common mean would count the distance of the layers as variance.
    assert metrics.figures([totals[0] + totals[1]]).fvu < 0.1 * min(each)


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


def test_the_relative_bias_is_the_best_divisor_and_perfect_codes_have_none():
    x, codes, dictionary = (np.float64(part) for part in _layer(mean=1))
    x_hat = codes @ dictionary
    gamma = metrics.figures([_totals(*map(np.float32, (x, codes, dictionary)))])
    near = gamma.relative_bias * np.array([0.99, 1, 1.01])
    error = [np.sum((x_hat / divisor - x) ** 2) for divisor in near]
    assert error[1] < min(error[0], error[2])
    x = np.float32(RNG.normal(size=(20, 4)))
    half = metrics.figures([_totals(x, x / 2, np.eye(4, dtype=np.float32))])
    np.testing.assert_allclose(
        [half.relative_bias, half.norm_ratio, half.cosine], [0.5, 0.5, 1], rtol=1e-6
    )


def test_empty_codes_and_rows_of_zeros_have_figures():
    x = np.float32(RNG.normal(size=(20, 4)))
    x[3] = 0
    none = metrics.figures([_totals(x, np.zeros((20, 5), np.float32), np.ones((5, 4)))])
    assert none.cosine == none.norm_ratio == none.l0 == none.alive == 0
    assert none.legacy_explained_variance == 0
    # No reconstruction has no length to correct.
    assert np.isnan(none.relative_bias)
    # The product of such norms underflows; their cosine does not.
    tiny = metrics.figures([_totals(1e-15 * x, 1e-15 * x, np.eye(4, dtype=np.float32))])
    np.testing.assert_allclose(tiny.cosine, 19 / 20, rtol=1e-5)


def test_many_rows_far_from_zero_keep_their_digits():
    x = np.float32(RNG.normal(size=(40_000, 4)) + 30)
    codes = np.float32(x - 0.1 * RNG.normal(size=x.shape))
    layer = x, codes, np.eye(4, dtype=np.float32)
    got = metrics.figures([_totals(*layer, batch=8_000)])
    # The variance is a thousandth of the squared norms, whose float32 rows add up to a
    # relative error of 1e-7 each, and the column sums of x to 1e-6.
    np.testing.assert_allclose(got.fvu, _expected([layer]).fvu, rtol=1e-3)


def test_no_rows_is_not_a_number_rather_than_a_crash():
    totals = metrics.ReconstructionTotals.zeros(d_model=3, n_factors=2)
    figures = dataclasses.asdict(metrics.figures([totals, totals]))
    assert figures.pop("n_rows") == 0
    assert np.isnan(list(figures.values())).all()
    # Nor are rows without variance.
    same = np.ones((7, 3), np.float32)
    layer = _totals(same, same, np.eye(3, dtype=np.float32))
    assert np.isnan(layer.fvu()) and layer.l0() == 3


def test_densities_fall_in_half_decades():
    n_rows = 10_000_000
    density = [0, 0, 1e-7, 1e-6, 0.02, 0.1, 0.3, 0.4, 1]
    firing = np.rint(np.array(density) * n_rows)
    histogram = metrics.density_histogram(firing, n_rows=n_rows)
    assert histogram.n_silent == 2
    assert histogram.counts.sum() + histogram.n_silent == len(density)
    found = {
        round(float(edge), 1): int(count)
        for edge, count in zip(histogram.log10_edges, histogram.counts, strict=False)
        if count
    }
    # 10^-0.5 is 0.316: 0.1 opens its bin, 1 closes the last.
    assert found == {-6.0: 2, -2.0: 1, -1.0: 2, -0.5: 2}
    assert metrics.density_histogram(np.zeros(3), n_rows=0).n_silent == 3


@pytest.mark.parametrize("block_rows", [1, 7, 64, 1024])
def test_the_largest_cosine_is_that_to_another_factor(block_rows):
    dictionary = RNG.normal(size=(64, 5)) * RNG.uniform(0.1, 9, size=(64, 1))
    units = dictionary / np.linalg.norm(dictionary, axis=1, keepdims=True)
    gram = units @ units.T - 3 * np.eye(64)
    got = metrics.max_cosine(np.float32(dictionary), block_rows=block_rows)
    np.testing.assert_allclose(got, gram.max(axis=1), atol=1e-6)


def test_duplicates_are_counted_and_opposites_are_none():
    basis = np.eye(6, dtype=np.float32)
    dictionary = np.concatenate([basis[:4], 2 * basis[:1], -basis[1:2]])
    found = metrics.duplicates(dictionary)
    assert found.n_above == 2
    np.testing.assert_allclose(found.quantiles[[0, -1]], [0, 1], atol=1e-6)
    alone = metrics.duplicates(basis[:1])
    assert alone.n_above == 0 and np.isnan(alone.quantiles).all()

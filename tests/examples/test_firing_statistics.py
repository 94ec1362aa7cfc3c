"""Test histograms and pair counts against NumPy's."""

import numpy as np
import pytest

from tfvis_jax.examples import firing_statistics


def test_bins_are_those_of_the_edges():
    edges = firing_statistics.HISTOGRAM_EDGES
    assert len(edges) == firing_statistics.N_BINS + 1 and (np.diff(edges) > 0).all()
    inner = edges[1:-1].astype(np.float32)
    np.testing.assert_array_equal(inner, edges[1:-1])
    tiny, huge = np.float32([1e-42, 1e-9]), np.float32([4096, 1e38])
    alpha = np.concatenate([tiny, inner, np.nextafter(inner, np.float32(0)), huge])
    expected = np.searchsorted(edges, alpha, side="right") - 1
    np.testing.assert_array_equal(firing_statistics.bins(alpha), expected)
    assert set(expected.tolist()) == set(range(firing_statistics.N_BINS))


@pytest.mark.parametrize("n_rows", [1, 200, 2**15 - 1, 2**15])
@pytest.mark.parametrize("share", [0, 0.02, 0.3, 1])
def test_pairs_are_counted(n_rows, share):
    fires = np.random.default_rng(0).random((n_rows, 13)) < share
    found = firing_statistics.count_pairs(*np.nonzero(fires), n_factors=13)
    expected = np.triu(fires.astype(int).T @ fires.astype(int), 1)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int64


def test_without_pair_counts_there_are_no_co_firing_factors():
    partner, score = firing_statistics.partners(None, firing=np.ones(3), k=2)
    assert (partner == -1).all() and not score.any()
    assert not firing_statistics.counts_pairs(n_layers=7, n_factors=3200)
    assert firing_statistics.counts_pairs(n_layers=7, n_factors=3000)


def test_tied_co_firing_factors_come_by_number():
    pairs = np.triu(np.full((4, 4), 5), 1)
    partner, score = firing_statistics.partners(pairs, firing=np.full(4, 10), k=5)
    assert partner[2].tolist() == [0, 1, 3, -1, -1]
    np.testing.assert_allclose(score[2], [1 / 3, 1 / 3, 1 / 3, 0, 0], rtol=1e-6)


@pytest.mark.parametrize(("n_factors", "k"), [(1, 1), (9, 3), (40, 10), (5, 5), (4, 9)])
def test_co_firing_factors_are_those_of_a_stable_sort(n_factors, k):
    random = np.random.default_rng(n_factors)
    # Few tokens, so that many scores tie; a fifth of the factors never fire.
    fires = random.random((30, n_factors)) < 0.2
    fires[:, random.random(n_factors) < 0.2] = False
    pairs = np.triu(fires.astype(int).T @ fires.astype(int), 1)
    firing = fires.sum(axis=0)
    partner, score = firing_statistics.partners(pairs, firing=firing, k=k)
    for factor in range(n_factors):
        either = (fires | fires[:, [factor]]).sum(axis=0)
        jaccard = (fires & fires[:, [factor]]).sum(axis=0) / np.maximum(either, 1)
        jaccard[factor] = 0
        order = np.argsort(-jaccard, kind="stable")[:k]
        order = order[jaccard[order] > 0]
        expected = np.full(k, -1)
        expected[: len(order)] = order
        np.testing.assert_array_equal(partner[factor], expected)
        np.testing.assert_allclose(score[factor, : len(order)], jaccard[order], 1e-6)
        assert not score[factor, len(order) :].any()


def test_fixed_point_sums_are_exact_in_any_order():
    alpha = np.random.default_rng(0).exponential(size=5000).astype(np.float32)
    fixed = firing_statistics.fixed_point(alpha)
    assert fixed.dtype == np.int64
    unit = firing_statistics.FIXED_POINT
    np.testing.assert_allclose(fixed * unit, alpha, rtol=0, atol=unit / 2)

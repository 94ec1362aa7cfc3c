"""Scores against brute force, and permutation tests under their null hypothesis."""

import numpy as np
import pytest
import scipy.sparse
import scipy.stats

from tfvis_jax.probing import ranking
from tfvis_jax.studies.patterns import pattern_scores


def _codes(rng, shape):
    """Sparse, with ties."""
    return np.round(rng.exponential(size=shape), 1) * (rng.random(shape) < 0.3)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("sparse", [True, False])
def test_average_precision_is_that_of_the_probes(rng, sparse):
    codes = _codes(rng, (120, 7))
    codes[:, 3] = 0
    is_positive = rng.random(120) < 0.2
    given = scipy.sparse.csr_array(codes) if sparse else codes - 0.5 * (codes == 0)
    found = pattern_scores.average_precision(pattern_scores.ranks(given), is_positive)
    expected = [ranking.average_precision(column, is_positive)[0] for column in codes.T]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[3] == pytest.approx(is_positive.mean())


def test_ranks_give_ties_the_last_place():
    found = pattern_scores.ranks(np.array([[3.0], [1.0], [3.0], [0.0], [2.0]]))
    np.testing.assert_array_equal(found, [[2, 4, 2, 5, 3]])


def test_weighted_average_precision_is_that_of_repeated_rows(rng):
    scores, is_positive = _codes(rng, 60), rng.random(60) < 0.3
    weights = rng.integers(0, 3, size=(5, 60))
    found = pattern_scores.weighted_average_precision(scores, is_positive, weights)
    for value, times in zip(found, weights, strict=True):
        repeated = np.repeat(np.arange(60), times)
        expected = ranking.average_precision(scores[repeated], is_positive[repeated])
        assert value == pytest.approx(expected[0], rel=1e-9)


def test_same_word_auc_is_that_of_pairs(rng):
    n = 80
    scores, is_positive = _codes(rng, n), rng.random(n) < 0.4
    words = rng.integers(0, 6, size=n)
    words[:3], is_positive[:3] = 9, True
    weights = rng.integers(0, 3, size=(4, n))
    found = pattern_scores.same_word_auc(scores, is_positive, words, weights)
    for value, times in zip(found, weights, strict=True):
        rows = np.repeat(np.arange(n), times)
        total, count = 0.0, 0
        for word in np.unique(words):
            inside = [i for i in rows if words[i] == word and is_positive[i]]
            outside = [i for i in rows if words[i] == word and not is_positive[i]]
            if outside:
                for i in inside:
                    wins = [
                        (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2
                        for j in outside
                    ]
                    total, count = total + np.mean(wins), count + 1
        assert value == pytest.approx(total / count, rel=1e-9)
    # What depends on the word alone tells nothing.
    by_word = rng.random(10)[words]
    assert pattern_scores.same_word_auc(by_word, is_positive, words)[0] == 0.5
    assert np.isnan(pattern_scores.same_word_auc(scores, words == 9, words)[0])


def test_word_rates_are_counts_drawn_to_the_mean():
    words = np.array([0, 0, 0, 2, 2])
    rates, base = pattern_scores.word_rates(
        words, np.array([True, True, False, False, False])
    )
    assert base == 0.4
    np.testing.assert_allclose(rates, [2.4 / 4, 0.4, 0.4 / 3])


def _clustered(rng, n, *, rate, length):
    """Runs of True, as occurrences of several tokens are."""
    found = np.zeros(n, bool)
    for start in np.flatnonzero(rng.random(n) < rate):
        found[start : start + length] = True
    return found


def test_shift_p_values_are_uniform_under_the_null(rng):
    p_values = []
    for _ in range(400):
        pattern = _clustered(rng, 3000, rate=0.01, length=8)
        # Firings come in clusters as well: tokens are far from independent.
        firing = np.flatnonzero(_clustered(rng, 3000, rate=0.004, length=6))
        p_values.append(
            pattern_scores.shift_p_value(
                pattern, firing, n_shifts=199, least_shift=100, rng=rng
            )
        )
    # The statistic is a whole number: ties make p-values large, never small.
    for level in (0.01, 0.05, 0.1, 0.2):
        share = np.mean(np.array(p_values) <= level)
        assert share <= level + 3 * np.sqrt(level * (1 - level) / 400)
    assert np.mean(np.array(p_values) <= 0.2) > 0.1


def test_shift_p_values_find_what_is_there(rng):
    pattern = _clustered(rng, 5000, rate=0.01, length=5)
    firing = rng.choice(np.flatnonzero(pattern), 30)
    found = pattern_scores.shift_p_value(
        pattern, firing, n_shifts=999, least_shift=100, rng=rng
    )
    assert found == 1 / 1000


def test_holm_is_step_down():
    found = pattern_scores.holm(np.array([0.03, 0.01, 0.04, 0.5]))
    np.testing.assert_allclose(found, [0.09, 0.04, 0.09, 0.5])
    # Never more false discoveries than asked for, under the null.
    rng = np.random.default_rng(0)
    wrong = [pattern_scores.holm(rng.random(20)).min() <= 0.05 for _ in range(2000)]
    assert np.mean(wrong) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_resamples_draw_whole_groups(rng):
    groups = np.array([5, 5, 7, 9, 9, 9])
    times = pattern_scores.resampled(groups, n_resamples=2000, seed=1)
    assert (times[:, 0] == times[:, 1]).all() and (times[:, 3] == times[:, 5]).all()
    np.testing.assert_array_equal(times[:, 0] + times[:, 2] + times[:, 3], 3)
    # The mean of a mean over groups, and its spread.
    np.testing.assert_allclose(times.mean(axis=0), np.ones(6), atol=0.1)
    low, high = pattern_scores.interval(np.append(rng.normal(size=5000), np.nan))
    assert low == pytest.approx(scipy.stats.norm.ppf(0.025), abs=0.1)
    assert high == pytest.approx(scipy.stats.norm.ppf(0.975), abs=0.1)
    assert np.isnan(pattern_scores.interval(np.array([np.nan]))[0])

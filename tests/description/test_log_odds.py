"""Test log-odds against a transcription, numbers by hand, and their properties."""

import math

import numpy as np
import pytest

from tfvis_jax.description import log_odds


def _transcription(y, c, n, big_n):
    """The equations of Monroe et al. for one word; the prior is from both texts."""
    a0 = n
    a = a0 * (y + c) / (n + big_n + 1)
    omega_here = (y + a) / (n + a0 - y - a)
    omega_there = (c + a) / (big_n + a0 - c - a)
    delta = math.log(omega_here) - math.log(omega_there)
    variance = 1 / (y + a) + 1 / (c + a)
    return delta, delta / math.sqrt(variance)


def test_every_word_equals_the_transcription():
    rng = np.random.default_rng(0)
    y, c = rng.poisson(3, 200) + 0.5, rng.poisson(20, 200)
    delta, z = log_odds.compare(y, c, total=y.sum(), background_total=5 * c.sum())
    for i in range(200):
        expected = _transcription(y[i], c[i], y.sum(), 5 * c.sum())
        np.testing.assert_allclose([delta[i], z[i]], expected, rtol=1e-12)
    # Totals may differ between words.
    totals = rng.uniform(500, 900, 200)
    each, _ = log_odds.compare(y, c, total=totals, background_total=9e3)
    for i in range(200):
        assert each[i] == pytest.approx(_transcription(y[i], c[i], totals[i], 9e3)[0])


def test_numbers_made_by_hand():
    # y = 9 of n = 10, c = 0 of N = 89: the prior is 10 · 9 / 100 = 0.9.
    delta, z = log_odds.compare(
        np.array([9.0]), np.array([0]), total=10, background_total=89
    )
    expected = math.log(9.9 / 10.1) - math.log(0.9 / 98.1)
    assert delta[0] == pytest.approx(expected)
    assert z[0] == pytest.approx(expected / math.sqrt(1 / 9.9 + 1 / 0.9))


def test_the_same_share_says_nothing_and_more_text_says_more():
    y = np.array([5.0, 20.0, 200.0])
    # Up to the one count for unseen words.
    delta, _ = log_odds.compare(y, 100 * y, total=1e4, background_total=1e6)
    np.testing.assert_allclose(delta, 0, atol=1e-3)
    few = log_odds.compare(y, 10 * y, total=1e3, background_total=1e6)[1]
    more = log_odds.compare(10 * y, 10 * y, total=1e4, background_total=1e6)[1]
    assert (few > 0).all() and (more > few).all()


def test_a_corpus_of_one_word_is_no_division_by_zero():
    found = log_odds.compare(
        np.array([4.0]), np.array([9]), total=4, background_total=9
    )
    assert np.isfinite(found).all()

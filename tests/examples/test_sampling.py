"""Test the random sample against a second implementation, and its statistics."""

import numpy as np
import pytest
import scipy.stats

from tfvis_jax.examples import ranked_lists, sampling

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def _mix(state):
    """SplitMix64's output function in Python integers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & MASK
    return state ^ (state >> 31)


def _rank(seed, layer, factor, place):
    start = _mix((seed + GOLDEN * (layer + 1)) & MASK)
    stream = _mix(start ^ (GOLDEN * (factor + 1) & MASK))
    return _mix((stream + GOLDEN * (place + 1)) & MASK) >> 24


def _sample(codes, *, n, seed, layer, blocks):
    """Places that a list keeps, if codes are offered in these blocks of rows."""
    streams = sampling.streams(seed=seed, layer=layer, n_factors=codes.shape[1])
    lists = ranked_lists.RankedLists(n_factors=codes.shape[1], n=n)
    for rows in blocks:
        row, factor = np.nonzero(codes[rows])
        place = rows[row].astype(np.int64)
        lists.offer(
            factor,
            sampling.ranks(streams[factor], place),
            place,
            codes[place, factor].astype(np.float32),
        )
    return lists.finish().place


def test_the_sample_is_the_bottom_of_all_ranks():
    rng = np.random.default_rng(0)
    codes = rng.random((300, 4)) * (rng.random((300, 4)) < [0.9, 0.5, 0.1, 0.02])
    blocks = np.array_split(rng.permutation(300), 7)
    found = _sample(codes, n=20, seed=2**40 + 5, layer=3, blocks=blocks)
    for factor in range(4):
        firing = np.flatnonzero(codes[:, factor]).tolist()
        firing.sort(key=lambda place: _rank(2**40 + 5, 3, factor, place))
        n = min(20, len(firing))
        assert found[factor, :n].tolist() == firing[:n]
        assert (found[factor, n:] == -1).all()


@pytest.mark.parametrize("firing", [np.arange(4000), np.arange(4000) * 64 + 7])
def test_every_token_is_as_likely_as_any_other(firing):
    # Consecutive and evenly spaced places, as of the tokens in windows.
    n_factors, n = 256, 100
    codes = np.zeros((firing[-1] + 1, n_factors), np.float32)
    codes[firing] = 1
    place = _sample(codes, n=n, seed=0, layer=0, blocks=[np.arange(len(codes))])
    turn = np.searchsorted(firing, place)
    # All samples together are uniform over the stream, and so is each one.
    counts = np.histogram(turn, bins=40, range=(0, len(firing)))[0]
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    means = turn.mean(axis=1) / len(firing)
    error = (means - 0.5) / np.sqrt((1 - n / len(firing)) / (12 * n))
    assert abs(error.std() - 1) < 0.2 and np.abs(error).max() < 5
    # The samples of two factors overlap like independent ones: n²/N = 2.5 tokens.
    drawn = np.zeros((n_factors, len(firing)))
    np.put_along_axis(drawn, turn, 1, axis=1)
    shared = (drawn @ drawn.T)[np.triu_indices(n_factors, 1)]
    assert abs(shared.mean() - n**2 / len(firing)) < 0.1 and shared.max() < 20


def test_seeds_and_layers_draw_other_samples():
    codes = np.ones((5000, 2), np.float32)
    drawn = {
        (seed, layer): set(
            _sample(codes, n=50, seed=seed, layer=layer, blocks=[np.arange(5000)])[0]
        )
        for seed, layer in ((0, 0), (1, 0), (0, 1))
    }
    assert len(drawn[0, 0] & drawn[1, 0]) < 6 and len(drawn[0, 0] & drawn[0, 1]) < 6


def test_bands_are_exact_where_the_strongest_hold_them():
    rng = np.random.default_rng(1)
    alpha = np.sort(rng.random(1000).astype(np.float32))[::-1]
    sample = rng.choice(alpha, 100, replace=False)
    how = {"sample": sample, "firing": 1000}
    where, places = sampling.in_band(alpha[:120], band=(0.9, 0.99), **how)
    assert where == "top" and places.tolist() == list(range(10, 100))
    where, places = sampling.in_band(alpha[:120], band=(0.99, 1.0), **how)
    assert where == "top" and places.tolist() == list(range(10))
    where, places = sampling.in_band(alpha[:120], band=(0.5, 0.9), **how)
    assert where == "random" and len(places) == 40
    ranks = sample.argsort().argsort()
    assert ranks[places].min() == 50 and ranks[places].max() == 89
    assert (np.diff(places) > 0).all()


def test_bands_of_a_factor_that_hardly_or_never_fires():
    sample = np.float32([2, 5, 0, 0])
    where, places = sampling.in_band(
        np.float32([5, 2, 0]), sample, firing=2, band=(0, 0.5)
    )
    assert where == "top" and places.tolist() == [1]
    _, places = sampling.in_band(np.zeros(3), np.zeros(4), firing=0, band=(0.5, 1))
    assert not len(places)

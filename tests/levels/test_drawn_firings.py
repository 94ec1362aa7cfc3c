"""Firings are drawn by their share of α, and other occurrences are found."""

import numpy as np
import pytest

from tfvis_jax.examples import stored
from tfvis_jax.levels import firings as firings_lib


def _examples(alpha, *, top, n_random, seed=0):
    """Examples of one factor that fires with these α at tokens 0, 1, …"""
    alpha = np.asarray(alpha, np.float32)
    order = np.argsort(-alpha, kind="stable")[:top]
    drawn = np.random.default_rng(seed).permutation(len(alpha))[:n_random]

    def arrays(prefix, chosen):
        return {
            f"{prefix}activation": alpha[chosen][None, None],
            f"{prefix}window": chosen[None, None].astype(np.int32),
            f"{prefix}position": (chosen % 7)[None, None].astype(np.int32),
        }

    return stored.Examples(
        **{
            **dict.fromkeys(stored.Examples.__dataclass_fields__),
            **arrays("", order),
            **arrays("random_", drawn),
            "firing": np.array([[len(alpha)]]),
            "window_length": 8,
        }
    )


@pytest.mark.parametrize(("top", "n_random"), [(500, 1), (40, 500), (40, 100)])
def test_each_firing_stands_for_an_equal_weight(top, n_random):
    alpha = np.random.default_rng(1).exponential(size=500) ** 2
    examples = _examples(alpha, top=top, n_random=n_random)
    found = firings_lib.draw(examples, 0, 0, n=200)
    assert len(found.window) == 200
    np.testing.assert_array_equal(found.activation, np.float32(alpha)[found.window])
    # Half of the weight is above this α, and half of the draws.
    order = np.sort(alpha)[::-1]
    half = order[np.searchsorted(np.cumsum(order), alpha.sum() / 2)]
    # A sample of 100 stands for 460 weaker firings.
    tolerance = 0.01 if n_random != 100 else 0.08
    assert np.mean(found.activation >= half) == pytest.approx(0.5, abs=tolerance)
    # As a mean over draws, Σα² / Σα.
    expected = (alpha**2).sum() / alpha.sum()
    assert found.activation.mean() == pytest.approx(expected, rel=3 * tolerance)


def test_weak_firings_are_drawn_too():
    alpha = np.append(np.full(10, 1.0), np.full(1000, 0.05))
    found = firings_lib.draw(_examples(alpha, top=10, n_random=100), 0, 0, n=60)
    # The weak ones have 50 of 60 parts of the weight.
    assert np.sum(found.activation < 0.1) == 50


def test_a_dead_factor_has_none():
    examples = _examples([], top=5, n_random=5)
    assert len(firings_lib.draw(examples, 0, 0, n=4).window) == 0


class _Windows:
    """Windows of given tokens."""

    def __init__(self, token_ids):
        self._token_ids = np.array(token_ids, np.int32)

    def __len__(self):
        return len(self._token_ids)

    def token_ids(self, rows):
        return self._token_ids[rows]


def test_other_occurrences_are_of_the_same_word():
    windows = _Windows([[1, 5, 6, 2], [5, 7, 5, 6], [6, 5, 6, 5], [9, 9, 9, 9]])
    occurrences = firings_lib.Occurrences(windows, max_windows=10, seed=0)

    def found(token_ids, within, at, n=10):
        rng = np.random.default_rng(0)
        return sorted(
            occurrences.elsewhere(np.array(token_ids), within, at=at, n=n, rng=rng)
        )

    # Of the word (5, 6): its second piece, elsewhere than in window 0.
    assert found([5, 6], 1, (0, 2)) == [(1, 3), (2, 2)]
    assert found([5, 6], 0, (1, 2)) == [(0, 1), (2, 1)]
    assert len(found([5, 6], 0, (1, 2), n=1)) == 1
    assert found([1], 0, (0, 0)) == []

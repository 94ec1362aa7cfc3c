"""Importance curves by level, and the verdicts on constructed factors."""

import numpy as np
import pytest

from tfvis_jax.errors import InputError
from tfvis_jax.levels import rule
from tfvis_jax.studies.layers import level_curves

_N_LAYERS = 7


def _factors(onsets, *, n=20, seed=0):
    """Factors that rise from 0.1 to 1 at a layer drawn from those of their level."""
    rng = np.random.default_rng(seed)
    columns, levels = [], []
    for name, layers in onsets.items():
        for _ in range(n):
            onset = rng.choice(layers)
            columns.append(np.where(np.arange(_N_LAYERS) >= onset, 1, 0.1))
            levels.append(rule.Level(name, "", 0.9))
    scale = rng.uniform(0.2, 5, len(columns))
    return np.array(columns).T * scale, levels


def _verdicts(onsets, **settings):
    found = level_curves.curves(*_factors(onsets, **settings), n_resamples=200)
    return [claim.verdict for claim in level_curves.to_claims(found)]


def test_curves_are_quartiles_of_shares_of_the_peak():
    importance, levels = _factors({"low": [0, 1], "high": [5]}, n=9)
    found = level_curves.curves(importance, levels, n_resamples=50)
    assert set(found) == {"low", "high"}
    share = importance[:, :9] / importance[:, :9].max(axis=0)
    curve = found["low"]
    np.testing.assert_allclose(curve.median, np.median(share, axis=1))
    np.testing.assert_allclose(curve.upper, np.quantile(share, 0.75, axis=1))
    n_late = int((share[0] < 0.5).sum())
    assert 0 < n_late < 9 and curve.onset_layers[:2] == [9 - n_late, n_late]
    assert curve.onset[0] == pytest.approx(n_late / 9 / 6)
    assert found["high"].onset == pytest.approx((5 / 6, 5 / 6, 5 / 6))
    assert found["high"].first[0] == pytest.approx(0.1)


def test_what_is_claimed_holds_where_it_is_planted():
    verdicts = _verdicts({"low": [0], "mid": [2, 3], "high": [5, 6]})
    assert verdicts == ["holds"] * 3


def test_what_is_not_there_does_not_hold():
    # Every level sets in anywhere.
    verdicts = _verdicts({name: range(7) for name in ("low", "mid", "high")}, n=60)
    assert "holds" not in verdicts
    # The opposite order.
    verdicts = _verdicts({"low": [6], "mid": [0], "high": [1]})
    assert verdicts == ["does not hold here"] * 3


def test_wide_intervals_decide_nothing():
    # Six factors, of which two rise at the end.
    importance, levels = _factors({"low": [0], "mid": [3], "high": [6]}, n=6)
    importance[0, -6:-2] = importance[-1, -6:-2]
    found = level_curves.curves(importance, levels)
    assert level_curves.to_claims(found)[2].verdict == "not decided by this test"


def test_few_factors_decide_nothing():
    found = level_curves.curves(*_factors({"low": [0], "mid": [3]}, n=4))
    for claim in level_curves.to_claims(found):
        assert claim.verdict == "not decided by this test"
        assert claim.interval is None


def test_two_layers_have_no_middle():
    with pytest.raises(InputError, match="at least three layers, got 2"):
        level_curves.curves(np.ones((2, 3)), [rule.Level("low", "")] * 3)

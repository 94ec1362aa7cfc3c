"""Firings are measured in rounds, until the level is sure."""

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax.levels import gathering, measuring, rule


@pytest.mark.parametrize("per_factor", range(1, 12))
def test_rounds_measure_every_firing_once(per_factor):
    found = gathering.rounds(per_factor)
    assert sorted(rank for part in found for rank in part) == list(range(per_factor))
    assert found[0] and all(found)


def test_the_first_round_stands_for_the_whole_weight():
    assert gathering.rounds(6) == [[1, 4], [0, 2, 3, 5]]
    # Weights from 0 to 1, each firing in the middle of its part.
    for per_factor in (3, 6, 9):
        [first, _] = gathering.rounds(per_factor)
        middles = (np.array(first) + 0.5) / per_factor
        assert middles.mean() == pytest.approx(0.5)


@pytest.mark.parametrize("sure", [0.0, 2.0])
def test_sure_factors_are_not_measured_again(sure, toy_run, monkeypatch):
    run = tfvis_jax.load_run(toy_run)
    asked = []

    def measure(*arguments, peaks, per_factor, progress, factors, ranks):
        asked.append((list(factors), list(ranks)))
        progress(len(factors) * len(ranks))
        share = np.full((len(peaks), per_factor, len(measuring.ALTERATIONS)), np.nan)
        for factor in factors:
            for rank in ranks:
                share[factor, rank] = rank / 10
        return share

    monkeypatch.setattr(measuring, "measure", measure)
    monkeypatch.setattr(gathering, "SURE", sure)
    monkeypatch.setattr(rule, "MIN_DOCUMENTS", 1)
    shown = []
    found = gathering.measure(
        run, per_factor=6, progress=lambda *done: shown.append(done)
    )
    alive = [factor for factor, each in enumerate(found) if each is not None]
    assert asked[0] == (alive, [1, 4])
    # Those that fire too seldom for a level are as good as sure.
    often = [f for f in alive if rule.judge(found[f]).probabilities]
    rest = [] if sure == 0 else often
    assert asked[1] == (rest, [0, 2, 3, 5]) and often
    for factor in alive:
        shares = list(found[factor].context.shares.values())
        # The mean of ranks 1 and 4, and of all six.
        assert shares == pytest.approx([0.25] * len(shares))
    done, totals = zip(*shown, strict=True)
    assert set(totals) == {6 * len(alive)} and done[-1] == totals[0]
    assert list(done) == sorted(done)

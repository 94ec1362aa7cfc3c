"""The factors that are measured first: those that the examples give context."""

import dataclasses

import numpy as np
import pytest

from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import gathering, measuring, rule, sampling
from tfvis_jax.levels import spread as spread_lib
from tfvis_jax.notebook import run as run_lib


def _evidence(rng):
    spread = spread_lib.Spread(
        12, *rng.random(5).tolist(), "word", *rng.random(4).tolist()
    )
    return evidence_lib.Evidence(int(rng.integers(20, 900)), spread)


def _ranked(evidence):
    """Selects the largest sum of mid, high and topic again and again."""
    left = {}
    for factor, each in enumerate(evidence):
        p = each and rule.judge(dataclasses.replace(each, context=None)).probabilities
        if p:
            left[factor] = p["mid"] + p["high"] + p["topic"]
    while left:
        best = max(left.values())
        # Rounding may part what is equal.
        tied = [factor for factor, value in left.items() if value > best - 1e-12]
        yield min(tied)
        del left[min(tied)]


@pytest.mark.parametrize("seed", range(3))
def test_the_choice_is_that_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    evidence = [_evidence(rng) for _ in range(60)]
    evidence[7] = None
    evidence[8] = dataclasses.replace(evidence[8], firing=3)
    # Equal ones, the larger number first in neither.
    evidence[30] = evidence[50] = evidence[10]
    expected = list(_ranked(evidence))
    assert len(expected) == 58 and not {7, 8} & set(expected)
    assert sampling.by_context(evidence, n=100) == expected
    for n in (1, 10, 57):
        assert sampling.by_context(evidence, n=n) == expected[:n]


def test_what_is_measured_does_not_change_the_choice():
    rng = np.random.default_rng(5)
    guesses = [_evidence(rng) for _ in range(30)]
    measured = [
        dataclasses.replace(
            each,
            context=evidence_lib.Context(
                {name: float(rng.random()) for name in measuring.ALTERATIONS},
                kinship=0.1,
            ),
        )
        for each in guesses
    ]
    assert sampling.by_context(measured, n=9) == sampling.by_context(guesses, n=9)


def test_factors_of_a_run_are_chosen_by_their_examples(toy_run, monkeypatch):
    monkeypatch.setattr(rule, "MIN_DOCUMENTS", 1)
    evidence = gathering.of_examples(run_lib.load_run(toy_run))
    expected = list(_ranked(evidence))
    assert expected and 0 not in expected
    assert sampling.by_context(evidence, n=len(evidence)) == expected

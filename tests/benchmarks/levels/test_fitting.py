"""How often levels are right: counts, folds, agreement of two passes."""

import dataclasses

import numpy as np
import pytest

from benchmarks.levels import fitting, readings
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import rule


@pytest.fixture(scope="module")
def found():
    """The factors that come with the repository."""
    return readings.load(readings.LABELLED / "demo.json")


def test_labelled_factors_are_whole(found):
    assert len(found) >= 100
    for each in found:
        assert set(each.levels) <= set(fitting.CLASSES)
        assert len(each.levels) == len(each.readings) == len(each.confidence) == 2
        numbers = evidence_lib.numbers(each.evidence)
        assert np.isfinite(list(numbers.values())).all()
        assert set(fitting.MEASURED) <= set(numbers)
    factors = [(each.source, each.factor) for each in found]
    assert len(set(factors)) == len(factors)


def test_readings_are_read_back(found, tmp_path):
    path = tmp_path / "labelled.json"
    readings.save(path, found[:5], recipe="tfvis demo")
    assert readings.load(path) == found[:5]


def test_agreement_of_two_passes(found):
    metrics = pytest.importorskip("sklearn.metrics")
    first, second = zip(*(each.levels for each in found), strict=True)
    same, kappa = readings.kappa(found)
    assert same == pytest.approx(np.mean(np.array(first) == np.array(second)))
    assert kappa == pytest.approx(metrics.cohen_kappa_score(first, second))


def test_no_factor_is_judged_by_a_model_that_has_seen_it(found, monkeypatch):
    seen = []
    fit = fitting.fit

    def spy(chosen, **settings):
        seen.append({each.factor for each in chosen})
        return fit(chosen, **settings)

    judged = []
    probabilities = fitting.probabilities

    def judge(model, evidence):
        [factor] = [each.factor for each in found if each.evidence is evidence]
        assert factor not in seen[-1]
        judged.append(factor)
        return probabilities(model, evidence)

    monkeypatch.setattr(fitting, "fit", spy)
    monkeypatch.setattr(fitting, "probabilities", judge)
    result = fitting.cross_validated(found, names=("alone",), penalty=1.0, folds=4)
    assert sorted(judged) == sorted(each.factor for each in found)
    assert all(sum(p.values()) == pytest.approx(1) for p in result)


def test_scores_count_what_the_passes_agree_on(found):
    agreed = [each for each in found if each.agreed is not None]
    low = next(each for each in agreed if each.agreed == "low")
    mid = next(each for each in agreed if each.agreed == "mid")
    split = dataclasses.replace(low, levels=["low", "mid"])
    p = dict.fromkeys(fitting.CLASSES, 0.1) | {"low": 0.6}
    score = fitting.score(
        [low, low, mid, mid, split], ["low", "unclear", "low", "mid", "low"], [p] * 5
    )
    assert score.n == 4 and score.unclear == 1 / 4
    assert score.agreement == pytest.approx(2 / 3)
    assert score.precision["low"] == (1, 2) and score.precision["mid"] == (1, 1)
    assert score.recall["low"] == (1, 2) and score.recall["mid"] == (1, 2)
    assert score.log_loss == pytest.approx(-np.log([0.6, 0.6, 0.1, 0.1]).mean())
    # A bin for each factor: gaps of 0.4 where it is right and 0.6 where it is not.
    assert score.calibration == pytest.approx(0.5)


def test_calibration_error_is_the_gap_in_bins():
    probability = np.array([0.5, 0.6, 0.8, 0.9])
    right = np.array([True, False, True, True])
    expected = (2 * abs(0.55 - 0.5) + 2 * abs(0.85 - 1)) / 4
    error = fitting.calibration_error(probability, right, bins=2)
    assert error == pytest.approx(expected)
    assert fitting.calibration_error(np.ones(6), np.ones(6, bool)) == 0


def test_the_packages_rule_is_that_of_the_benchmark(found):
    known = rule.calibration()
    for each in found[:30]:
        p = fitting.probabilities((known.measured, known.split), each.evidence)
        level = rule.judge(each.evidence)
        assert level.probabilities == p
        if each.evidence.spread.documents >= rule.MIN_DOCUMENTS:
            assert level.name == fitting.called(p, least=known.least)

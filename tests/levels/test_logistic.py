"""The logistic model against scikit-learn, and its limits."""

import numpy as np
import pytest

from tfvis_jax.levels import logistic, rule


def test_probabilities_are_a_softmax():
    model = logistic.Logistic(
        classes=["a", "b", "c"],
        names=["x", "y"],
        mean=[0.5, -1.0],
        scale=[2.0, 0.1],
        weight=[[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]],
        bias=[0.0, 0.5, -0.5],
    )
    z = np.array([(2.5 - 0.5) / 2, (-0.9 + 1.0) / 0.1])
    logits = np.array([z[0], 0.5 + 2 * z[1], -0.5 - z[0] + z[1]])
    expected = np.exp(logits) / np.exp(logits).sum()
    found = model.probabilities({"x": 2.5, "y": -0.9, "unused": 3.0})
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-12)
    # Beyond four standard deviations, nothing was seen.
    far = model.probabilities({"x": 1e9, "y": -0.9})
    assert far == model.probabilities({"x": 8.5, "y": -0.9})


def test_topic_and_high_are_divided_at_the_midpoint():
    split = logistic.Split(midpoint=0.4, slope=20.0)
    assert split.topic(0.4) == pytest.approx(0.5)
    assert split.topic(0.6) == pytest.approx(1 / (1 + np.exp(-4)))
    assert split.topic(0.1) < 0.01


def test_the_packages_models_are_whole():
    known = rule.calibration()
    for model in (known.measured, known.guess):
        n, n_classes = len(model.names), len(model.classes)
        assert model.classes == ["low", "mid", "high", "unreadable"]
        assert len(model.mean) == len(model.scale) == n
        assert np.shape(model.weight) == (n_classes, n) and len(model.bias) == n_classes
    assert 0.25 < known.least < 1
    # Nearly all of the strongest firings in few documents are a topic's.
    assert known.split.topic(0.4) < 0.1 and known.split.topic(0.97) > 0.8
    assert known.fitted_on


def test_fitting_equals_scikit_learns():
    pytest.importorskip("sklearn")
    from sklearn import linear_model

    from benchmarks.levels import fitting, readings

    rng = np.random.default_rng(0)
    found = readings.load(readings.LABELLED / "demo.json")
    chosen = [each for each in found if each.agreed is not None]
    penalty = 2.0
    model, _ = fitting.fit(chosen, names=fitting.GUESS, penalty=penalty)
    x = fitting.numbers(chosen, fitting.GUESS)
    z = logistic.standardised(x, model.mean, model.scale)
    y = fitting.shares(chosen).argmax(axis=1)
    oracle = linear_model.LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=10_000)
    expected = oracle.fit(z, y).predict_proba(z)
    for i in rng.permutation(len(chosen))[:20].tolist():
        p = model.probabilities(fitting.evidence_lib.numbers(chosen[i].evidence))
        # Weights are stored with four decimals.
        np.testing.assert_allclose(list(p.values()), expected[i], atol=2e-3)

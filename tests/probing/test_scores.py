"""Scores against scikit-learn, intervals against a bootstrap row by row."""

import numpy as np
import pytest
import sklearn.metrics

from tfvis_jax import probing
from tfvis_jax.errors import InputError
from tfvis_jax.probing import scores


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    return probing.make_task(
        rng.choice(["a", "b", "c"], 400, p=[0.5, 0.3, 0.2]), rng.integers(0, 60, 400)
    )


@pytest.fixture(scope="module")
def predictions(task):
    rng = np.random.default_rng(1)
    found = np.eye(3)[task.y] + rng.normal(size=(400, 3))
    return probing.Predictions(found, np.argmax(found, axis=1), np.zeros(5), ({},) * 5)


def _metrics(task, predictions, rows):
    """Metrics of rows, which may repeat, by scikit-learn."""
    y, predicted = task.y[rows], predictions.predicted[rows]
    found = {"accuracy": sklearn.metrics.accuracy_score(y, predicted)}
    per_class = sklearn.metrics.precision_recall_fscore_support(
        y, predicted, labels=[0, 1, 2], zero_division=0
    )
    for name, values in zip(("precision", "recall", "f1"), per_class, strict=False):
        found |= {(name, number): value for number, value in enumerate(values)}
    for number in range(3):
        for name, measure in (
            ("auc", sklearn.metrics.roc_auc_score),
            ("average_precision", sklearn.metrics.average_precision_score),
        ):
            by_fold = []
            for fold in range(5):
                inside = rows[task.folds[rows] == fold]
                by_fold.append(
                    measure(
                        task.y[inside] == number, predictions.scores[inside, number]
                    )
                )
            found[name, number] = np.mean(by_fold)
    return found


def _estimates(found):
    yield "accuracy", found.accuracy
    for number, each in enumerate(found.of_class.values()):
        for name in ("precision", "recall", "f1", "auc", "average_precision"):
            yield (name, number), getattr(each, name)


def test_values_and_resamples_against_scikit_learn(task, predictions):
    found = probing.score(predictions, task, n_resamples=4, seed=3)
    expected = _metrics(task, predictions, np.arange(400))
    assert found.of_class["b"].support == np.sum(task.y == 1)
    for key, estimate in _estimates(found):
        assert estimate.value == pytest.approx(expected[key], rel=1e-12), key
    drawn = scores.resample_documents(task, n_resamples=4, seed=3)
    for repeat, times in enumerate(drawn):
        rows = np.concatenate(
            [
                np.tile(np.flatnonzero(task.documents == document), n)
                for document, n in enumerate(times)
            ]
        )
        expected = _metrics(task, predictions, rows)
        for key, estimate in _estimates(found):
            assert estimate.samples[repeat] == pytest.approx(expected[key]), key


def test_a_resample_draws_whole_documents_within_folds(task):
    times = scores.resample_documents(task, n_resamples=50, seed=0)
    for fold in range(5):
        members = np.unique(task.documents[task.folds == fold])
        assert (times[:, members].sum(axis=1) == len(members)).all()
    # Each is drawn once on average.
    assert times.mean(axis=0) == pytest.approx(np.ones(60), abs=0.6)


def test_the_interval_covers_as_often_as_it_says():
    # Rows of a document agree, so that an interval over rows would be too short.
    rng = np.random.default_rng(0)
    n_covered, n_repeats = 0, 60
    for _ in range(n_repeats):
        documents = np.repeat(np.arange(50), 8)
        is_right = np.repeat(rng.random(50) < 0.7, 8)
        labels = np.where(rng.random(400) < 0.5, "a", "b")
        task = probing.make_task(labels, documents)
        predicted = np.where(is_right, task.y, 1 - task.y)
        found = probing.Predictions(
            np.eye(2)[predicted], predicted, np.zeros(5), ({},) * 5
        )
        accuracy = probing.score(found, task, n_resamples=200).accuracy
        n_covered += accuracy.low <= 0.7 <= accuracy.high
    # 95 % of 60 are 57; a bootstrap over rows covers 30.
    assert n_covered >= 51


def test_the_same_seed_gives_the_same_interval(task, predictions):
    first, second, other = (
        probing.score(predictions, task, n_resamples=50, seed=seed).accuracy
        for seed in (1, 1, 2)
    )
    assert (first.low, first.high) == (second.low, second.high)
    assert (first.low, first.high) != (other.low, other.high)


def test_differences_are_paired(task, predictions):
    rng = np.random.default_rng(5)
    # As good, and right on nearly the same rows.
    changed = predictions.predicted.copy()
    at = rng.permutation(400)[:8]
    changed[at] = (changed[at] + 1) % 3
    other = probing.Predictions(predictions.scores, changed, np.zeros(5), ({},) * 5)
    a, b = (probing.score(p, task).accuracy for p in (predictions, other))
    gap = probing.difference(a, b)
    assert gap.value == pytest.approx(a.value - b.value)
    np.testing.assert_allclose(gap.samples, a.samples - b.samples, atol=1e-12)
    assert gap.high - gap.low < 0.5 * (a.high - a.low)
    both = scores.mean([a, b])
    np.testing.assert_allclose(both.samples, (a.samples + b.samples) / 2, atol=1e-12)
    short = probing.score(other, task, n_resamples=10).accuracy
    with pytest.raises(InputError, match="equally many resamples, got 1000 and 10"):
        probing.difference(a, short)
    with pytest.raises(InputError, match="equally many"):
        scores.mean([a, short])


def test_a_class_that_is_never_found_has_no_precision(task):
    predicted = np.zeros(400, np.int64)
    found = probing.Predictions(
        np.tile([1.0, 0, 0], (400, 1)), predicted, np.zeros(5), ({},) * 5
    )
    scored = probing.score(found, task, n_resamples=20)
    assert scored.of_class["c"].f1.value == 0
    assert scored.of_class["c"].auc.value == pytest.approx(0.5)
    assert scored.of_class["a"].recall.value == 1

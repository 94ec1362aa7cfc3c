"""Average precision, AUC and thresholds, against scikit-learn and brute force."""

import numpy as np
import pytest
import sklearn.metrics

from tfvis_jax.errors import InputError
from tfvis_jax.probing import ranking


def _columns(rng, n=300, m=7):
    columns = rng.normal(size=(n, m)).astype(np.float32)
    # Codes: most are zero, and many are equal.
    columns[:, 1] = np.where(rng.random(n) < 0.9, 0, columns[:, 1] ** 2)
    columns[:, 2] = np.round(columns[:, 2])
    columns[:, 3] = 1.0
    return columns


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_columns_against_scikit_learn(share):
    rng = np.random.default_rng(0)
    columns = _columns(rng)
    is_positive = rng.random(300) < share
    found = ranking.column_average_precision(columns, is_positive)
    expected = [
        sklearn.metrics.average_precision_score(is_positive, column)
        for column in columns.T
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_columns_in_parts_are_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    columns, is_positive = _columns(rng), rng.random(300) < 0.3
    whole = ranking.column_average_precision(columns, is_positive)
    whole_f1 = ranking.column_f1(columns, is_positive)
    monkeypatch.setattr(ranking, "_AT_ONCE", 700)
    np.testing.assert_array_equal(
        ranking.column_average_precision(columns, is_positive), whole
    )
    np.testing.assert_array_equal(ranking.column_f1(columns, is_positive), whole_f1)


def test_the_best_threshold_against_all_thresholds():
    rng = np.random.default_rng(1)
    columns = _columns(rng, n=80)
    is_positive = rng.random(80) < 0.3
    best, threshold = ranking.column_f1(columns, is_positive)
    for number, column in enumerate(columns.T):
        values = np.unique(column)
        tried = [-np.inf, *((values[1:] + values[:-1]) / 2)]
        scores = [sklearn.metrics.f1_score(is_positive, column > t) for t in tried]
        assert best[number] == pytest.approx(max(scores), abs=1e-12)
        reached = sklearn.metrics.f1_score(is_positive, column > threshold[number])
        assert reached == pytest.approx(best[number], abs=1e-12)


def test_weighted_against_scikit_learn_and_repetition():
    rng = np.random.default_rng(2)
    scores = np.round(rng.normal(size=60), 1)
    is_positive = rng.random(60) < 0.4
    weights = rng.integers(0, 4, size=(5, 60))
    average_precision = ranking.average_precision(scores, is_positive, weights)
    auc = ranking.roc_auc(scores, is_positive, weights)
    for repeat, times in enumerate(weights):
        repeated = np.repeat(np.arange(60), times)
        arguments = is_positive[repeated], scores[repeated]
        assert average_precision[repeat] == pytest.approx(
            sklearn.metrics.average_precision_score(*arguments), rel=1e-12
        )
        assert auc[repeat] == pytest.approx(
            sklearn.metrics.roc_auc_score(*arguments), rel=1e-12
        )


def test_auc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 5, 40)
    is_positive = rng.random(40) < 0.5
    high, low = scores[is_positive][:, None], scores[~is_positive][None]
    expected = np.mean((high > low) + 0.5 * (high == low))
    assert ranking.roc_auc(scores, is_positive)[0] == pytest.approx(expected)


def test_without_positives():
    scores, nothing = np.arange(3.0), np.zeros(3, bool)
    assert np.isnan(ranking.average_precision(scores, nothing)).all()
    assert np.isnan(ranking.roc_auc(scores, ~nothing)).all()
    with pytest.raises(InputError, match="at least one positive"):
        ranking.column_average_precision(scores[:, None], nothing)


def test_the_best_column_is_the_best_of_all():
    rng = np.random.default_rng(11)
    for _ in range(30):
        n, m = int(rng.integers(5, 300)), int(rng.integers(1, 60))
        is_positive = rng.random(n) < 0.2
        is_positive[0] = True
        # Codes: zero for most rows, with ties; and columns that are equal.
        columns = np.round(np.maximum(rng.normal(size=(n, m)) - 0.5, 0), 1)
        columns[:, rng.integers(m)] += is_positive
        columns = columns[:, rng.integers(0, m, m)]
        found = ranking.column_average_precision(columns, is_positive)
        best, column = ranking.best_column(columns, is_positive)
        assert best == found.max() and column == np.argmax(found)

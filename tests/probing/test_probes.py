"""Probes: what they find, and that they never see what they are tested on."""

import numpy as np
import pytest
import scipy.sparse
import sklearn.linear_model
import sklearn.metrics

from tfvis_jax import probing
from tfvis_jax.errors import InputError
from tfvis_jax.probing import logistic, minimise

N = 240


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    return probing.make_task(
        np.where(rng.random(N) < 0.4, "yes", "no"), rng.integers(0, 40, N)
    )


@pytest.fixture(scope="module")
def x(task):
    """Noise; columns 3 and 4 tell, column 5 tells the same as 3."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 12))
    x[:, 3] += 2.5 * task.y
    x[:, 4] -= 1.5 * task.y
    x[:, 5] = x[:, 3] + 0.01 * rng.normal(size=N)
    return x.astype(np.float32)


PROBES = {
    "one by average precision": probing.SingleFeature(1),
    "one by F1": probing.SingleFeature(1, "f1"),
    "two": probing.SparseProbe(2),
    "all": probing.FullProbe(),
}


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_what_is_fitted_does_not_depend_on_tested_rows(task, x, name, form):
    probe = PROBES[name]
    plain = probing.cross_validate(form(x), task, probe)
    for fold in range(task.n_folds):
        tested = task.folds == fold
        poisoned = x.copy()
        # Useless in training, perfect where it is tested; and nonsense elsewhere.
        poisoned[tested] = 1e3 * np.random.default_rng(fold).normal(size=12)[None]
        poisoned[tested, 0] = 1e6 * task.y[tested]
        found = probing.cross_validate(form(poisoned), task, probe)
        assert found.chosen[fold] == plain.chosen[fold]
        assert found.criteria[fold] == plain.criteria[fold]
        assert 0 not in found.chosen[fold].get("features", [])


@pytest.mark.parametrize("name", PROBES)
def test_tested_rows_are_not_handed_to_a_fit(task, x, name, monkeypatch):
    given = []
    kind = type(PROBES[name])
    fit = kind.fit

    def record(self, rows, y, folds, *, n_classes):
        given.append((rows.copy(), y.copy(), folds.copy()))
        return fit(self, rows, y, folds, n_classes=n_classes)

    monkeypatch.setattr(kind, "fit", record)
    probing.cross_validate(x, task, PROBES[name])
    for fold, (rows, y, folds) in enumerate(given):
        known = task.folds != fold
        np.testing.assert_array_equal(rows, x[known])
        np.testing.assert_array_equal(y, task.y[known])
        assert fold not in folds


def test_the_best_feature_against_brute_force(task, x):
    found = probing.cross_validate(x, task, probing.SingleFeature(1))
    for fold, chosen in enumerate(found.chosen):
        known = task.folds != fold
        scores = {
            (column, sign): sklearn.metrics.average_precision_score(
                task.y[known], sign * x[known, column]
            )
            for column in range(12)
            for sign in (1, -1)
        }
        best = max(scores, key=lambda key: scores[key])
        assert (chosen["feature"], chosen["direction"]) == best
        assert found.criteria[fold] == pytest.approx(scores[best])
        tested = task.folds == fold
        value = chosen["direction"] * x[tested, chosen["feature"]]
        np.testing.assert_allclose(found.scores[tested, 1], value)
        np.testing.assert_array_equal(
            found.predicted[tested] == 1, value > chosen["threshold"]
        )


@pytest.mark.parametrize("positive", [0, 1])
def test_a_feature_may_speak_against_its_class(task, positive):
    x = -np.eye(2)[task.y].astype(np.float32)
    found = probing.cross_validate(
        x[:, [positive]], task, probing.SingleFeature(positive)
    )
    assert found.chosen[0]["direction"] == -1
    np.testing.assert_array_equal(found.predicted, task.y)
    # The larger score is that of the class.
    assert found.scores[task.y == positive, positive].min() > (
        found.scores[task.y != positive, positive].max()
    )


def test_pursuit_starts_with_the_largest_difference_of_means_and_repeats_nothing(
    task, x
):
    known = task.folds != 0
    standard = (x[known] - x[known].mean(axis=0)) / x[known].std(axis=0)
    y = task.y[known]
    gap = standard[y == 1].mean(axis=0) - standard[y == 0].mean(axis=0)
    first = int(np.argmax(np.abs(gap)))
    for k, found in probing.cross_validate_path(x, task, ks=(1, 2, 5)).items():
        features = found.chosen[0]["features"]
        assert features[0] == first and len(set(features)) == k
        # Column 5 repeats column 3: the second choice tells something else.
        if k == 2:
            assert features[1] == 4


def test_a_path_is_its_probes(task, x):
    path = probing.cross_validate_path(x, task, ks=(1, 3))
    for k, found in path.items():
        alone = probing.cross_validate(x, task, probing.SparseProbe(k))
        np.testing.assert_array_equal(found.scores, alone.scores)
        np.testing.assert_array_equal(found.criteria, alone.criteria)
        assert found.chosen == alone.chosen


def test_pursuit_against_its_definition(task, x):
    known = task.folds != 0
    rows, y = x[known].astype(np.float64), task.y[known]
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    columns, probability = [], np.full(len(y), y.mean())
    for _ in range(4):
        gradient = np.abs(standard.T @ (y - probability))
        gradient[columns] = 0
        columns.append(int(np.argmax(gradient)))
        model = sklearn.linear_model.LogisticRegression(C=1.0, tol=1e-8)
        model.fit(standard[:, columns], y)
        probability = model.predict_proba(standard[:, columns])[:, 1]
    found = probing.cross_validate(x, task, probing.SparseProbe(4))
    assert found.chosen[0]["features"] == columns
    tested = (x[~known] - rows.mean(axis=0)) / rows.std(axis=0)
    # Both stop early, at their own tolerance.
    np.testing.assert_allclose(
        found.scores[~known],
        model.predict_proba(tested[:, columns]),
        atol=2e-3,
    )


def test_few_features_are_used_as_often_as_there_are(task):
    x = np.ones((N, 3), np.float32)
    x[:, 1] = task.y
    found = probing.cross_validate(x, task, probing.SparseProbe(3))
    assert found.chosen[0]["features"][0] == 1
    np.testing.assert_array_equal(found.predicted, task.y)
    nothing = probing.cross_validate(np.ones((N, 2)), task, probing.SparseProbe(2))
    assert (nothing.predicted == 0).all()


def test_the_penalty_is_the_best_of_left_out_folds(task, x):
    found = probing.cross_validate(x, task, probing.FullProbe())
    known = task.folds != 0
    rows, y, folds = x[known], task.y[known], task.folds[known]
    # Columns keep their proportions.
    rows = rows / np.sqrt(np.mean(rows.var(axis=0, dtype=np.float64)))
    losses = {}
    for strength in (1e-2, 1e-1, 1.0, 10.0):
        probability = np.zeros(len(y))
        for fold in (1, 2, 3, 4):
            inside = folds == fold
            model = sklearn.linear_model.LogisticRegression(C=strength, tol=1e-8)
            model.fit(rows[~inside], y[~inside])
            probability[inside] = model.predict_proba(rows[inside])[:, 1]
        losses[strength] = sklearn.metrics.log_loss(y, probability)
    best = min(losses, key=lambda key: losses[key])
    assert found.chosen[0]["strength"] == best
    # It stops before the last digits.
    assert found.criteria[0] == pytest.approx(-losses[best], abs=2e-4)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("columns", [9, 300])
@pytest.mark.parametrize("strength", [1e-2, 10.0])
def test_logistic_regression_against_scikit_learn(n_classes, columns, strength):
    rng = np.random.default_rng(7)
    y = rng.integers(0, n_classes, N)
    # Columns of very different size, far from zero.
    x = rng.normal(size=(N, columns)) * np.geomspace(0.1, 10, columns) + 5
    x[:, 3] += 2 * y
    scale = np.sqrt(np.mean(x.var(axis=0)))
    model = sklearn.linear_model.LogisticRegression(
        C=strength, tol=1e-10, max_iter=5000
    ).fit(x / scale, y)
    found = logistic.fit(x, y, n_classes=n_classes, strength=strength)
    expected = model.predict_proba(x / scale)
    # It stops before the last digits: a step promises 1e-7 of the loss.
    np.testing.assert_allclose(found.probabilities(x), expected, atol=5e-3)

    def objective(probabilities, coefficients):
        penalty = np.sum(coefficients**2) / 2
        return strength * N * logistic.log_loss(probabilities, y) + penalty

    ours = objective(found.probabilities(x), found.coefficients)
    least = objective(expected, model.coef_)
    assert ours == pytest.approx(least, rel=2e-3)


def test_regressions_on_subsets_are_those_of_the_subsets(task, x):
    rows = logistic.coordinates(x)
    included = np.stack([task.folds != 0, task.folds != 3])
    found = rows.fit(task.y, included, n_classes=2, strength=1.0)
    for each, w in zip(included, found, strict=True):
        model = sklearn.linear_model.LogisticRegression(C=1.0, tol=1e-10)
        model.fit(x[each] / rows.scale, task.y[each])
        np.testing.assert_allclose(
            rows.classifier(w).probabilities(x)[:, 1],
            model.predict_proba(x / rows.scale)[:, 1],
            # As above.
            atol=5e-3,
        )


def test_sparse_rows_are_probed_like_dense_ones(task, monkeypatch):
    # Sums over another memory layout may end a fit a step earlier: so late that a step
    # changes nothing that is compared.
    monkeypatch.setattr(minimise, "_TOLERANCE", 1e-13)
    rng = np.random.default_rng(2)
    codes = np.where(rng.random((N, 30)) < 0.15, rng.random((N, 30)), 0)
    codes[:, 7] = np.where(task.y == 1, codes[:, 7] + 0.4, 0)
    codes = codes.astype(np.float32)
    sparse = scipy.sparse.csr_array(codes)
    for probe in PROBES.values():
        dense, csr = (
            probing.cross_validate(form, task, probe) for form in (codes, sparse)
        )
        assert csr.chosen == dense.chosen
        np.testing.assert_allclose(csr.scores, dense.scores, rtol=1e-5)


def test_a_column_that_hardly_varies_is_no_obstacle(task, recwarn):
    rng = np.random.default_rng(6)
    x = np.float32(100 + 1e-3 * rng.normal(size=(N, 20)))
    x[:, 0] += 5e-3 * task.y
    for form in (np.asarray, scipy.sparse.csr_array):
        found = probing.cross_validate(form(x), task, probing.FullProbe())
        assert (found.predicted == task.y).mean() > 0.95
    assert not recwarn.list


def test_three_classes_and_one_that_training_lacks():
    rng = np.random.default_rng(3)
    labels = np.array(["a", "b", "c"] * 40)
    task = probing.make_task(labels, np.arange(120))
    x = np.eye(3)[task.y] + 0.3 * rng.normal(size=(120, 3))
    for probe in (probing.SparseProbe(2), probing.FullProbe()):
        found = probing.cross_validate(x, task, probe)
        assert (found.predicted == task.y).mean() > 0.9
        np.testing.assert_allclose(found.scores.sum(axis=1), np.ones(120), atol=1e-9)
    with pytest.raises(InputError, match="two classes"):
        probing.cross_validate(x, task, probing.SingleFeature(0))
    known = task.y != 1
    classifier = logistic.fit(x[known], task.y[known], n_classes=3, strength=1.0)
    probabilities = classifier.probabilities(x)
    assert (probabilities[:, 1] == 0).all()
    assert np.isfinite(logistic.log_loss(probabilities, task.y))


def test_the_layer_is_chosen_by_training_rows(task, x):
    rng = np.random.default_rng(4)
    layers = {1: rng.normal(size=(N, 12)), 2: x, 3: rng.normal(size=(N, 12))}
    found = {
        n: probing.cross_validate(rows, task, probing.SparseProbe(2))
        for n, rows in layers.items()
    }
    best = probing.choose(found, task)
    assert [chosen["of"] for chosen in best.chosen] == [2] * 5
    np.testing.assert_array_equal(best.scores, found[2].scores)
    # A layer that is better in the tests of a fold alone is not taken.
    lucky = probing.Predictions(
        np.eye(2)[task.y], task.y, found[1].criteria, found[1].chosen
    )
    again = probing.choose({**found, 1: lucky}, task)
    np.testing.assert_array_equal(again.predicted, found[2].predicted)


def test_baselines(task):
    majority = probing.cross_validate(np.zeros((N, 1)), task, probing.Majority())
    assert (majority.predicted == np.bincount(task.y).argmax()).all()
    labels = np.array(task.classes)[task.y]
    labels[:3] = "unheard of"
    tagged = probing.from_labels(labels, task)
    assert (tagged.predicted == task.y).sum() == N - 3


def test_what_is_no_matrix_of_the_task_is_refused(task, x):
    with pytest.raises(InputError, match=r"240 rows of the task, got shape \(3, 12\)"):
        probing.cross_validate(x[:3], task, probing.Majority())
    broken = x.copy()
    broken[4, 4] = np.nan
    for form in (np.asarray, scipy.sparse.csr_array):
        with pytest.raises(InputError, match="NaN or infinity"):
            probing.cross_validate(form(broken), task, probing.Majority())
    with pytest.raises(InputError, match="average_precision or f1"):
        probing.cross_validate(x, task, probing.SingleFeature(1, "auc"))

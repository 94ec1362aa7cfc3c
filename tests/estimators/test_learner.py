"""Dictionary learning as people who know scikit-learn use it."""

import numpy as np
import pytest
import sklearn.base
import sklearn.exceptions
import sklearn.model_selection
import sklearn.pipeline
import sklearn.preprocessing

from tfvis_jax.errors import InputError
from tfvis_jax.estimators import DictionaryLearning, SparseCoder


def _planted(rows=600, seed=0):
    """Rows that are sums of two or three of twelve directions, and the directions."""
    rng = np.random.default_rng(seed)
    factors = np.linalg.qr(rng.normal(size=(16, 12)))[0].T
    codes = rng.uniform(0.5, 1.5, size=(rows, 12)) * (rng.random((rows, 12)) < 0.2)
    return np.float32(codes @ factors), np.float32(factors)


X, FACTORS = _planted()


def _learner(**settings):
    settings = {"target_l0": 2.0, "solver": "spectral"} | settings
    return DictionaryLearning(n_factors=12, **settings)


@pytest.fixture(scope="module")
def fitted():
    return _learner().fit(X)


def test_planted_directions_are_found_with_the_default_settings(fitted):
    cosine = (fitted.components_ @ FACTORS.T).max(axis=0)
    assert np.mean(cosine > 0.95) >= 10 / 12
    # The lasso shrinks codes: even the planted factors explain only so much at this λ.
    planted = SparseCoder(FACTORS, l1_penalty=fitted.l1_penalty_, solver="spectral")
    assert fitted.score(X) > planted.score(X / fitted.scale_) - 0.1
    assert fitted.n_iter_ == fitted.n_steps_ == 300
    codes = fitted.transform(X)
    # λ follows L0 over some tens of steps; the last ones still move it.
    np.testing.assert_allclose(np.mean(np.sum(codes != 0, axis=1)), 2.0, rtol=0.1)
    assert codes.min() == 0
    np.testing.assert_allclose(np.linalg.norm(fitted.components_, axis=1), 1, atol=1e-6)


def test_the_unit_of_the_rows_makes_no_difference(fitted):
    np.testing.assert_allclose(
        fitted.scale_, np.sqrt(np.mean(np.sum(X.astype(float) ** 2, axis=1))), rtol=1e-6
    )
    other = _learner().fit(X * 1024)
    np.testing.assert_allclose(other.scale_, 1024 * fitted.scale_, rtol=1e-6)
    # A power of two: not even rounding differs.
    np.testing.assert_array_equal(other.components_, fitted.components_)
    codes = other.transform(X * 1024)
    np.testing.assert_array_equal(codes, fitted.transform(X))
    rows = other.inverse_transform(codes)
    error = np.sum((rows - X * 1024) ** 2) / np.sum((X * 1024 - 1024 * X.mean(0)) ** 2)
    np.testing.assert_allclose(1 - error, other.score(X * 1024), atol=1e-5)
    plain = _learner(scale=None, num_passes=1).fit(X)
    assert plain.scale_ == 1


def test_the_random_state_decides(fitted):
    again = sklearn.base.clone(fitted).fit(X)
    np.testing.assert_array_equal(again.components_, fitted.components_)
    short = {"num_passes": 1, "rows_per_step": 1024}
    by_number = _learner(random_state=1, **short).fit(X).components_
    states = (np.random.RandomState(3), np.random.default_rng(3), None)
    others = [_learner(random_state=s, **short).fit(X).components_ for s in states]
    for other in (fitted.components_, *others):
        assert not np.array_equal(by_number, other)


def test_more_rows_improve_what_the_first_have_learnt():
    learner = _learner(rows_per_step=128)
    rows, _ = _planted(4000, seed=0)
    before = learner.partial_fit(rows[:500]).score(X)
    scale, steps = learner.scale_, learner.n_steps_
    for first in range(500, 4000, 500):
        learner.partial_fit(rows[first : first + 500])
    # How much depends on the optimum that rounding leads to.
    assert learner.score(X) > before
    assert learner.scale_ == scale
    assert (steps, learner.n_steps_, learner.n_iter_) == (4, 32, 8)
    with pytest.raises(InputError, match="`n_factors` to stay 12"):
        learner.set_params(n_factors=13).partial_fit(X)


def test_grid_search_and_pipeline():
    pipeline = sklearn.pipeline.make_pipeline(
        sklearn.preprocessing.StandardScaler(),
        _learner(rows_per_step=512, num_passes=40),
    )
    search = sklearn.model_selection.GridSearchCV(
        pipeline, {"dictionarylearning__target_l0": [0.5, 2.0]}, cv=2
    )
    search.fit(X)
    assert search.best_params_ == {"dictionarylearning__target_l0": 2.0}
    assert search.transform(X).shape == (600, 12)


def test_nothing_is_there_before_it_is_fitted():
    for use in ("transform", "inverse_transform", "score"):
        with pytest.raises(sklearn.exceptions.NotFittedError, match="not fitted"):
            getattr(_learner(), use)(X)
    with pytest.raises(InputError, match="not fitted"):
        _learner().get_feature_names_out()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"l1_penalty": 0.1}, "got both"),
        ({"scale": "l2"}, "`scale`"),
        ({"rows_per_step": 0}, "`rows_per_step`"),
        ({"num_passes": 0}, "`num_passes`"),
        ({"step_size": -1.0}, "`step_size`"),
        ({"solver": "lars"}, "`solver`"),
    ],
)
def test_bad_settings_are_refused_by_fit(settings, message):
    with pytest.raises(InputError, match=message):
        _learner(**settings).fit(X)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_factors", 2.5, "whole number"),
        ("n_factors", "12", "finite number"),
        ("l1_penalty", "a", "finite number"),
        ("tolerance", None, "finite number"),
        ("rows_per_step", 2.5, "whole number"),
        ("rows_per_step", None, "whole number"),
        ("num_passes", 2.5, "whole number"),
        ("random_state", "a", "whole number"),
        ("random_state", -1, "whole number"),
    ],
)
def test_settings_of_another_kind_are_refused_by_name(name, value, message):
    learner = _learner(target_l0=None).set_params(**{name: value})
    with pytest.raises(InputError, match=f"`{name}` to be a {message}"):
        learner.fit(X)


def test_one_factor_is_the_direction_of_all_rows():
    direction = np.ones(16, np.float32) / 4
    x = np.linspace(1, 2, 64, dtype=np.float32)[:, None] * direction
    learner = DictionaryLearning(n_factors=1, solver="spectral", num_passes=3).fit(x)
    np.testing.assert_allclose(learner.components_, direction[None], atol=1e-5)

"""scikit-learn's own checks of an estimator's conventions."""

import functools

import numpy as np
import pytest
import sklearn.utils.estimator_checks as sklearn_checks

from tfvis_jax.estimators import DictionaryLearning, SparseCoder

# The number of features of the rows that a check makes.
_WIDTHS = {
    "check_array_api_input": 10,
    "check_complex_data": 1,
    "check_dtype_object": 10,
    "check_estimators_dtypes": 5,
    "check_estimators_fit_returns_self": 2,
    "check_estimators_overwrite_params": 2,
    "check_fit2d_1feature": 1,
    "check_fit2d_1sample": 10,
    "check_fit_check_is_fitted": 2,
    "check_fit_idempotent": 2,
    "check_n_features_in": 2,
    "check_n_features_in_after_fitting": 4,
    "check_pipeline_consistency": 3,
    "check_positive_only_tag_during_fit": 4,
    "check_readonly_memmap_input": 2,
    "check_transformers_unfitted_stateless": 5,
}


def _coder(check="", width=3):
    width = _WIDTHS.get(check, width)
    dictionary = np.random.default_rng(0).normal(size=(7, width))
    return SparseCoder(np.float32(dictionary), l1_penalty=0.1, solver="spectral")


def _learner():
    return DictionaryLearning(n_factors=5, solver="spectral", num_passes=3)


def _checks(estimator):
    # Both inherit nothing from scikit-learn, which is optional; it warns of that.
    with pytest.warns(UserWarning, match="does not inherit"):
        checks = list(sklearn_checks.estimator_checks_generator(estimator))
    return [pytest.param(check, id=_name(check)) for _, check in checks]


def _name(check):
    while isinstance(check, functools.partial):
        check = check.func
    return check.__name__


@pytest.mark.parametrize("check", _checks(_coder()))
def test_sparse_coder(check):
    check(_coder(_name(check)))


@pytest.mark.parametrize("check", _checks(_learner()))
def test_dictionary_learning(check):
    check(_learner())

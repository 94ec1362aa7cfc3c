"""Coding with a given dictionary, as people who know scikit-learn use it."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
import sklearn.base
import sklearn.decomposition
import sklearn.exceptions
import sklearn.metrics
import sklearn.pipeline
import sklearn.preprocessing
from problems import sums_of_factors

from tfvis_jax.errors import InputError
from tfvis_jax.estimators import SparseCoder

X, DICTIONARY = sums_of_factors(90, 8, 24, seed=0, n_active=3)


def _coder(**settings):
    settings = {"l1_penalty": 0.3, "solver": "spectral", "tolerance": 1e-6} | settings
    return SparseCoder(DICTIONARY, **settings)


def test_codes_are_those_of_scikit_learn():
    expected = sklearn.decomposition.sparse_encode(
        X.astype(np.float64),
        DICTIONARY.astype(np.float64),
        algorithm="lasso_cd",
        alpha=0.3,
        positive=True,
        max_iter=100_000,
    )
    # Each of the two is within a relative gap of about 1e-6 of the same optimum, which
    # bounds the codes by its square root.
    codes = _coder(max_steps=3000).transform(X)
    np.testing.assert_allclose(codes, expected, atol=5e-3)
    assert codes.dtype == np.float32
    # float64 rows give the same float32 codes.
    again = _coder(max_steps=3000).transform(X.astype(np.float64))
    np.testing.assert_array_equal(codes, again)


def test_signed_codes():
    codes = _coder(non_negative=False).transform(X)
    assert codes.min() < 0 < codes.max()


def test_reconstruction_and_its_score():
    coder = _coder().fit(X)
    codes = coder.transform(X)
    rows = coder.inverse_transform(codes)
    np.testing.assert_allclose(rows, codes @ DICTIONARY, atol=1e-5)
    np.testing.assert_allclose(
        coder.inverse_transform(scipy.sparse.csr_array(codes)), rows, atol=1e-5
    )
    expected = sklearn.metrics.r2_score(X, rows, multioutput="variance_weighted")
    np.testing.assert_allclose(coder.score(X), expected, atol=1e-5)
    np.testing.assert_array_equal(coder.components_, DICTIONARY)
    with pytest.raises(InputError, match=r"\[rows, 24\]"):
        coder.inverse_transform(codes[:, :5])


def test_sparse_output():
    found = _coder(output="sparse").fit_transform(X)
    assert isinstance(found, scipy.sparse.csr_array)
    np.testing.assert_array_equal(found.toarray(), _coder().transform(X))


def test_in_a_pipeline_and_cloned():
    pipeline = sklearn.pipeline.make_pipeline(
        sklearn.preprocessing.StandardScaler(), _coder()
    )
    codes = pipeline.fit(X).transform(X)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    np.testing.assert_allclose(codes, _coder().transform(scaled), atol=1e-3)
    clone = sklearn.base.clone(_coder().fit(X))
    assert not hasattr(clone, "n_features_in_")
    np.testing.assert_array_equal(clone.dictionary, DICTIONARY)
    assert list(pipeline[-1].get_feature_names_out()[:2]) == ["factor0", "factor1"]


def test_parameters():
    coder = _coder().set_params(l1_penalty=0.5)
    assert coder.get_params()["l1_penalty"] == 0.5
    assert repr(coder).startswith("SparseCoder(dictionary=<24 × 8>, l1_penalty=0.5")
    with pytest.raises(InputError, match="got alpha"):
        coder.set_params(alpha=1)


def test_rows_that_do_not_converge_are_told():
    coder = _coder(max_steps=1)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning, match="of 90 rows"):
        coder.transform(X)


def test_rows_of_another_width_are_refused():
    with pytest.raises(InputError, match="8 features, as the dictionary"):
        _coder().fit(X[:, :3])
    with pytest.raises(InputError, match="X has 3 features, but SparseCoder"):
        _coder().transform(X[:, :3])
    with pytest.raises(InputError, match="numbers"):
        _coder().fit(np.array([["a", "b"]]))


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcdefgh"), index=range(5, 95))
    coder = _coder().fit(frame)
    assert list(coder.feature_names_in_) == list("abcdefgh")
    found = coder.set_output(transform="pandas").transform(frame)
    assert list(found.columns[:2]) == ["factor0", "factor1"]
    assert list(found.index) == list(range(5, 95))
    np.testing.assert_array_equal(found.to_numpy(), _coder().transform(X))
    with pytest.raises(InputError, match="feature names"):
        coder.transform(frame[list("hgfedcba")])
    with pytest.raises(InputError, match="data frames"):
        coder.set_params(output="sparse").transform(frame)


def test_an_unknown_container_is_refused():
    with pytest.raises(InputError, match="`transform`"):
        _coder().set_output(transform="arrow")


_WITHOUT_SKLEARN = """
import sys
import numpy as np

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "sklearn":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from tfvis_jax.estimators import DictionaryLearning, SparseCoder

x = np.random.default_rng(0).normal(size=(40, 4))
learner = DictionaryLearning(n_factors=6, l1_penalty=0.1, num_passes=2)
try:
    learner.transform(x)
except (ValueError, AttributeError) as error:
    assert "not fitted" in str(error)
codes = learner.fit(x).transform(x)
learner.partial_fit(x).save("learner.safetensors")
DictionaryLearning.load("learner.safetensors").score(x)
coder = SparseCoder(learner.components_, l1_penalty=0.1, max_steps=1)
coder.set_params(output="sparse").fit_transform(x)
print(repr(learner), codes.shape)
assert "sklearn" not in sys.modules
"""


def test_everything_works_without_scikit_learn(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_SKLEARN],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "(40, 6)" in done.stdout and "did not converge" in done.stderr


@pytest.mark.parametrize(
    "dictionary", [DICTIONARY[0], DICTIONARY[None], None, "abc", [[1.0, 2.0], [3.0]]]
)
def test_what_is_no_dictionary_is_refused(dictionary):
    coder = SparseCoder(dictionary, l1_penalty=0.3)
    for use in (coder.fit, coder.transform):
        with pytest.raises(InputError, match="Expected `dictionary`"):
            use(X)


def test_rows_that_are_not_numbers_are_refused():
    for rows in (np.array([["a"] * 8], object), [[1.0, 2.0], [3.0]]):
        with pytest.raises(InputError, match="rows of numbers"):
            _coder().transform(rows)

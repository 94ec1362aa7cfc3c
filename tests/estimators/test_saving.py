"""Estimators as files."""

import json

import numpy as np
import pytest
import safetensors.numpy
from problems import sums_of_factors

from tfvis_jax import sparse_coding
from tfvis_jax.errors import InputError
from tfvis_jax.estimators import DictionaryLearning, SparseCoder

X, DICTIONARY = sums_of_factors(90, 8, 24, seed=0, n_active=3)


def _learner(**settings):
    return DictionaryLearning(
        n_factors=12, l1_penalty=0.1, solver="spectral", num_passes=3, **settings
    )


def test_a_coder_comes_back(tmp_path):
    coder = SparseCoder(DICTIONARY, l1_penalty=np.float32(0.25), solver="spectral")
    coder.fit(X).save(tmp_path / "coder")
    loaded = SparseCoder.load(str(tmp_path / "coder"))
    assert loaded.n_features_in_ == 8 and loaded.l1_penalty == 0.25
    np.testing.assert_array_equal(loaded.transform(X), coder.transform(X))
    coder.save(tmp_path / "again")
    content = (tmp_path / "coder").read_bytes()
    assert content == (tmp_path / "again").read_bytes()


def test_a_learner_comes_back_and_goes_on_learning(tmp_path):
    learner = _learner().fit(X)
    learner.feature_names_in_ = np.array(list("abcdefgh"), object)
    learner.save(tmp_path / "learner")
    loaded = DictionaryLearning.load(tmp_path / "learner")
    assert loaded.get_params() == learner.get_params()
    assert list(loaded.feature_names_in_) == list("abcdefgh")
    for name in ("scale_", "l1_penalty_", "n_steps_", "n_iter_", "n_features_in_"):
        assert getattr(loaded, name) == getattr(learner, name), name
    np.testing.assert_array_equal(loaded.transform(X), learner.transform(X))
    loaded.partial_fit(X[:40])
    learner.partial_fit(X[:40])
    np.testing.assert_array_equal(loaded.components_, learner.components_)


def test_one_that_is_not_fitted_comes_back(tmp_path):
    _learner(output="sparse").save(tmp_path / "learner")
    loaded = DictionaryLearning.load(tmp_path / "learner")
    assert loaded.get_params() == _learner(output="sparse").get_params()
    assert not hasattr(loaded, "components_")


def test_a_setting_that_a_file_cannot_hold_leaves_the_old_file(tmp_path):
    path = tmp_path / "learner"
    _learner().save(path)
    before = path.read_bytes()
    for bad in (np.random.RandomState(0), float("nan")):
        with pytest.raises(InputError, match="numbers, names or arrays"):
            _learner(random_state=bad).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["learner"]


def test_files_of_something_else_are_refused(tmp_path):
    with pytest.raises(InputError, match="not there"):
        SparseCoder.load(tmp_path / "absent")
    (tmp_path / "text").write_text("no tensors")
    safetensors.numpy.save_file({"dictionary": DICTIONARY}, tmp_path / "other")
    safetensors.numpy.save_file(
        {"settings.dictionary": DICTIONARY},
        tmp_path / "damaged",
        metadata={"tfvis-estimator/1": json.dumps({"class": "SparseCoder"})},
    )
    for name in ("text", "other", "damaged"):
        with pytest.raises(InputError, match="not an estimator"):
            SparseCoder.load(tmp_path / name)
    _learner().save(tmp_path / "learner")
    with pytest.raises(InputError, match=r"DictionaryLearning\.load"):
        SparseCoder.load(tmp_path / "learner")


def test_a_penalty_of_for_l0_is_learnt_with_and_saved(tmp_path):
    l1_penalty = sparse_coding.for_l0(X, DICTIONARY, target_l0=3)
    coder = SparseCoder(DICTIONARY, l1_penalty=l1_penalty)
    coder.save(tmp_path / "coder")
    assert SparseCoder.load(tmp_path / "coder").l1_penalty == float(l1_penalty)
    learner = _learner().set_params(l1_penalty=l1_penalty).fit(X)
    assert learner.l1_penalty_ == float(l1_penalty)


def test_what_was_changed_after_fitting_does_not_spoil_the_file(tmp_path):
    learner = _learner().fit(X)
    learner.set_params(n_factors=5, target_l0=3.0)
    with pytest.raises(InputError, match="got both"):
        learner.fit(X)
    learner.set_params(target_l0=None)
    with pytest.raises(InputError, match="finite"):
        learner.fit(np.full((4, 7), np.nan))
    learner.set_params(l1_penalty=0.1, target_l0=3.0).save(tmp_path / "learner")
    loaded = DictionaryLearning.load(tmp_path / "learner")
    assert (loaded.n_factors, loaded.n_features_in_) == (5, 8)
    np.testing.assert_array_equal(loaded.transform(X), learner.transform(X))
    learner.set_params(n_factors=12, target_l0=None).partial_fit(X)
    with pytest.raises(InputError, match="expecting 8 features"):
        learner.partial_fit(X[:, :7])


def test_a_path_that_is_no_file_of_a_folder_is_refused(tmp_path):
    coder = SparseCoder(DICTIONARY, l1_penalty=0.3)
    for path in (tmp_path, tmp_path / "nothing" / "coder"):
        with pytest.raises(InputError, match="path of a file in a folder"):
            coder.save(path)
    assert not list(tmp_path.iterdir())


def test_a_file_cannot_replace_methods(tmp_path):
    plain = {
        "class": "SparseCoder",
        "settings": {"l1_penalty": 0.3},
        "fitted": {"transform": 3},
    }
    content = safetensors.numpy.save(
        {"settings.dictionary": DICTIONARY}, {"tfvis-estimator/1": json.dumps(plain)}
    )
    (tmp_path / "coder").write_bytes(content)
    with pytest.raises(InputError, match="transform is nothing that is learnt"):
        SparseCoder.load(tmp_path / "coder")

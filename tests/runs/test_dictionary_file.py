"""The dictionary's file with and without whitening: whole, refused, mapped back."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy

from tfvis_jax.errors import InputError
from tfvis_jax.learning import whitening
from tfvis_jax.runs import dictionary_file, trained_dictionary


@pytest.fixture(scope="module")
def whitened():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(7, 5))
    rows = rng.normal(size=(2, 40, 5)) @ rng.normal(size=(5, 5)) + 3
    mean = rows.mean(axis=1)
    covariance = np.stack([np.cov(layer.T) for layer in rows])
    return trained_dictionary.TrainedDictionary(
        factors=(factors / np.linalg.norm(factors, axis=1)[:, None]).astype(np.float32),
        layer_scale=np.array([2.0, 3.0], np.float32),
        layers=(1, 4),
        model="a model",
        l1_penalty=0.1,
        whitening=whitening.fit(mean, covariance, strength=0.5),
    )


@pytest.mark.parametrize("with_whitening", [True, False])
def test_file_gives_back_what_was_saved(whitened, tmp_path, with_whitening):
    saved = whitened
    if not with_whitening:
        saved = dataclasses.replace(whitened, whitening=None)
    dictionary_file.save(tmp_path / "d.safetensors", saved)
    loaded = dictionary_file.load(tmp_path / "d.safetensors")
    assert loaded.content_hash == saved.content_hash
    assert (loaded.whitening is not None) == with_whitening
    np.testing.assert_array_equal(loaded.factors, saved.factors)


def test_the_site_is_kept_and_hidden_states_where_there_is_none(whitened, tmp_path):
    path = tmp_path / "d.safetensors"
    dictionary_file.save(path, dataclasses.replace(whitened, site="mlp_out"))
    assert dictionary_file.load(path).site == "mlp_out"
    dictionary_file.save(path, dataclasses.replace(whitened, site="elsewhere"))
    with pytest.raises(InputError, match="site"):
        dictionary_file.load(path)
    dictionary_file.save(
        path, dataclasses.replace(whitened, site="mlp_out", layers=(0, 4))
    )
    with pytest.raises(InputError, match="from 1 at site mlp_out"):
        dictionary_file.load(path)
    # As earlier versions wrote it.
    about = {"layers": whitened.layers, "model": "m", "l1_penalty": 0.1}
    safetensors.numpy.save_file(
        {"dictionary": whitened.factors, "layer_scale": whitened.layer_scale},
        path,
        metadata={"tfvis-dictionary/1": json.dumps(about)},
    )
    assert dictionary_file.load(path).site == "hidden"


def test_hash_tells_whitenings_apart(whitened):
    plain = dataclasses.replace(whitened, whitening=None)
    assert plain.content_hash != whitened.content_hash


@pytest.mark.parametrize(
    "change",
    [
        lambda w: dataclasses.replace(w, mean=w.mean[:1]),
        lambda w: dataclasses.replace(w, matrix=w.matrix[:4]),
        lambda w: dataclasses.replace(w, inverse=np.full_like(w.inverse, np.nan)),
        lambda w: dataclasses.replace(w, matrix=w.matrix.astype(np.float64)),
    ],
)
def test_damaged_whitening_is_refused(whitened, tmp_path, change):
    path = tmp_path / "d.safetensors"
    damaged = dataclasses.replace(whitened, whitening=change(whitened.whitening))
    dictionary_file.save(path, damaged)
    with pytest.raises(InputError, match="whitening"):
        dictionary_file.load(path)


def test_rows_and_hidden_states_are_inverse_and_follow_their_formula(whitened):
    x = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
    matrix = np.asarray(whitened.whitening.matrix, np.float64)
    y = whitened.rows(x, 4)
    expected = (x - whitened.whitening.mean[1]) @ matrix / 3
    np.testing.assert_allclose(y, expected, atol=1e-5)
    # W times its inverse, in float32.
    np.testing.assert_allclose(whitened.hidden_states(y, 4), x, atol=1e-4)


def test_directions_decode_to_hidden_states(whitened):
    codes = np.random.default_rng(2).random(size=(3, 7)).astype(np.float32)
    decoded = whitened.hidden_states(codes @ whitened.factors, 1)
    expected = whitened.whitening.mean[0] + 2 * codes @ whitened.directions
    np.testing.assert_allclose(decoded, expected, atol=1e-4)


def test_without_whitening_directions_are_the_factors(whitened):
    plain = dataclasses.replace(whitened, whitening=None)
    np.testing.assert_array_equal(plain.directions, plain.factors)
    x = np.ones((2, 5), np.float32)
    np.testing.assert_array_equal(plain.rows(x, 4), x / np.float32(3))
    np.testing.assert_array_equal(plain.hidden_states(plain.rows(x, 1), 1), x)


def test_layers_keep_their_own_mean(whitened):
    one = whitened.of_layers([4])
    np.testing.assert_array_equal(one.whitening.mean[0], whitened.whitening.mean[1])
    x = np.ones((2, 5), np.float32)
    np.testing.assert_array_equal(one.rows(x, 4), whitened.rows(x, 4))

"""Folders of EleutherAI's sparsify: codes by definition, and as runs."""

import json

import numpy as np
import pytest
import safetensors.numpy

from tfvis_jax import cli, load_run
from tfvis_jax.errors import InputError
from tfvis_jax.interop import sparsify

D_IN, N = 16, 32


def arrays():
    rng = np.random.default_rng(0)
    decoder = rng.normal(size=(N, D_IN)).astype(np.float32)
    return {
        "encoder.weight": rng.normal(size=(N, D_IN)).astype(np.float32),
        "encoder.bias": rng.normal(size=N).astype(np.float32) / 4,
        "W_dec": decoder / np.linalg.norm(decoder, axis=1, keepdims=True),
        "b_dec": rng.normal(size=D_IN).astype(np.float32),
    }


def settings(**changes):
    # As sparsify writes them.
    found = {
        "activation": "topk",
        "expansion_factor": 2,
        "normalize_decoder": True,
        "num_latents": 0,
        "k": 4,
        "multi_topk": False,
        "skip_connection": False,
        "transcode": False,
        "d_in": D_IN,
    }
    return found | changes


def write(folder, settings, arrays):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cfg.json").write_text(json.dumps(settings))
    safetensors.numpy.save_file(arrays, folder / "sae.safetensors")
    return folder


def test_codes_are_those_of_the_definition(tmp_path):
    made = arrays()
    read = sparsify.read(write(tmp_path / "layers.3", settings(), made))
    x = np.random.default_rng(1).normal(size=(40, D_IN)).astype(np.float32)
    p = (x - made["b_dec"]) @ made["encoder.weight"].T + made["encoder.bias"]
    p = np.maximum(p, 0)
    codes = np.where(p >= np.sort(p, axis=1)[:, -4:-3], p, 0)
    np.testing.assert_allclose(read.encode(x), codes, atol=1e-5)
    np.testing.assert_allclose(
        read.reconstruct(x), codes @ made["W_dec"] + made["b_dec"], atol=1e-5
    )
    assert (read.place, read.n_factors, read.k) == ((4, "hidden"), N, 4)


def test_sizes_and_places(tmp_path):
    given = settings(num_latents=N, expansion_factor=32)
    read = sparsify.read(write(tmp_path / "transformer.h.0", given, arrays()))
    assert (read.place, read.n_factors) == ((1, "hidden"), N)
    read = sparsify.read(write(tmp_path / "renamed", given, arrays()))
    assert read.place is None
    read = sparsify.read(write(tmp_path / "layers.3.gate", given, arrays()))
    with pytest.raises(InputError, match=r"got one of 'layers\.3\.gate'"):
        _ = read.place


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"activation": "groupmax"}, "Expected activation to be topk"),
        ({"transcode": True}, "Expected transcode to be False"),
        ({"skip_connection": True}, "Expected skip_connection"),
        ({"signed": True}, "Expected signed"),
        ({"expansion_factor": 3}, "of shape"),
        ({"k": 33}, "at least k = 33"),
        ({"k": 0}, "damaged"),
        ({"d_in": 8}, "of shape"),
    ],
)
def test_settings_that_mean_something_else_are_refused(tmp_path, changes, message):
    folder = write(tmp_path / "layers.1", settings(**changes), arrays())
    with pytest.raises(InputError, match=message):
        sparsify.read(folder)


def test_surplus_and_missing_tensors_are_refused(tmp_path):
    made = arrays() | {"W_skip": np.ones((D_IN, D_IN), np.float32)}
    with pytest.raises(InputError, match=r"W_skip.* beside"):
        sparsify.read(write(tmp_path / "a", settings(), made))
    del made["W_skip"], made["W_dec"]
    with pytest.raises(InputError, match="Expected W_dec"):
        sparsify.read(write(tmp_path / "b", settings(), made))


def test_codes_equal_those_of_sparsify(tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch")
    theirs = pytest.importorskip("sparsify", reason="needs eai-sparsify")
    folder = write(tmp_path / "layers.3", settings(), arrays())
    made = theirs.SparseCoder.load_from_disk(folder)
    x = np.random.default_rng(1).normal(size=(40, D_IN)).astype(np.float32)
    with torch.no_grad():
        values, columns, _ = made.encode(torch.as_tensor(x))
    codes = np.zeros((40, N), np.float32)
    np.put_along_axis(codes, columns.numpy(), values.numpy(), axis=1)
    np.testing.assert_allclose(sparsify.read(folder).encode(x), codes, atol=1e-5)


def test_it_becomes_a_run(toy_bert_folder, toy_corpus, tmp_path):
    folder = write(tmp_path / "encoder.layer.0", settings(), arrays())
    path = tmp_path / "run"
    how = [f"--model={toy_bert_folder}", f"--text={toy_corpus}", "--window_length=16"]
    assert cli.main(["import", str(path), f"--sparsify={folder}", *how]) == 0
    run = load_run(path)
    assert run.trained.layers == (1,) and run.report["l0"]["all"] <= 4
    assert run.report["encoder"] == {"kind": "topk", "k": 4}
    assert np.count_nonzero(run.encode("the bank").codes) <= 8

"""Held-out figures against NumPy on all rows at once."""

import dataclasses

import numpy as np
import pytest

from tfvis_jax import config, run_directory
from tfvis_jax.data import build_windows
from tfvis_jax.evaluation import reconstruction
from tfvis_jax.training import dictionary_file, encoding, setup


@pytest.fixture(scope="module")
def opened(toy_bert_folder, toy_corpus, tmp_path_factory):
    settings = config.RunConfig(
        model=str(toy_bert_folder),
        corpus=config.CorpusConfig(
            paths=(str(toy_corpus),), window_length=12, held_out_fraction=0.3
        ),
        solver=config.SolverConfig(l1_penalty=0.1, tolerance=1e-4),
        windows_per_batch=8,
    )
    run = run_directory.RunDirectory(tmp_path_factory.mktemp("run"))
    return setup.open_model(run, settings)


@pytest.fixture(scope="module")
def windows(opened, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "tokens"
    return build_windows.build(folder, opened.config.corpus, tokenizer=opened.tokenizer)


@pytest.fixture(scope="module")
def trained(opened):
    factors = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
    return dictionary_file.TrainedDictionary(
        factors=factors / np.linalg.norm(factors, axis=1, keepdims=True),
        layer_scale=np.array([3.0, 4.0, 5.0], np.float32),
        layers=(0, 1, 2),
        model=opened.config.model,
        l1_penalty=0.1,
    )


def _hidden_states(opened, windows, chosen):
    """Valid rows per layer, window by window, without batches."""
    states = np.asarray(
        opened.pretrained.encoder(
            windows.token_ids(chosen), windows.token_mask(chosen), layers=(0, 1, 2)
        )
    )
    return [layer[windows.row_mask(chosen)] for layer in states]


def test_figures_equal_their_definitions(opened, windows, trained):
    result = reconstruction.evaluate(
        opened, trained, windows, progress=lambda done, total: None
    )
    rows, codes = [], []
    for _, layers in encoding.encode_windows(
        opened, trained, windows, windows.held_out
    ):
        for index, layer in enumerate(layers):
            valid = np.asarray(layer.valid)
            rows.append((index, np.float64(layer.x)[valid]))
            codes.append(np.float64(layer.codes)[valid])

    def fvu(chosen):
        x = np.concatenate([rows[i][1] for i in chosen])
        a = np.concatenate([codes[i] for i in chosen])
        error = np.sum((x - a @ trained.factors) ** 2)
        return error / np.sum((x - x.mean(axis=0)) ** 2)

    everything = range(len(rows))
    np.testing.assert_allclose(result.fvu, fvu(everything), rtol=1e-5)
    for layer in range(3):
        chosen = [i for i in everything if rows[i][0] == layer]
        np.testing.assert_allclose(result.fvu_per_layer[layer], fvu(chosen), rtol=1e-5)
        l0 = np.concatenate([codes[i] for i in chosen])
        np.testing.assert_allclose(
            result.l0_per_layer[layer], np.count_nonzero(l0) / len(l0), rtol=1e-6
        )
    fired = (np.concatenate(codes) > 0).any(axis=0)
    np.testing.assert_allclose(result.alive, fired.mean())
    assert 0 <= result.gap_mean <= result.gap_max <= 1e-4
    assert result.n_rows == sum(len(x) for _, x in rows)


def test_the_stream_gives_every_valid_row_of_every_layer(opened, windows, trained):
    expected = _hidden_states(opened, windows, windows.held_out)
    got = [[], [], []]
    for _, layers in encoding.encode_windows(
        opened, trained, windows, windows.held_out
    ):
        for index, layer in enumerate(layers):
            got[index].append(np.asarray(layer.x)[np.asarray(layer.valid)])
    for index, scale in enumerate(trained.layer_scale):
        np.testing.assert_allclose(
            np.concatenate(got[index]), expected[index] / scale, atol=1e-5
        )


def test_a_dictionary_comes_back_from_its_file(trained, tmp_path):
    path = tmp_path / "dictionary.safetensors"
    dictionary_file.save(path, trained)
    loaded = dictionary_file.load(path)
    for field in dataclasses.fields(trained):
        np.testing.assert_array_equal(
            getattr(loaded, field.name), getattr(trained, field.name)
        )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a whole dictionary"):
        dictionary_file.load(path)
    path.unlink()
    with pytest.raises(ValueError, match="not trained to its end"):
        dictionary_file.load(path)

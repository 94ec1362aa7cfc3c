"""Stored hidden states: the same dictionary as from the stream, and no other's."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from tfvis_jax import config, files, run_directory, sharding
from tfvis_jax.data import activations, build_windows
from tfvis_jax.errors import InputError
from tfvis_jax.training import cache, loop, setup


@pytest.fixture(scope="module")
def settings(toy_bert_folder, toy_corpus):
    return config.RunConfig(
        model=str(toy_bert_folder),
        corpus=config.CorpusConfig(
            paths=(str(toy_corpus),), window_length=12, held_out_fraction=0.2
        ),
        solver=config.SolverConfig(l1_penalty=0.1),
        dictionary=config.DictionaryConfig(n_factors=24),
        windows_per_batch=32,
        rows_per_step=512,
    )


def _open(path, settings):
    directory = run_directory.RunDirectory(path)
    opened = setup.open_model(directory, settings)
    directory.open_or_create(settings)
    windows = build_windows.build(
        directory.tokens, settings.corpus, tokenizer=opened.tokenizer
    )
    return opened, windows


def _silent(done, total):
    del done, total


@pytest.fixture(scope="module")
def stored(settings, tmp_path_factory):
    opened, windows = _open(tmp_path_factory.mktemp("run"), settings)
    cache.fill(
        opened.run.activations, opened, windows, dtype="float32", progress=_silent
    )
    return opened, windows


def test_states_are_those_of_the_encoder(stored):
    opened, windows = stored
    found = cache.open_for(opened.run.activations, opened, windows)
    chosen = np.array([3, len(windows) - 1, 0])
    got = found.read(chosen)
    expected = opened.pretrained.encoder(
        windows.token_ids(chosen), windows.token_mask(chosen), layers=opened.layers
    )
    # Another batch size rounds the encoder's products otherwise.
    np.testing.assert_allclose(np.moveaxis(got, 1, 0), expected, atol=2e-6)


def test_training_from_them_equals_training_from_the_stream(
    stored, settings, tmp_path, monkeypatch
):
    source, windows = stored
    read, seen = activations.Activations.read, set()

    def noting(self, chosen):
        seen.update(chosen.tolist())
        return read(self, chosen)

    monkeypatch.setattr(activations.Activations, "read", noting)
    opened, windows = _open(tmp_path / "stream", settings)
    stream = loop.fit(opened, windows, progress=_silent)
    assert not seen
    opened, windows = _open(tmp_path / "stored", settings)
    found = cache.open_for(source.run.activations, opened, windows)
    from_disk = loop.fit(opened, windows, progress=_silent, stored=found)
    assert seen == set(windows.train.tolist())
    np.testing.assert_allclose(from_disk.dictionary, stream.dictionary, atol=1e-5)
    # On a mesh each device takes its own windows.
    opened, windows = _open(tmp_path / "mesh", settings)
    on_mesh = loop.fit(
        opened,
        windows,
        progress=_silent,
        stored=found,
        mesh=sharding.make_mesh(4, 2) if jax.device_count() == 8 else None,
    )
    assert int(on_mesh.step) == int(stream.step)
    # Another solver, which stops at other codes within the same gap of 1e-3.
    cosine = np.sum(on_mesh.dictionary * stream.dictionary, axis=1)
    assert np.median(cosine) > 0.99


def test_an_interrupted_fill_goes_on(stored, settings, tmp_path):
    whole, _ = stored
    opened, windows = _open(tmp_path / "run", settings)
    folder = opened.run.activations

    def stop_early(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.fill(folder, opened, windows, dtype="float32", progress=stop_early)
    with pytest.raises(InputError, match="no finished hidden states"):
        cache.open_for(folder, opened, windows)
    calls = []
    cache.fill(
        folder, opened, windows, dtype="float32", progress=lambda *at: calls.append(at)
    )
    assert calls[0] == (0, len(windows) - activations.WINDOWS_PER_FILE)
    for path in (whole.run.activations / "states").rglob("*"):
        if path.is_file():
            other = (
                folder / "states" / path.relative_to(whole.run.activations / "states")
            )
            assert other.read_bytes() == path.read_bytes()


def test_half_the_space_and_three_digits(stored, settings, tmp_path):
    whole, _ = stored
    opened, windows = _open(tmp_path / "run", settings)
    folder = opened.run.activations
    cache.fill(folder, opened, windows, dtype="bfloat16", progress=_silent)
    got = cache.open_for(folder, opened, windows).read(np.arange(9))
    exact = cache.open_for(whole.run.activations, opened, windows).read(np.arange(9))
    np.testing.assert_allclose(got, exact, rtol=2**-8)
    assert (got != exact).any()


def test_states_of_something_else_are_refused(stored, settings, tmp_path):
    source, _ = stored
    folder = source.run.activations
    fewer = dataclasses.replace(settings, layers=(0, 2))
    opened, windows = _open(tmp_path / "layers", fewer)
    with pytest.raises(InputError, match=r"layers \[0, 2\].*has \[0, 1, 2\]"):
        cache.open_for(folder, opened, windows)
    corpus = dataclasses.replace(settings.corpus, max_tokens=500)
    other = dataclasses.replace(settings, corpus=corpus)
    opened, windows = _open(tmp_path / "text", other)
    with pytest.raises(InputError, match="other text or windows"):
        cache.open_for(folder, opened, windows)
    with pytest.raises(InputError, match="another model, text, layers or type"):
        cache.fill(folder, opened, windows, dtype="float32", progress=_silent)
    with pytest.raises(InputError, match="among"):
        cache.fill(tmp_path / "x", opened, windows, dtype="float16", progress=_silent)


def test_damage_is_noticed(stored, tmp_path):
    source, windows = stored

    def damaged(name):
        folder = tmp_path / name
        shutil.copytree(source.run.activations, folder)
        path = next(p for p in (folder / "states" / "c").rglob("*") if p.is_file())
        return folder, path

    def check(folder):
        with pytest.raises(InputError, match="damaged"):
            found = activations.open(folder, model=about["model"], tokens=tokens)
            found.read(np.arange(len(windows)))

    about = files.read_json(source.run.activations / "about.json")
    tokens = cache.windows_hash(windows)
    folder, path = damaged("bit")
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    check(folder)
    folder, path = damaged("short")
    path.write_bytes(content[:500])
    check(folder)
    folder, path = damaged("missing")
    path.unlink()
    check(folder)
    folder, _ = damaged("array")
    (folder / "states" / "zarr.json").unlink()
    check(folder)
    folder, _ = damaged("about")
    files.write_json(folder / "about.json", {"schema": about["schema"]})
    check(folder)

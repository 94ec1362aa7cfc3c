"""Stored hidden states: the same dictionary as from the stream, and no other's."""

import dataclasses
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest
import toy_runs

from tfvis_jax import files, sharding
from tfvis_jax.data import hidden_states_folder
from tfvis_jax.errors import InputError
from tfvis_jax.runs import stored_hidden_states
from tfvis_jax.training import loop


@pytest.fixture(scope="module")
def settings(toy_bert_folder, toy_corpus):
    return toy_runs.settings(
        toy_bert_folder, toy_corpus, windows_per_batch=32, rows_per_step=512
    )


@pytest.fixture(scope="module")
def stored(settings, tmp_path_factory):
    opened, windows = toy_runs.open_run(tmp_path_factory.mktemp("run"), settings)
    stored_hidden_states.fill(
        opened.run.hidden_states,
        opened,
        windows,
        dtype="float32",
        progress=toy_runs.silent,
    )
    return opened, windows


def test_states_are_those_of_the_encoder(stored):
    opened, windows = stored
    found = stored_hidden_states.open_for(opened.run.hidden_states, opened, windows)
    chosen = np.array([3, len(windows) - 1, 0])
    got = found.read(chosen)
    expected = opened.pretrained.encoder(
        windows.token_ids(chosen), windows.token_mask(chosen), layers=opened.layers
    )
    # Another batch size rounds the products of two layers otherwise, by a dozen units
    # in the last place of states of size 1 to 4.
    np.testing.assert_allclose(np.moveaxis(got, 1, 0), expected, atol=5e-6)


def test_training_from_them_equals_training_from_the_stream(
    stored, settings, tmp_path, monkeypatch
):
    source, windows = stored
    read, seen = hidden_states_folder.StoredHiddenStates.read, set()

    def noting(self, chosen):
        seen.update(chosen.tolist())
        return read(self, chosen)

    monkeypatch.setattr(hidden_states_folder.StoredHiddenStates, "read", noting)
    opened, windows = toy_runs.open_run(tmp_path / "stream", settings)
    stream = loop.fit(opened, windows, progress=toy_runs.silent)
    assert not seen
    opened, windows = toy_runs.open_run(tmp_path / "stored", settings)
    found = stored_hidden_states.open_for(source.run.hidden_states, opened, windows)
    from_disk = loop.fit(opened, windows, progress=toy_runs.silent, stored=found)
    assert seen == set(windows.train.tolist())
    np.testing.assert_allclose(from_disk.dictionary, stream.dictionary, atol=1e-5)
    # On a mesh each device takes its own windows.
    opened, windows = toy_runs.open_run(tmp_path / "mesh", settings)
    on_mesh = loop.fit(
        opened,
        windows,
        progress=toy_runs.silent,
        stored=found,
        mesh=sharding.make_mesh(4, 2) if jax.device_count() == 8 else None,
    )
    assert int(on_mesh.step) == int(stream.step)
    # Another solver, which stops at other codes within the same gap of 1e-3.
    cosine = np.sum(on_mesh.dictionary * stream.dictionary, axis=1)
    assert np.median(cosine) > 0.99


@pytest.fixture
def written(monkeypatch):
    """The first windows of the files that are written, as they are."""
    write, found = hidden_states_folder.Writer.write, []

    def noting(self, windows, states):
        found.append(int(windows[0]))
        write(self, windows, states)

    monkeypatch.setattr(hidden_states_folder.Writer, "write", noting)
    return found


def _same_files(folder, other):
    for path in (folder / "states").rglob("*"):
        if path.is_file():
            assert (other / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_an_interrupted_fill_goes_on(stored, settings, tmp_path, written):
    whole, _ = stored
    opened, windows = toy_runs.open_run(tmp_path / "run", settings)
    folder = opened.run.hidden_states

    def stop_early(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored_hidden_states.fill(
            folder, opened, windows, dtype="float32", progress=stop_early
        )
    with pytest.raises(InputError, match="no complete hidden states"):
        stored_hidden_states.open_for(folder, opened, windows)
    assert written == [0]
    stored_hidden_states.fill(
        folder, opened, windows, dtype="float32", progress=toy_runs.silent
    )
    assert written == list(
        range(0, len(windows), hidden_states_folder.WINDOWS_PER_FILE)
    )
    _same_files(whole.run.hidden_states, folder)


def test_devices_share_the_windows(stored, settings, tmp_path):
    whole, _ = stored
    # Rows are shared by all devices, whatever the mesh is for, and sizes need not fit.
    odd = dataclasses.replace(settings, windows_per_batch=20)
    opened, windows = toy_runs.open_run(tmp_path / "run", odd)
    folder = opened.run.hidden_states
    shapes = []

    def noting(mesh, tree, *, size):
        shapes.append((dict(mesh.shape), size))
        return place_rows(mesh, tree, size=size)

    place_rows = sharding.place_rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharding, "place_rows", noting)
        stored_hidden_states.fill(
            folder,
            opened,
            windows,
            dtype="float32",
            progress=toy_runs.silent,
            mesh=sharding.make_mesh(4, 2),
        )
    assert shapes[0] == ({sharding.DATA: 8, sharding.FACTOR: 1}, 24)
    every = np.arange(len(windows))
    np.testing.assert_allclose(
        stored_hidden_states.open_for(folder, opened, windows).read(every),
        stored_hidden_states.open_for(whole.run.hidden_states, opened, windows).read(
            every
        ),
        # Three windows on a device, not 32: the encoder's products round otherwise,
        # and its norms divide by small deviations.
        atol=2e-5,
    )


def test_half_the_space_and_three_digits(stored, settings, tmp_path):
    whole, _ = stored
    opened, windows = toy_runs.open_run(tmp_path / "run", settings)
    folder = opened.run.hidden_states
    stored_hidden_states.fill(
        folder, opened, windows, dtype="bfloat16", progress=toy_runs.silent
    )
    got = stored_hidden_states.open_for(folder, opened, windows).read(np.arange(9))
    exact = stored_hidden_states.open_for(
        whole.run.hidden_states, opened, windows
    ).read(np.arange(9))
    np.testing.assert_allclose(got, exact, rtol=2**-8)
    assert (got != exact).any()


def test_a_folder_says_its_site_unless_it_is_of_hidden_states(
    stored, settings, tmp_path
):
    hidden, _ = stored
    assert "site" not in json.loads(
        (hidden.run.hidden_states / "about.json").read_text()
    )
    settings = dataclasses.replace(settings, site="mlp_out")
    opened, windows = toy_runs.open_run(tmp_path / "run", settings)
    folder = opened.run.hidden_states
    stored_hidden_states.fill(
        folder, opened, windows, dtype="float32", progress=toy_runs.silent
    )
    found = stored_hidden_states.open_for(folder, opened, windows)
    assert found.layers == (1, 2) and found.site == "mlp_out"
    chosen = np.array([3, 0])
    expected = opened.pretrained.encoder(
        windows.token_ids(chosen), windows.token_mask(chosen), layers=(1, 2)
    )
    # Sums of two programs in float32, whose order is the machine's.
    np.testing.assert_allclose(
        np.moveaxis(found.read(chosen), 1, 0), expected, rtol=1e-5, atol=1e-5
    )
    other = dataclasses.replace(settings, site="attention_out")
    opened, windows = toy_runs.open_run(tmp_path / "other", other)
    with pytest.raises(InputError, match=r"site, attention_out; .* those of mlp_out"):
        stored_hidden_states.open_for(folder, opened, windows)
    with pytest.raises(InputError, match="another model, text, layers, site or type"):
        stored_hidden_states.fill(
            folder, opened, windows, dtype="float32", progress=toy_runs.silent
        )


def test_states_of_something_else_are_refused(stored, settings, tmp_path):
    source, _ = stored
    folder = source.run.hidden_states
    fewer = dataclasses.replace(settings, layers=(0, 2))
    opened, windows = toy_runs.open_run(tmp_path / "layers", fewer)
    with pytest.raises(InputError, match=r"layers \[0, 2\].*has those of \[0, 1, 2\]"):
        stored_hidden_states.open_for(folder, opened, windows)
    corpus = dataclasses.replace(settings.corpus, max_tokens=500)
    other = dataclasses.replace(settings, corpus=corpus)
    opened, windows = toy_runs.open_run(tmp_path / "text", other)
    with pytest.raises(InputError, match="other text or windows"):
        stored_hidden_states.open_for(folder, opened, windows)
    with pytest.raises(InputError, match="another model, text, layers, site or type"):
        stored_hidden_states.fill(
            folder, opened, windows, dtype="float32", progress=toy_runs.silent
        )
    with pytest.raises(InputError, match="one of the types"):
        stored_hidden_states.fill(
            tmp_path / "x", opened, windows, dtype="float16", progress=toy_runs.silent
        )


def _flip(path):
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)


def _shorten(path):
    path.write_bytes(path.read_bytes()[:500])


def _empty(path):
    files.write_json(path, {"schema": "tfvis-activations/1"})


_SECOND = "states/c/1/0/0/0"


@pytest.mark.parametrize(
    ("part", "damage", "message", "anew"),
    [
        (_SECOND, _flip, "is damaged", [hidden_states_folder.WINDOWS_PER_FILE]),
        (_SECOND, _shorten, "is damaged", [hidden_states_folder.WINDOWS_PER_FILE]),
        (
            _SECOND,
            pathlib.Path.unlink,
            "is missing",
            [hidden_states_folder.WINDOWS_PER_FILE],
        ),
        ("states/zarr.json", pathlib.Path.unlink, "is missing", []),
        ("states/zarr.json", _empty, "is damaged", []),
        ("about.json", _empty, "is damaged", []),
    ],
)
def test_a_damaged_part_is_named_and_written_anew_alone(
    stored, tmp_path, written, part, damage, message, anew
):
    source, windows = stored
    folder = tmp_path / "activations"
    shutil.copytree(source.run.hidden_states, folder)
    every = np.arange(len(windows))
    damage(folder / part)
    with pytest.raises(InputError, match=f"{part} .*{message}.*keeps the others"):
        stored_hidden_states.open_for(folder, source, windows).read(every)
    stored_hidden_states.fill(
        folder, source, windows, dtype="float32", progress=toy_runs.silent
    )
    assert written == anew
    _same_files(source.run.hidden_states, folder)
    assert stored_hidden_states.open_for(folder, source, windows).read(every).any()

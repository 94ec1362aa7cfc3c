"""Checkpoints outside the run: in folders, and in buckets of an emulator."""

import dataclasses
import logging
import socket

import numpy as np
import pytest
import toy_runs
from etils import epath

from tfvis_jax import config_json
from tfvis_jax.errors import InputError
from tfvis_jax.runs import directory
from tfvis_jax.training import checkpoint_storage, loop


@pytest.fixture(scope="module")
def settings(toy_bert_folder, toy_corpus):
    return toy_runs.settings(
        toy_bert_folder,
        toy_corpus,
        windows_per_batch=64,
        rows_per_step=1024,
        checkpoint_every=1,
    )


@pytest.fixture(scope="module")
def expected(settings, tmp_path_factory):
    return toy_runs.fit(tmp_path_factory.mktemp("inside"), settings)


@pytest.fixture(scope="module")
def bucket():
    """The address of a bucket that a server in this process keeps in memory."""
    pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    pytest.importorskip("google.cloud.storage", reason="it is not installed")
    emulator = pytest.importorskip(
        "gcp_storage_emulator.server", reason="gcp-storage-emulator is not installed"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = emulator.create_server(
        "127.0.0.1", port, in_memory=True, default_bucket="bucket"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("STORAGE_EMULATOR_HOST", "TENSORSTORE_GCS_HTTP_URL"):
            patch.setenv(name, f"http://127.0.0.1:{port}")
        patch.setenv("GOOGLE_CLOUD_PROJECT", "project")
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
        server.start()
        yield "gs://bucket"
        server.stop()


def _damage(folder):
    for path in folder.iterdir():
        if path.is_dir():
            _damage(path)
        elif "metadata" not in path.name.lower() and "commit" not in path.name:
            path.write_bytes(b"rubbish")


def _stop_and_go_on(place, run, settings, expected):
    """Stops after two batches, damages the newest state, and ends the run."""
    settings = dataclasses.replace(settings, checkpoints=str(place))
    checkpoint_storage.check(place)
    with pytest.raises(loop.Interrupted):
        toy_runs.fit(run, settings, stop_after=2)
    folder = epath.Path(place)
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]
    _damage(folder / "2")
    with pytest.warns(UserWarning, match=f"{place}/2 cannot be read. It was moved"):
        state = toy_runs.fit(run, settings)
    np.testing.assert_array_equal(state.dictionary, expected.dictionary)
    aside = folder.with_name(folder.name + "-damaged")
    assert [path.name for path in aside.iterdir()] == ["2"]
    assert [path.name for path in (aside / "2").iterdir()]
    assert directory.RunDirectory(run).read_config() == settings
    assert not (run / "checkpoints").exists()


def test_a_folder_elsewhere(settings, expected, tmp_path):
    place = tmp_path / "scratch" / "run"
    _stop_and_go_on(place, tmp_path / "run", settings, expected)
    with pytest.raises(InputError, match=r"seed: 0 there, 1 requested\n  other text"):
        # The same place, once more, for a run of another seed and less text.
        other = dataclasses.replace(
            settings,
            seed=1,
            corpus=dataclasses.replace(settings.corpus, held_out_fraction=0.4),
            checkpoints=str(place),
        )
        toy_runs.fit(tmp_path / "other", other)


def test_a_name_that_is_taken_is_left(tmp_path):
    for name in ("a", "b", "b.1"):
        (tmp_path / name).mkdir()
    checkpoint_storage.move(epath.Path(tmp_path / "a"), epath.Path(tmp_path / "b"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "b.1", "b.2"]


def test_a_bucket(settings, expected, tmp_path, bucket):
    _stop_and_go_on(f"{bucket}/some/run", tmp_path / "run", settings, expected)


def test_a_bucket_that_does_not_answer_is_told_in_a_line(monkeypatch):
    pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(checkpoint_storage, "_TRIES", 1)
    with pytest.raises(InputError, match=r"gs://bucket/x .*connect.*credentials"):
        checkpoint_storage.check("gs://bucket/x")


def test_a_folder_that_cannot_be_made_is_told_in_a_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"kept in .*Not a directory.*--checkpoints"):
        checkpoint_storage.check(tmp_path / "file" / "x")


def test_what_buckets_need_is_named(monkeypatch):
    def missing(place):
        raise ImportError("Please install gcsfs")

    monkeypatch.setattr(checkpoint_storage, "_bucket", missing)
    with pytest.raises(InputError, match=r"gcsfs.*pip install 'tfvis_jax\[gcs\]'"):
        checkpoint_storage.check("gs://bucket/x")


@pytest.mark.parametrize("place", ["s3://bucket/x", "az://bucket/x", "gs://bucket"])
def test_places_that_are_no_place(settings, place):
    with pytest.raises(InputError, match=f"gs://BUCKET/FOLDER, got {place}"):
        dataclasses.replace(settings, checkpoints=place)


def test_how_often_is_no_other_run(settings, tmp_path):
    run = directory.RunDirectory(tmp_path)
    toy_runs.open_run(tmp_path, settings)
    rarely = dataclasses.replace(settings, checkpoint_every=9)
    run.open_or_create(rarely)
    assert run.read_config() == rarely
    elsewhere = dataclasses.replace(rarely, checkpoints="/elsewhere")
    with pytest.raises(InputError, match="checkpoints: None there, '/elsewhere'"):
        run.open_or_create(elsewhere)
    assert config_json.from_json(config_json.to_json(elsewhere)) == elsewhere

"""One writer, one set of settings, whole files."""

import contextlib
import dataclasses
import errno
import shutil
import subprocess
import sys

import jax.numpy as jnp
import pytest

from tfvis_jax import config, errors, files
from tfvis_jax.errors import InputError
from tfvis_jax.runs import directory, lock

SETTINGS = config.RunConfig(model="m", corpus=config.CorpusConfig(paths=("a",)))


def test_settings_come_back_and_other_settings_change_nothing(tmp_path):
    run = directory.RunDirectory(tmp_path / "run")
    run.open_or_create(SETTINGS)
    run.open_or_create(SETTINGS)
    run.tokens.mkdir()
    files.write_json(run.tokens / "index.json", {})
    before = run.config_path.read_bytes()
    with pytest.raises(InputError, match="seed: 0 there, 3 requested"):
        run.open_or_create(dataclasses.replace(SETTINGS, seed=3))
    assert run.config_path.read_bytes() == before
    assert run.read_config() == SETTINGS


def test_settings_may_be_mended_until_the_text_is_read(tmp_path):
    run = directory.RunDirectory(tmp_path / "run")
    run.open_or_create(SETTINGS)
    run.tokens.mkdir()
    (run.tokens / "00000.json").write_text("{}")
    mended = dataclasses.replace(SETTINGS, seed=3)
    run.open_or_create(mended)
    assert run.read_config() == mended
    assert not run.tokens.exists()


def test_a_file_or_a_foreign_folder_is_not_locked(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("")
    for name in ("file", "folder"):
        run = directory.RunDirectory(tmp_path / name)
        with pytest.raises(InputError, match=r"file|not empty"), run.lock():
            pass
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["thesis.tex"]


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        directory.RunDirectory(tmp_path).open_or_create(SETTINGS)
    with pytest.raises(InputError, match="not a run directory"):
        directory.RunDirectory(tmp_path).read_config()


def test_a_second_process_is_refused_by_name(tmp_path):
    run = directory.RunDirectory(tmp_path)
    program = (
        "import pathlib, sys\n"
        "from tfvis_jax import errors\n"
        "from tfvis_jax.runs import directory\n"
        "try:\n"
        "    with directory.RunDirectory(pathlib.Path(sys.argv[1])).lock():\n"
        "        print('locked')\n"
        "except errors.InputError as error:\n"
        "    print(error)\n"
    )
    second = [sys.executable, "-c", program, str(tmp_path)]
    with run.lock():
        refused = subprocess.run(second, capture_output=True, text=True, check=True)
    assert "Another process (pid" in refused.stdout
    freed = subprocess.run(second, capture_output=True, text=True, check=True)
    assert freed.stdout == "locked\n"


def test_the_same_process_is_told_from_another(tmp_path):
    run = directory.RunDirectory(tmp_path / "run")
    with run.lock():
        with pytest.raises(InputError, match="This process is writing"), run.lock():
            pass
        # Still held.
        with pytest.raises(InputError, match="This process is writing"), run.lock():
            pass
        (run.path / "config.json").write_text("{}")
    with run.lock():
        pass


def test_a_lock_leaves_nothing_where_nothing_was_written(tmp_path):
    (tmp_path / "empty").mkdir()
    for path in ("empty", "empty/new/run", "new/run"):
        with (
            contextlib.suppress(RuntimeError),
            directory.RunDirectory(tmp_path / path).lock(),
        ):
            raise RuntimeError
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]
    run = directory.RunDirectory(tmp_path / "kept" / "run")
    with run.lock():
        (run.path / "config.json").write_text("{}")
    assert {p.name for p in run.path.iterdir()} == {".lock", "config.json"}


def test_a_lock_that_its_owner_removes_meanwhile_locks_no_one_in(tmp_path, monkeypatch):
    run = directory.RunDirectory(tmp_path)
    flock = lock.fcntl.flock

    def remove_first(file, operation):
        (tmp_path / ".lock").unlink()
        flock(file, operation)

    monkeypatch.setattr(lock.fcntl, "flock", remove_first)
    with pytest.raises(InputError, match="Another process"), run.lock():
        pass


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "f.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), files.write_atomically(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert files.read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["f.json"]


def test_a_full_disk_is_a_sentence(tmp_path):
    # /dev/full answers every write with "no space left on device".
    (tmp_path / ".f.json.partial").symlink_to("/dev/full")
    with pytest.raises(InputError, match="No space left"):
        files.write_json(tmp_path / "f.json", {"a": 1})
    assert list(tmp_path.iterdir()) == []


DISK_FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError("192000 requested and 77792 written"),
    # As tensorstore has it.
    ValueError(
        'RESOURCE_EXHAUSTED: Failed to write: "/run/c/0": No space left on device '
        "[os_error_code='28']"
    ),
]
OUT_OF_MEMORY = [
    MemoryError(),
    RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4398046511104 bytes."),
    RuntimeError(
        "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in "
        "memory space hbm. Used 21.95G of 15.48G hbm."
    ),
    RuntimeError("RESOURCE_EXHAUSTED: Failed to allocate request for 3.95GiB"),
]


@pytest.mark.parametrize("error", DISK_FULL)
def test_a_full_disk_is_not_taken_for_memory(error):
    assert files.is_disk_full(error)
    assert not errors.is_out_of_memory(error)


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_memory_is_not_taken_for_a_full_disk(error):
    assert errors.is_out_of_memory(error)
    assert not files.is_disk_full(error)
    assert "--rows_per_step" in str(errors.no_memory(error))


def test_other_errors_are_neither():
    for error in (ValueError("bad"), RuntimeError("INTERNAL: bug"), OSError("lost")):
        assert not files.is_disk_full(error) and not errors.is_out_of_memory(error)


def test_a_process_that_was_lost_is_told_from_other_errors():
    reset = RuntimeError("UNKNOWN: Gloo AllGather failed: Connection reset by peer.")
    assert errors.is_lost_process(reset)
    assert not errors.is_lost_process(RuntimeError("UNKNOWN: something else"))
    said = str(errors.lost_process(reset))
    assert (
        "has died or cannot be reached" in said
        and "reset by peer)" in said
        and "resumes" in said
    )


def test_xla_says_it_is_out_of_memory_as_expected():
    with pytest.raises(RuntimeError) as raised:
        # 2⁴⁴ bytes: more than any machine has, and small enough to be asked for.
        jnp.zeros((1 << 21, 1 << 21)).block_until_ready()
    assert errors.is_out_of_memory(raised.value)
    assert not files.is_disk_full(raised.value)


def test_a_run_of_a_similar_name_is_proposed(tmp_path, toy_run):
    made = tmp_path / "runs" / "demo"
    made.mkdir(parents=True)
    shutil.copy(toy_run / "config.json", made)
    (tmp_path / "runs" / "demos").mkdir()
    with pytest.raises(InputError, match=rf"Did you mean {made}\? `tfvis train"):
        directory.RunDirectory(tmp_path / "runs" / "dmeo").read_config()
    for other in ("else", "demos"):
        with pytest.raises(InputError) as caught:
            directory.RunDirectory(tmp_path / "runs" / other).read_config()
        assert "Did you mean" not in str(caught.value)
    with pytest.raises(InputError, match=r"config\.json\. `tfvis train"):
        directory.RunDirectory(tmp_path / "none" / "demo").read_config()

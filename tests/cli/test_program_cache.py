"""Compiled programs are kept between commands: where, how many, and what if not."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

from tfvis_jax import cli
from tfvis_jax.cli import compiled, program_cache


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's cache folder, for this process and those that it starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("platform", "inside"),
    [
        ("linux", ".cache"),
        ("darwin", "Library/Caches"),
        ("win32", "AppData/Local"),
    ],
)
def test_the_folder_is_where_the_system_keeps_caches(
    tmp_path, monkeypatch, platform, inside
):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert program_cache.folder() == tmp_path / inside / "tfvis" / "compiled"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    assert program_cache.folder() == tmp_path / "mine" / "tfvis" / "compiled"


def _entry(folder, name, *, last_use, age=0.0):
    program = folder / f"{name}-cache"
    program.write_bytes(bytes(1000))
    if last_use is not None:
        (folder / f"{name}-atime").write_bytes(last_use)
    os.utime(program, (time.time() - age, time.time() - age))


def test_what_was_half_written_is_removed(tmp_path):
    folder = tmp_path / "programs"
    assert program_cache.prepare(folder) is None
    assert folder.stat().st_mode & 0o077 == 0
    _entry(folder, "whole", last_use=bytes(8), age=500)
    _entry(folder, "cut", last_use=None, age=500)
    _entry(folder, "unstamped", last_use=b"", age=500)
    _entry(folder, "being-written", last_use=None)
    assert program_cache.prepare(folder) is None
    left = {path.name for path in folder.glob("*-cache")}
    assert left == {"whole-cache", "being-written-cache"}


def test_programs_of_other_versions_go_after_a_month_unused(home):
    here = program_cache.of_this_version()
    for name, days in (("jax-0.1-tfvis-0.1", 40), ("jax-0.2-tfvis-0.1", 5)):
        (here.parent / name).mkdir(parents=True)
        then = time.time() - days * 86400
        os.utime(here.parent / name, (then, then))
    program_cache.prepare(here)
    program_cache.forget_old(here)
    assert {p.name for p in here.parent.iterdir()} == {"jax-0.2-tfvis-0.1", here.name}


def test_the_command_shows_and_clears_it(home, capsys):
    here = program_cache.of_this_version()
    program_cache.prepare(here)
    _entry(here, "one", last_use=bytes(8))
    (home / "another-program").mkdir()
    assert cli.main(["cache"]) == 0
    said = capsys.readouterr().out
    assert str(home / "tfvis" / "compiled") in said
    assert "1 programs, 0.0 MB, at most 537 MB" in said and here.name in said
    assert cli.main(["cache", "--clear"]) == 0
    assert "1 programs" in capsys.readouterr().out
    assert not here.exists() and (home / "another-program").is_dir()
    assert cli.main(["cache"]) == 0
    assert "0 programs" in capsys.readouterr().out
    assert cli.main(["cache", "all"]) == 2


def test_a_folder_that_cannot_be_written_is_named_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    (tmp_path / "file").write_text("")
    compiled.keep_programs(None)
    said = capsys.readouterr().err
    assert said.startswith("note: Compiled programs cannot be kept")
    assert str(tmp_path) in said and said.count("\n") == 1
    with pytest.raises(compiled.InputError, match="got the file"):
        compiled.keep_programs(str(tmp_path / "file"))


def _encode(run, *flags, program="from tfvis_jax import cli; sys.exit(cli.main())"):
    arguments = ["encode", str(run), "the bank of a river", "--json", *flags]
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys\n{program}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_second_call_finds_the_programs_of_two_at_once(toy_run, home):
    both = [_encode(toy_run), _encode(toy_run)]
    answers = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert all("note" not in complaints for _, complaints in answers)
    here = program_cache.of_this_version()
    kept = {path.name: path.read_bytes() for path in here.glob("*-cache")}
    assert any("encode_layer" in name for name in kept)
    last_uses = {path.name: path.read_bytes() for path in here.glob("*-atime")}
    third = _encode(toy_run)
    out, _ = third.communicate()
    assert (third.returncode, out) == (0, answers[0][0]) == (0, answers[1][0])
    # Nothing was compiled anew, and what was read is stamped with the time.
    assert kept == {path.name: path.read_bytes() for path in here.glob("*-cache")}
    assert any(
        path.read_bytes() != last_uses[path.name] for path in here.glob("*-atime")
    )


_FULL_DISK = """
import errno
from jax._src import lru_cache
def put(self, key, value):
    raise OSError(errno.ENOSPC, "No space left on device")
lru_cache.LRUCache.put = put
from tfvis_jax import cli
sys.exit(cli.main())
"""


def test_a_full_disk_is_said_once_and_nothing_else_fails(toy_run, tmp_path, home):
    folder = tmp_path / "elsewhere"
    process = _encode(toy_run, f"--compilation_cache={folder}", program=_FULL_DISK)
    out, complaints = process.communicate()
    assert process.returncode == 0 and out
    assert complaints.count("No space left") == 1
    assert "note: Compiled programs are not kept" in complaints
    assert "Warning" not in complaints
    assert folder.is_dir() and not home.exists()


def test_off_keeps_nothing(toy_run, home):
    process = _encode(toy_run, "--compilation_cache=off")
    _, complaints = process.communicate()
    assert process.returncode == 0, complaints
    assert not home.exists()


def test_commands_import_what_they_need():
    """Reading text, checkpoints and sparse matrices are slow to import."""
    program = (
        "import sys, tfvis_jax.cli.encode\n"
        "heavy = {'grain', 'mwparserfromhell', 'orbax', 'scipy', 'transformers'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    program = "import sys, tfvis_jax.cli.cache\nassert 'jax' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_tests_keep_out_of_the_users_folder():
    assert pathlib.Path(os.environ["JAX_COMPILATION_CACHE_DIR"]).is_absolute()

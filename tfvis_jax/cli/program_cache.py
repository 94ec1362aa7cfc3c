"""Where compiled programs are kept between commands: a folder of the user's; no JAX.

~/.cache/tfvis/compiled/      XDG_CACHE_HOME, or what the system has in its place
  jax-0.10.2-tfvis-0.1.0/     one folder for the versions that made its programs
"""

import dataclasses
import importlib.metadata
import os
import pathlib
import shutil
import sys
import tempfile
import time

import tfvis_jax

LARGEST = 512 * 1024**2
_UNUSED_DAYS = 30


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a folder of programs holds.

    Attributes:
      programs: their number.
      size: bytes.
    """

    programs: int
    size: int


def folder() -> pathlib.Path:
    """Returns the folder of all versions."""
    system = {
        "darwin": "~/Library/Caches",
        "win32": os.environ.get("LOCALAPPDATA") or "~/AppData/Local",
    }.get(sys.platform, "~/.cache")
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or system).expanduser()
    return home / "tfvis" / "compiled"


def of_this_version() -> pathlib.Path:
    """Returns the folder of this version: others could not read its programs."""
    jax = importlib.metadata.version("jax")
    return folder() / f"jax-{jax}-tfvis-{tfvis_jax.__version__}"


def prepare(path: pathlib.Path) -> str | None:
    """Makes a folder ready to be written; returns what is wrong if it cannot be.

    Half-written programs of a process that was killed, or that met a full disk, are
    removed: JAX would stumble over them each time.

    Args:
      path: of the folder.
    """
    try:
        # Whoever may write a program may run it.
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(bytes(4096))
        now = time.time()
        os.utime(path, (now, now))
        for program in path.glob("*-cache"):
            last_use = program.with_name(f"{program.name.removesuffix('-cache')}-atime")
            complete = last_use.is_file() and last_use.stat().st_size == 8
            # A younger one may be written at this moment.
            if not complete and now - program.stat().st_mtime > 60:
                program.unlink(missing_ok=True)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None


def forget_old(path: pathlib.Path) -> None:
    """Removes the folders beside one that no command has used for a month.

    Args:
      path: of the folder in use.
    """
    for other in path.parent.glob("jax-*-tfvis-*"):
        days = (time.time() - other.stat().st_mtime) / 86400
        if other != path and days > _UNUSED_DAYS:
            shutil.rmtree(other, ignore_errors=True)


def contents(path: pathlib.Path) -> Contents:
    """Counts what a folder and those inside hold; nothing where there is none."""
    sizes = [f.stat().st_size for f in path.rglob("*") if f.is_file()]
    return Contents(sum(1 for _ in path.rglob("*-cache")), sum(sizes))


def clear() -> Contents:
    """Removes the programs of all versions; returns what there was."""
    found = contents(folder())
    shutil.rmtree(folder(), ignore_errors=True)
    return found

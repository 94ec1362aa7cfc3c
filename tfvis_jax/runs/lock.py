"""One writer of a folder at a time, in this process or another."""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator
from typing import TextIO

from tfvis_jax.errors import InputError

NAME = ".lock"
# The lock files that this process holds.
_HELD: set[tuple[int, int]] = set()


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
    """Holds the lock of a folder; the system unlocks it when we die.

    The folder is made if it does not exist. The lock's file is removed if nothing else
    was written.

    Raises:
      InputError: this or another process is writing the folder, or it cannot be made.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise InputError(
            f"Expected a directory that can be made, got {folder} "
            f"({error.strerror}); choose another."
        ) from error
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _is_written(folder, file) from None
        if not _is_at(path, file):
            # Its last owner has just removed it.
            raise _is_written(folder, file)
        file.truncate(0)
        file.write(f"pid {os.getpid()}")
        file.flush()
        _HELD.add(_identity(file))
        try:
            yield
        finally:
            _HELD.discard(_identity(file))
            with contextlib.suppress(FileNotFoundError):
                if not any(other != path for other in folder.iterdir()):
                    path.unlink()


def _is_written(folder: pathlib.Path, file: TextIO) -> InputError:
    # Two processes of different machines or containers can have one number.
    if _identity(file) in _HELD:
        return InputError(
            f"This process is writing {folder} already, in another thread or an "
            "enclosing call. Wait until that has ended; nothing was changed."
        )
    return InputError(
        f"Another process ({file.read().strip() or 'unknown'}) is writing "
        f"{folder}. Wait for it, or stop it; nothing was changed."
    )


def _identity(file: TextIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino


def _is_at(path: pathlib.Path, file: TextIO) -> bool:
    """Returns whether an open file is the one that has this path now."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False

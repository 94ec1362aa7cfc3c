"""Whole files or none: what a killed process leaves behind is never half a file."""

import contextlib
import errno
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any, BinaryIO

from tfvis_jax.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def write_atomically(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that appears under its name only when it is complete.

    Args:
      path: where the file will stand; its folder must exist.

    Yields:
      A binary file. An exception inside the block leaves the old file as it was.

    Raises:
      InputError: the disk is full; names the path.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if is_disk_full(error):
            raise no_space(path) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields an empty folder that takes the place of ``folder`` when the block ends.

    If the block raises, ``folder`` stays as it was. One writer at a time: what an
    earlier, killed writer left half-done is removed.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    previous = folder.with_name(f".{folder.name}.previous")
    if previous.exists():
        # The earlier writer was killed between the two renames, or just after them.
        if folder.exists():
            shutil.rmtree(previous)
        else:
            previous.rename(folder)
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            folder.rename(previous)
        partial.rename(folder)
    except BaseException as error:
        if previous.exists() and not folder.exists():
            previous.rename(folder)
        shutil.rmtree(partial, ignore_errors=True)
        if is_disk_full(error):
            raise no_space(folder) from error
        raise
    if previous.exists():
        shutil.rmtree(previous)


def check_replaceable(path: pathlib.Path, *, schema: str) -> None:
    """Refuses a path at which our file cannot be written; to ask before long work.

    Args:
      path: where JSON shall be written that begins with its schema.
      schema: of it, such as "tfvis-prompts/1"; an earlier file of the same kind may be
        there, of any version.

    Raises:
      InputError: its folder does not exist, or something else has this name.
    """
    if not path.name or path.is_dir():
        raise InputError(f"Expected the name of a file to write, got {str(path)!r}.")
    if not path.parent.is_dir():
        raise InputError(f"The folder of {path} does not exist; make it first.")
    if not path.exists():
        return
    start = f'{{"schema": "{schema.partition("/")[0]}/'.encode()
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(start)) in (b"", start):
                return
    raise InputError(
        f"{path} exists and holds something else; it was left as it is. Name another "
        "file."
    )


def is_disk_full(error: BaseException) -> bool:
    """Returns whether an exception of the system or a library is about a full disk."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    # NumPy and tensorstore lose the number of the error. Its code there,
    # RESOURCE_EXHAUSTED, is also that of a device without memory.
    said = str(error)
    short_write = isinstance(error, OSError) and " requested and " in said
    return short_write or any(os.strerror(number) in said for number in _FULL)


def no_space(path: pathlib.Path | str) -> InputError:
    """Returns what to say to a person whose disk is full."""
    return InputError(
        f"No space left on the disk while writing {path}. What was written before is "
        "whole; free some space, and the same command resumes."
    )


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a value as indented JSON, atomically; NaN is refused as not JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with write_atomically(path) as file:
        # Names of files may hold halves of surrogate pairs, which JSON has to escape.
        file.write(text.encode(errors="backslashreplace") + b"\n")


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file; InputError names the file when it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    # A deeply nested value is nothing that this program writes.
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged: it is not JSON ({error}). Remove it and run the "
            "command that wrote it again."
        ) from error

"""Whole files or none: what a killed process leaves behind is never half a file."""

import contextlib
import errno
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from tfvis_jax.errors import InputError


@contextlib.contextmanager
def write_atomically(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that appears under its name only when it is whole.

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
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"No space left on the disk while writing {path}. What was written "
                "before is whole; free some space and run the same command again."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a value as indented JSON, atomically; NaN is refused as not JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with write_atomically(path) as file:
        file.write(text.encode() + b"\n")


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file; InputError names the file when it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a JSON file: {error}.") from error

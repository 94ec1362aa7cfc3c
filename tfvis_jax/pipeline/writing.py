"""One writer at a time, in one process or many."""

import contextlib
import os
from collections.abc import Iterator

from tfvis_jax import sharding
from tfvis_jax.runs import directory as directory_lib


@contextlib.contextmanager
def writing(
    path: str | os.PathLike[str], *, new: bool = False
) -> Iterator[directory_lib.RunDirectory]:
    """Yields the directory of a run, locked by the first of the processes.

    Args:
      path: of the run.
      new: If True, the run need not exist yet.

    Raises:
      InputError: there is no run, or another command is writing it.
    """
    run = directory_lib.RunDirectory(path)
    if not new:
        run.read_config()
    first = sharding.is_first_process()
    with run.lock() if first else contextlib.nullcontext():
        yield run


@contextlib.contextmanager
def reading(
    path: str | os.PathLike[str],
) -> Iterator[directory_lib.RunDirectory]:
    """Yields the directory of a run that is only read, and may be read-only.

    Raises:
      InputError: there is no run.
    """
    run = directory_lib.RunDirectory(path)
    run.read_config()
    yield run

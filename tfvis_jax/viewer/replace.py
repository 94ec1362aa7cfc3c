"""Whole folders that appear at once: written beside their place, then renamed."""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator


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
    except BaseException:
        if previous.exists() and not folder.exists():
            previous.rename(folder)
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if previous.exists():
        shutil.rmtree(previous)

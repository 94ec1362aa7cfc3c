"""NumPy files, checked by their header before anything is allocated.

`numpy.load` trusts a header: a damaged one may ask for terabytes, or end in whatever
the tokenizer of Python's source meets in it.
"""

import math
import pathlib
import zipfile
import zlib
from collections.abc import Collection, Sequence
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from tfvis_jax.errors import InputError

_MAX_AXES = 32
# What Deflate can make of a byte, at most.
_MAX_INFLATION = 1032


class NotAnArray(ValueError):
    """A file is no whole array of plain numbers or strings; the message says why."""


def open_array(path: pathlib.Path) -> np.ndarray:
    """Opens an array of any type and shape through a read-only memory map.

    Raises:
      NotAnArray: the file holds something else, or more or fewer bytes than its header
        says.
      OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        header = _Header(file, size=path.stat().st_size)
    if not header.count * header.dtype.itemsize:
        # An empty file cannot be mapped; a header may claim any number of nothings.
        shape = header.shape if header.count == 0 else (0,) * len(header.shape)
        return np.zeros(shape, header.dtype)
    mapped = np.memmap(
        path,
        dtype=header.dtype,
        mode="r",
        offset=header.offset,
        shape=header.shape,
        order="F" if header.fortran else "C",
    )
    # A plain array on the same map, since indexing a memmap object is far slower.
    return np.asarray(mapped)


def read_array(
    path: pathlib.Path,
    *,
    dtype: np.dtype[Any] | type[np.generic],
    shape: Sequence[int | None],
    remedy: str,
    mapped: bool = False,
) -> np.ndarray:
    """Reads an array of one type and shape.

    Args:
      path: of the file.
      dtype: of its elements.
      shape: size of each axis; None for any.
      remedy: a sentence on what to do about a damaged file.
      mapped: If True, return a read-only memory map instead of a copy in memory.

    Raises:
      InputError: the file cannot be read, is damaged, or holds another type or shape;
        names what was expected and what came.
    """
    try:
        array = open_array(path)
    except (OSError, NotAnArray) as error:
        raise InputError(f"{path} is damaged: {_why(error)}. {remedy}") from error
    check(array, path, dtype=np.dtype(dtype), shape=shape, remedy=remedy)
    return array if mapped else np.array(array)


def check(
    array: np.ndarray,
    path: pathlib.Path | str,
    *,
    dtype: np.dtype,
    shape: Sequence[int | None],
    remedy: str,
) -> None:
    """Refuses an array of another type or shape; see `read_array`."""
    fits = len(shape) == array.ndim and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if array.dtype == dtype and fits:
        return
    sizes = ", ".join("n" if size is None else str(size) for size in shape)
    raise InputError(
        f"{path} is damaged: Expected an array [{sizes}] of {dtype}, got "
        f"{list(array.shape)} of {array.dtype}. {remedy}"
    )


def read_archive(
    path: pathlib.Path, only: Collection[str] | None = None, *, packed: bool = False
) -> dict[str, np.ndarray]:
    """Reads arrays of a file that `numpy.savez` wrote.

    Args:
      path: of the file.
      only: names of the arrays to read; all if None.
      packed: If True, `numpy.savez_compressed` wrote it.

    Returns:
      The arrays by name; those that the file does not have are left out.

    Raises:
      NotAnArray: the file is damaged, holds something else, or would grow by more than
        it can when it is unpacked.
      OSError: the file cannot be read.
    """
    arrays: dict[str, np.ndarray] = {}
    size = path.stat().st_size
    # A damaged archive ends in as many kinds of error as it has parts.
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            most = size * _MAX_INFLATION if packed else size
            if sum(member.file_size for member in members) > most:
                raise NotAnArray("it holds more bytes than it has")
            for member in members:
                name = member.filename.removesuffix(".npy")
                if only is not None and name not in only:
                    continue
                with archive.open(member) as file:
                    header = _Header(file, size=member.file_size)
                    content = file.read()
                if len(content) != header.count * header.dtype.itemsize:
                    raise NotAnArray(f"the array {member.filename} is cut off")
                flat = np.frombuffer(content, header.dtype, count=header.count)
                order = "F" if header.fortran else "C"
                arrays[name] = flat.reshape(header.shape, order=order).copy()
    except (OSError, NotAnArray):
        raise
    except (
        *(ValueError, EOFError, KeyError, IndexError, OverflowError, RuntimeError),
        *(NotImplementedError, zipfile.BadZipFile, zlib.error),
    ) as error:
        raise NotAnArray(f"it is no archive of arrays ({error})") from error
    return arrays


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


class _Header:
    """The header of an array, read from a file of ``size`` bytes and compared with it.

    Attributes:
      shape: of the array.
      dtype: of its elements, which are plain numbers, strings, or records of them.
      fortran: True if the first axis varies fastest.
      offset: bytes before the first element.
      count: number of elements.
    """

    def __init__(self, file: IO[bytes], *, size: int) -> None:
        try:
            version = npy_format.read_magic(file)
            read = {
                (1, 0): npy_format.read_array_header_1_0,
                (2, 0): npy_format.read_array_header_2_0,
            }[version]
            self.shape, self.fortran, self.dtype = read(file)
        # It is evaluated as Python source, which fails in many ways.
        except Exception as error:
            raise NotAnArray(
                f"it has no header of a NumPy array ({type(error).__name__})"
            ) from error
        if self.dtype.hasobject:
            raise NotAnArray("it holds Python objects, which could run code")
        if len(self.shape) > _MAX_AXES or not all(0 <= n < 2**48 for n in self.shape):
            raise NotAnArray(f"no array has the shape {self.shape}"[:200])
        self.offset, self.count = file.tell(), math.prod(self.shape)
        expected = self.offset + self.count * self.dtype.itemsize
        if expected != size:
            raise NotAnArray(
                f"its header tells of {_bytes(expected)}, and it has {_bytes(size)}"
            )


def _bytes(number: int) -> str:
    # A damaged number may have thousands of digits.
    return f"{number:,} bytes" if number < 2**63 else "more bytes than any disk has"

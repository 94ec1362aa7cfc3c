"""Reads NumPy arrays of strings."""

import pathlib
import sys
from collections.abc import Iterator

import numpy as np

from tfvis_jax import npy
from tfvis_jax.errors import InputError

_BLOCK = 1024


def open_array(path: pathlib.Path) -> np.ndarray:
    """Opens an array of strings (dtype U or S) without reading it; returns it flat.

    Raises:
      InputError: the file is damaged, or holds something else.
    """
    try:
        array = npy.open_array(path)
    except (OSError, npy.NotAnArray) as error:
        raise InputError(
            f"{path} cannot be read as an array of strings: {error}. If it is an array "
            "of Python objects that you trust, save it again as text with "
            "`numpy.save(path, numpy.array(list_of_strings, dtype=str))`."
        ) from error
    if array.dtype.kind not in "US":
        raise InputError(
            f"{path}: Expected an array of strings (dtype U or S), got {array.dtype}; "
            "convert it, or leave the file out."
        )
    return array.reshape(-1)


def texts(
    array: np.ndarray, *, path: pathlib.Path, replace_undecodable: bool
) -> Iterator[str]:
    """Yields the strings of an array; half a surrogate pair is left as it is.

    Args:
      array: [n] strings.
      path: of the file, for messages.
      replace_undecodable: If True, replace what is no character by U+FFFD.

    Raises:
      InputError: a string cannot be decoded, and ``replace_undecodable`` is False.
    """
    errors = "replace" if replace_undecodable else "strict"
    for start in range(0, len(array), _BLOCK):
        # A copy, in the byte order of this machine.
        block = np.ascontiguousarray(array[start : start + _BLOCK])
        if array.dtype.kind == "U":
            block = _characters(
                block, path=path, first=start + 1, replace=replace_undecodable
            )
        for number, value in enumerate(block, start=start + 1):
            if isinstance(value, np.str_):
                yield str(value)
                continue
            try:
                yield value.decode("utf-8", errors)
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{path}: Expected UTF-8, got byte "
                    f"{error.object[error.start]:#04x} at offset {error.start} of "
                    f"string {number}; convert the array to dtype U, or pass "
                    "--replace_undecodable."
                ) from error


def _characters(
    block: np.ndarray, *, path: pathlib.Path, first: int, replace: bool
) -> np.ndarray:
    """Returns strings of which every number is a character.

    NumPy stores any numbers. Python fails at those beyond Unicode, and libraries that
    get them crash, so they are looked for before strings are made.
    """
    numbers = block.view(np.dtype("u4").newbyteorder(block.dtype.byteorder))
    codes = numbers.astype(np.uint32).reshape(len(block), -1)
    bad = codes > sys.maxunicode
    if bad.any() and not replace:
        raise InputError(
            f"{path} string {first + int(bad.any(1).argmax())}: Expected text, got a "
            "number that is no character; pass --replace_undecodable to replace it."
        )
    codes[bad] = ord("\N{REPLACEMENT CHARACTER}")
    return codes.view(f"=U{codes.shape[1]}").reshape(-1)

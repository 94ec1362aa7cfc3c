"""Files that people fill on the page of a run: whose they are, text without tricks."""

import pathlib
import unicodedata
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tfvis_jax import files
from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError

REMEDY = "Restore it from a copy, or move it away to begin with none."
T = TypeVar("T")
# Marks that change the direction of the text after them, also outside of what they say.
_TURNS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


class _Head(msgspec.Struct):
    schema: Any = None
    dictionary_hash: Any = None


def read(
    path: pathlib.Path, kind: type[T], *, schema: str, dictionary_hash: str
) -> T | None:
    """Reads a file; returns None if there is none.

    Args:
      path: of the file; its name says what it holds.
      kind: what it holds, see `schema.read`.
      schema: its name and version.
      dictionary_hash: `content_hash` of the run's dictionary.

    Raises:
      InputError: the file is damaged or belongs to another dictionary.
    """
    if not path.is_file():
        return None
    head = schema_lib.read(path, _Head, remedy=REMEDY)
    if head.schema != schema:
        raise InputError(
            f"Expected {path.stem} of schema {schema} in {path}, got "
            f"{schema_lib.short(head.schema)}. {REMEDY}"
        )
    if head.dictionary_hash != dictionary_hash:
        raise InputError(
            f"The {path.stem} in {path} belong to another dictionary. Move the file "
            "away, or restore that dictionary."
        )
    return schema_lib.read(path, kind, remedy=REMEDY)


def by_factor(
    found: Mapping[str, T], *, path: pathlib.Path, field: str, n_factors: int
) -> dict[int, T]:
    """Returns what a file says of each factor, in the order of their numbers.

    Args:
      found: values by the number of a factor, as JSON has them.
      path: of the file.
      field: where in the file they are.
      n_factors: number of factors of the dictionary.

    Raises:
      InputError: a key is no number of a factor.
    """
    for number in found:
        # Python refuses to read thousands of digits.
        digits = number.isdecimal() and number.isascii() and len(number) < 20
        if not (digits and int(number) < n_factors):
            raise schema_lib.damaged(
                path,
                f"Expected numbers of factors from 0 to {n_factors - 1} in `{field}`, "
                f"got {schema_lib.short(number)}",
                remedy=REMEDY,
            )
    return {int(number): found[number] for number in sorted(found, key=int)}


def write(
    path: pathlib.Path,
    values: Mapping[str, Any],
    *,
    schema: str,
    dictionary_hash: str,
) -> None:
    """Writes a file atomically; arguments are those of `read`.

    Raises:
      InputError: the file cannot be written.
    """
    try:
        files.write_json(
            path, {"schema": schema, "dictionary_hash": dictionary_hash, **values}
        )
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error})."
        ) from error


def one_line(text: str) -> str:
    """Returns a text in one line, without what could steer a terminal."""
    return cleaned(" ".join(text.split()))


def cleaned(text: str) -> str:
    """Returns a text without what could steer a terminal, or UTF-8 cannot encode."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if letter in _TURNS
        or (unicodedata.category(letter) in ("Cc", "Cs") and letter != "\n")
        else letter
        for letter in text.replace("\r\n", "\n")
    )

"""JSON files as types: fields, ranges and lengths are checked once, as a file is read.

A schema is an annotated class. msgspec compiles it into a decoder that checks while it
parses, so that a file read by its schema needs no check where it is used:

    class Shard(msgspec.Struct):
        num_windows: schema.Count
        names: list[str]
"""

import codecs
import json
import pathlib
import re
import reprlib
import sys
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

import msgspec

from tfvis_jax.errors import InputError

T = TypeVar("T")

# Numbers that NumPy's int64 and float64 hold.
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
Positive = Annotated[int, msgspec.Meta(ge=1, lt=2**62)]
Finite = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
AboveZero = Annotated[float, msgspec.Meta(gt=0, le=sys.float_info.max)]
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]
Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]

_PLACE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?", re.DOTALL)
_STEP = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")


def read(path: pathlib.Path, kind: type[T], *, remedy: str) -> T:
    """Reads a JSON file of a schema.

    Args:
      path: of the file.
      kind: the schema: a `msgspec.Struct`, a dataclass, or another annotation.
      remedy: a sentence on what to do about a damaged file.

    Raises:
      InputError: the file cannot be read, or is not of the schema. It names the file,
        the place in it, what was expected there and what came.
    """
    return decode(_content(path, remedy), kind, where=str(path), remedy=remedy)


def read_plain(path: pathlib.Path, kind: type[T], *, remedy: str) -> tuple[T, Any]:
    """Reads a JSON file of a schema, and all that it holds beside. See `read`.

    Returns:
      The value of the schema; the same as plain dictionaries, lists, numbers and texts.
    """
    content = _content(path, remedy)
    value = decode(content, kind, where=str(path), remedy=remedy)
    # What the schema leaves out was skipped, and is parsed only here.
    return value, _decoded(content, Any, where=str(path), remedy=remedy)


def read_lines(
    path: pathlib.Path, kind: type[T], *, remedy: str
) -> Iterator[tuple[int, T]]:
    """Yields the lines of a file of which every line is JSON of a schema.

    Args:
      path: of the file.
      kind: the schema of a line.
      remedy: a sentence on what to do about a damaged file.

    Yields:
      The number of a line, from 1, and its value; empty lines are left out.

    Raises:
      InputError: the file cannot be read, or a line is not of the schema; names the
        line. See `read`.
    """
    # Only \n ends a line: JSON may hold other line ends as they are.
    lines = _content(path, remedy).removeprefix(codecs.BOM_UTF8).split(b"\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"Line {number} of {path}"
            yield number, decode(line, kind, where=where, remedy=remedy)


def decode(content: bytes, kind: type[T], *, where: str, remedy: str) -> T:
    """Returns the value of a JSON text; `where` names it. See `read`."""
    return _decoded(content, kind, where=where, remedy=remedy)


def _decoded(content: bytes, kind: Any, *, where: str, remedy: str) -> Any:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise _damaged(where, _told(error, content), remedy) from error
    # A deeply nested value is nothing that this program writes.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(where, f"it is not JSON ({error})", remedy) from error


def convert(value: Any, kind: type[T], *, where: str, remedy: str) -> T:
    """Returns a JSON value, already parsed, as a value of a schema. See `read`."""
    try:
        return msgspec.convert(value, kind)
    # Half a surrogate pair is no text.
    except (msgspec.ValidationError, UnicodeError, RecursionError) as error:
        raise _damaged(where, _place(str(error), value), remedy) from error


def damaged(path: pathlib.Path | str, why: str, *, remedy: str) -> InputError:
    """Returns the error of a file whose content disagrees with itself or with others.

    Args:
      path: of the file.
      why: what was expected and what came.
      remedy: a sentence on what to do about it.
    """
    return _damaged(str(path), why, remedy)


def short(value: Any) -> str:
    """Returns a value for a message, however long it is."""
    text = _SHORT.repr(value)
    # Half a surrogate pair cannot be printed.
    return text.encode("ascii", "backslashreplace").decode()


def _content(path: pathlib.Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}). {remedy}"
        ) from error


def _damaged(where: str, why: str, remedy: str) -> InputError:
    return InputError(f"{where} is damaged: {why}. {remedy}")


def _told(error: msgspec.ValidationError, content: bytes) -> str:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return str(error)
    return _place(str(error), value)


def _place(said: str, value: Any) -> str:
    """Returns msgspec's message with the value that it is about.

    It writes "Expected `int` >= 0 - at `$.shards[0].num_windows`".
    """
    match = _PLACE.fullmatch(said)
    if match is None:
        return said
    told, place = match[1].rstrip("."), match[2] or ""
    for name, number in _STEP.findall(place):
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and number and int(number) < len(value):
            value = value[int(number)]
        else:
            # "[...]", any value of a mapping.
            value = None
            break
    at = f" at `{place}`" if place else ""
    # Of a list or an object the type is enough, which msgspec has said.
    if value is None or isinstance(value, list | dict) or "got" in told:
        return told + at
    return f"{told}{at}, got {short(value)}"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60

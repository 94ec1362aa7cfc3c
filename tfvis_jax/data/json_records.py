"""Reads the objects of JSON lines, or of a file that is one JSON array."""

import itertools
import json
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tfvis_jax.errors import InputError

_SPACE = re.compile(r"[ \t\r\n]*")
# Python refuses longer integers, because it would take quadratic time to read them.
_MAX_DIGITS = 4000


class Record(NamedTuple):
    """A JSON value, where it is (for messages), and a name for its document."""

    value: Any
    place: str
    name: str


def read(chunks: Iterable[str], *, path: pathlib.Path) -> Iterator[Record]:
    """Yields the values of each line, or the items of one array.

    Memory is bounded by the longest line or item, and time is linear in its length.

    Args:
      chunks: the file's text.
      path: its path, for names and messages.

    Raises:
      InputError: the text is not JSON.
    """
    chunks = iter(chunks)
    head, first = [], ""
    for chunk in chunks:
        head.append(chunk)
        if first := chunk.strip()[:1]:
            break
    rest = itertools.chain(head, chunks)
    if first == "[":
        yield from _items(rest, path=path)
    else:
        yield from _lines(rest, path=path)


def text_of(record: Record, *, field: str) -> tuple[str, str | None]:
    """Returns the name and the text of an object, None if its text is null.

    Args:
      record: the object; its name is its field "title", if there is one.
      field: the field of the text, which is a string, or a list of strings that are put
        together line by line.

    Raises:
      InputError: the value is not an object, or has no such field.
    """
    value = record.value
    if not isinstance(value, dict):
        raise InputError(
            f'{record.place}: Expected an object with a field "{field}", got '
            f"{type(value).__name__}; correct or remove it."
        )
    # An empty tuple is no JSON, so it tells that the field is missing.
    text = value.get(field, ())
    if isinstance(text, list) and all(t is None or isinstance(t, str) for t in text):
        text = "\n".join(t for t in text if t) or None
    if text is not None and not isinstance(text, str):
        fields = ", ".join(
            f"{name} ({type(content).__name__})" for name, content in value.items()
        )
        raise InputError(
            f'{record.place}: Expected a field "{field}" that holds a string or a list '
            f"of strings, got the fields {fields or '(none)'}; name the one that holds "
            "the text with --text_field."
        )
    title = value.get("title")
    return (title if isinstance(title, str) and title else record.name), text


def _lines(chunks: Iterable[str], *, path: pathlib.Path) -> Iterator[Record]:
    for number, line in enumerate(_split(chunks), start=1):
        # There may be millions of blank lines.
        if not line:
            continue
        place, start = f"{path} line {number}", _skip_space(line, 0)
        for part in itertools.count(1):
            if start == len(line):
                break
            try:
                value, end = _DECODER.raw_decode(line, start)
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{place}: Expected one JSON object per line, got text that is not "
                    f"JSON ({error}); correct or remove the line."
                ) from error
            # A server's log may have several objects on a line.
            suffix = "" if part == 1 else f".{part}"
            yield Record(value, place, f"{path.name} {number}{suffix}")
            start = _skip_space(line, end)


def _split(chunks: Iterable[str]) -> Iterator[str]:
    # Kept in pieces, since adding to a long line would copy it every time.
    rest: list[str] = []
    for chunk in chunks:
        first, *others = chunk.split("\n")
        rest.append(first)
        for other in others:
            yield "".join(rest)
            rest = [other]
    yield "".join(rest)


def _items(chunks: Iterator[str], *, path: pathlib.Path) -> Iterator[Record]:
    buffer = _Buffer(chunks)
    buffer.expect("[", path=path)
    if buffer.peek() == "]":
        buffer.expect("]", path=path)
    else:
        for number in itertools.count(1):
            place = f"{path} item {number}"
            yield Record(buffer.value(place), place, f"{path.name} {number}")
            if buffer.peek() == "]":
                buffer.expect("]", path=path)
                break
            buffer.expect(",", path=path)
    if buffer.peek():
        raise InputError(
            f"{path}: Expected the end of the file after a JSON array, got more text; "
            "write one object per line instead."
        )


class _Buffer:
    """Text that is read as far as the next value needs."""

    def __init__(self, chunks: Iterator[str]) -> None:
        self._chunks, self._text, self._start = chunks, "", 0

    def peek(self) -> str:
        """Returns the next character that is no space, or "" at the end."""
        self._start = _skip_space(self._text, self._start)
        while self._start == len(self._text):
            if not self._read_more(1):
                return ""
            self._start = _skip_space(self._text, self._start)
        return self._text[self._start]

    def expect(self, mark: str, *, path: pathlib.Path) -> None:
        if (found := self.peek()) != mark:
            raise InputError(
                f"{path}: Expected a JSON array of objects, got "
                f"{found or 'its end'!r} instead of {mark!r}; the file may be cut off."
            )
        self._start += 1

    def value(self, place: str) -> Any:
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._start)
            except (ValueError, RecursionError) as error:
                # As much again each time, so that all tries together stay linear.
                num_tried = len(self._text) - self._start
                if not isinstance(error, RecursionError) and self._read_more(num_tried):
                    continue
                raise InputError(
                    f"{place}: Expected a JSON object, got text that is not JSON "
                    f"({error}); correct or remove it."
                ) from error
            self._start = end
            return value

    def _read_more(self, num_chars: int) -> bool:
        """Reads at least so many characters; returns whether there were any."""
        pieces, size = [self._text[self._start :]], 0
        for chunk in self._chunks:
            pieces.append(chunk)
            size += len(chunk)
            if size >= num_chars and size:
                break
        self._text, self._start = "".join(pieces), 0
        return size > 0


def _skip_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return match.end() if match else start


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float("inf")


_DECODER = json.JSONDecoder(parse_int=_integer)

"""Reads the documents of one file or dataset, a reader for each format.

Nothing is cleaned here. Every reader streams: its memory is bounded by the longest
single entry (a JSON line, a wiki page) and by `MAX_DOCUMENT_CHARS`.
"""

import dataclasses
import itertools
import json
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from tfvis_jax.data import cleaning, formats, mediawiki
from tfvis_jax.errors import InputError

MAX_DOCUMENT_CHARS = 1_000_000
# How much of a file is looked at to detect its style.
_SAMPLE_CHARS = 200_000

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class RawDocument:
    """A document before cleaning.

    Attributes:
      name: its title, or the file's name and the document's number.
      text: its text as stored in the file.
      style: how the text was prepared; the same for all documents of a file.
      position: bytes of the file read up to the end of the document.
    """

    name: str
    text: str
    style: cleaning.Style
    position: int


def read_file(
    path: pathlib.Path, *, replace_undecodable: bool
) -> Iterator[RawDocument]:
    """Yields the documents of a file.

    Raises:
      InputError: the file is damaged, is not UTF-8, or does not have the format that
        its name says.
    """
    match formats.detect(path):
        case formats.Format.ARRAY:
            yield from _read_array(path)
        case formats.Format.MEDIAWIKI:
            with formats.InputStream(path) as stream:
                for title, markup in mediawiki.pages(stream, name=str(path)):
                    yield RawDocument(
                        title, markup, cleaning.Style.MEDIAWIKI, stream.position
                    )
        case formats.Format.JSON_LINES:
            with formats.InputStream(path) as stream:
                lines = formats.read_lines(
                    stream, path=path, replace_undecodable=replace_undecodable
                )
                entries = _json_entries(
                    lines, path=path, replace_undecodable=replace_undecodable
                )
                yield from _with_style(entries, lambda: stream.position)
        case formats.Format.TEXT:
            with formats.InputStream(path) as stream:
                lines = formats.read_lines(
                    stream,
                    path=path,
                    replace_undecodable=replace_undecodable,
                    max_chars=MAX_DOCUMENT_CHARS,
                )
                yield from _read_text(
                    (line.text for line in lines),
                    name=path.name,
                    position=lambda: stream.position,
                )
        case None:
            raise InputError(
                f"{path} has an unsupported format; expected {formats.KNOWN_SUFFIXES}."
            )


def read_hugging_face(address: str) -> Iterator[RawDocument]:
    """Streams ``hf://name`` or ``hf://name:config:split`` (by default, split "train").

    Every record is a document, unless the records are the lines of a WikiText file:
    then each level-1 heading begins a document.

    Raises:
      InputError: the `datasets` library is not installed, the dataset cannot be read,
        or a record has no field "text".
    """
    name, config, split = (*address.removeprefix("hf://").split(":"), "", "")[:3]
    try:
        import datasets  # pyright: ignore[reportMissingImports] (an optional extra)
    except ImportError as error:
        raise InputError(
            f"{address} requires the Hugging Face datasets library; install it with "
            "`pip install 'tfvis_jax[datasets]'`."
        ) from error
    try:
        records = iter(
            datasets.load_dataset(
                name, config or None, split=split or "train", streaming=True
            )
        )
        first = next(records, None)
    # The library raises exceptions of its own, of the hub and of the network.
    except Exception as error:
        raise InputError(
            f"{address} cannot be read ({type(error).__name__}: {error}). Check the "
            "name (hf://name:config:split) and the network, or give a local file."
        ) from error
    if first is None:
        return
    numbered = enumerate(itertools.chain([first], records), start=1)
    entries = (
        _entry(record, place=f"{address} record {number}", name=f"{name} {number}")
        for number, record in numbered
    )
    head, entries = _peek(entries, size=lambda entry: len(entry[1]))
    if any(_level_1_heading(text) for _, text in head):
        lines = (text.rstrip("\n") + "\n" for _, text in entries)
        yield from _read_text(lines, name=name, position=lambda: 0)
    else:
        yield from _with_style(entries, lambda: 0)


def cut_long(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Cuts a text into parts of at most `MAX_DOCUMENT_CHARS`: "name", "name #2", ...

    It cuts at the last paragraph end in the second half, else at a line end there, else
    at the last space; only text without any of these is cut right at the limit.
    """
    number = 1
    while len(text) > MAX_DOCUMENT_CHARS:
        cut = _cut_point(text)
        yield _numbered(name, number), text[:cut]
        text, number = text[cut:].lstrip(), number + 1
    yield _numbered(name, number), text


def _read_text(
    lines: Iterable[str], *, name: str, position: Callable[[], int]
) -> Iterator[RawDocument]:
    # The style is that of the whole file, so it is detected before the first document.
    head, lines = _peek(iter(lines), size=len)
    style = cleaning.detect_style("".join(head))
    for title, text in _split_at_headings(lines, name=name):
        yield RawDocument(title, text, style, position())


def _split_at_headings(lines: Iterable[str], *, name: str) -> Iterator[tuple[str, str]]:
    """Yields (name, text) of each document, cutting long ones as `cut_long` does."""
    number, parts, size = 1, [], 0
    # None marks the end, where the last document is yielded.
    for line in itertools.chain(lines, [None]):
        title = None if line is None else _level_1_heading(line)
        if line is None or title:
            text = "".join(parts).strip()
            if text:
                yield _numbered(name, number), text
            name, number, parts, size = title or name, 1, [], 0
            continue
        parts.append(line)
        size += len(line)
        # Long documents are cut while they are read, which bounds the memory.
        while size > MAX_DOCUMENT_CHARS:
            text = "".join(parts)
            cut = _cut_point(text)
            if text[:cut].strip():
                yield _numbered(name, number), text[:cut].strip()
                number += 1
            parts = [text[cut:].lstrip()]
            size = len(parts[0])


def _level_1_heading(line: str) -> str | None:
    match = re.fullmatch(r"= ([^=\s](?:.*[^=\s])?) =", line.strip())
    return match.group(1) if match else None


def _cut_point(text: str) -> int:
    limit = MAX_DOCUMENT_CHARS
    for mark in ("\n\n", "\n"):
        cut = text.rfind(mark, limit // 2, limit)
        if cut > 0:
            return cut
    last_word = re.search(r"\s\S*\Z", text[:limit])
    return last_word.start() or limit if last_word else limit


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name} #{number}"


def _json_entries(
    lines: Iterable[formats.Line], *, path: pathlib.Path, replace_undecodable: bool
) -> Iterator[tuple[str, str]]:
    for line in lines:
        if not line.text.strip():
            continue
        place = f"{path} line {line.number}"
        try:
            record = json.loads(line.text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(
                f"{place}: Expected one JSON object per line, got text that is not "
                f"JSON ({error}); correct or remove the line."
            ) from error
        name, text = _entry(record, place=place, name=f"{path.name} {line.number}")
        # An escape such as \ud800 is valid JSON, but only half a character.
        whole = text.encode("utf-8", "replace").decode()
        if whole != text and not replace_undecodable:
            raise InputError(
                f"{place}: Expected text, got half a surrogate pair; pass "
                "--replace_undecodable to replace it."
            )
        yield name, whole


def _entry(record: object, *, place: str, name: str) -> tuple[str, str]:
    if not isinstance(record, dict):
        raise InputError(
            f'{place}: Expected an object with a field "text", got '
            f"{type(record).__name__}; correct or remove it."
        )
    text = record.get("text")
    if not isinstance(text, str):
        fields = ", ".join(
            f"{field} ({type(value).__name__})" for field, value in record.items()
        )
        raise InputError(
            f'{place}: Expected a field "text" that holds a string, got the fields '
            f"{fields or '(none)'}; rename the field that holds the text."
        )
    title = record.get("title")
    return (title if isinstance(title, str) and title else name), text


def _with_style(
    entries: Iterator[tuple[str, str]], position: Callable[[], int]
) -> Iterator[RawDocument]:
    head, entries = _peek(entries, size=lambda entry: len(entry[1]))
    style = cleaning.detect_style("\n".join(text for _, text in head))
    for name, text in entries:
        for part_name, part in cut_long(name, text):
            yield RawDocument(part_name, part, style, position())


def _read_array(path: pathlib.Path) -> Iterator[RawDocument]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(
            f"{path} cannot be read as an array of strings: {error} If it is an array "
            "of Python objects that you trust, save it again as text with "
            "`numpy.save(path, numpy.array(list_of_strings, dtype=str))`."
        ) from error
    if array.dtype.kind not in "US":
        raise InputError(
            f"{path}: Expected an array of strings (dtype U or S), got {array.dtype}; "
            "convert it, or leave the file out."
        )
    num_bytes, strings = path.stat().st_size, array.reshape(-1)
    read = 0

    def entries() -> Iterator[tuple[str, str]]:
        nonlocal read
        for read, value in enumerate(strings, start=1):
            yield f"{path.stem} {read}", _to_text(value, path=path, number=read)

    yield from _with_style(entries(), lambda: num_bytes * read // max(strings.size, 1))


def _to_text(value: np.str_ | np.bytes_, *, path: pathlib.Path, number: int) -> str:
    if isinstance(value, np.str_):
        return str(value)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: Expected UTF-8, got byte {error.object[error.start]:#04x} at "
            f"offset {error.start} of string {number}; convert the array to dtype U."
        ) from error


def _peek(
    items: Iterator[_T], *, size: Callable[[_T], int]
) -> tuple[list[_T], Iterator[_T]]:
    """Returns the first items, enough for a sample, and an iterator over all items."""
    head, total = [], 0
    for item in items:
        head.append(item)
        total += size(item)
        if total >= _SAMPLE_CHARS:
            break
    return head, itertools.chain(head, items)

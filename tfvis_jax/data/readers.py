"""Readers: from one file of each format to its documents, as they were written.

Nothing is cleaned here. Every reader streams; what it holds is bounded by the longest
single entry (a JSON line, a wiki page) and `MAX_DOCUMENT_CHARS`.
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
_SAMPLE_CHARS = 200_000

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class RawDocument:
    """A document before cleaning.

    Attributes:
      name: its title, or the file and a number.
      text: as it stands in the file.
      style: how it was prepared, the same for all documents of a file.
      position: bytes of the file that were read when it ended.
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
      InputError: the file is damaged, not UTF-8, or not of the format that its name
        says.
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
                f"{path}: unknown kind of file. Known: {formats.KNOWN_SUFFIXES}."
            )


def read_hugging_face(address: str) -> Iterator[RawDocument]:
    """Streams ``hf://name`` or ``hf://name:config:split`` (split "train" if not given).

    Every record is a document, except in a dataset whose records are the lines of a
    WikiText file: there the level-1 headings begin the documents.

    Raises:
      InputError: the extra is not installed, the dataset cannot be had, or its records
        have no field "text".
    """
    name, config, split = (*address.removeprefix("hf://").split(":"), "", "")[:3]
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"{address} needs the Hugging Face datasets library: "
            "pip install 'tfvis_jax[datasets]'."
        ) from error
    try:
        records = iter(
            datasets.load_dataset(
                name, config or None, split=split or "train", streaming=True
            )
        )
        first = next(records, None)
    # The library raises its own, the hub's, and the network's exceptions alike.
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
    """Cuts above `MAX_DOCUMENT_CHARS`, into "name", "name #2", ...

    The cut is at the last paragraph end of the second half, else at a line end, else at
    a space; only text without any of them is cut where the limit falls.
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
    head, lines = _peek(iter(lines), size=len)
    style = cleaning.detect_style("".join(head))
    for title, text in _split_at_headings(lines, name=name):
        yield RawDocument(title, text, style, position())


def _split_at_headings(lines: Iterable[str], *, name: str) -> Iterator[tuple[str, str]]:
    """Yields (name, text) of documents, cut as by `cut_long` while they are read."""
    number, parts, size = 1, [], 0
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
                f"{place}: expected one JSON object a line, got text that is not JSON "
                f"({error})."
            ) from error
        name, text = _entry(record, place=place, name=f"{path.name} {line.number}")
        # An escape such as \ud800 is JSON, but half a character and no text.
        whole = text.encode("utf-8", "replace").decode()
        if whole != text and not replace_undecodable:
            raise InputError(
                f"{place}: expected text, got half a surrogate pair; "
                "--replace_undecodable replaces it."
            )
        yield name, whole


def _entry(record: object, *, place: str, name: str) -> tuple[str, str]:
    if not isinstance(record, dict):
        raise InputError(
            f'{place}: expected an object with a field "text", got '
            f"{type(record).__name__}."
        )
    text = record.get("text")
    if not isinstance(text, str):
        fields = ", ".join(
            f"{field} ({type(value).__name__})" for field, value in record.items()
        )
        raise InputError(
            f'{place}: expected a field "text" that holds a string, found: '
            f"{fields or 'no fields'}. Rename the field that has the text."
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
            f"{path} cannot be read as an array of strings: {error} An array of Python "
            "objects has to be saved again as text, by someone who trusts it: "
            "numpy.save(path, numpy.array(list_of_strings, dtype=str))."
        ) from error
    if array.dtype.kind not in "US":
        raise InputError(
            f"{path}: expected an array of strings (dtype U or S), got {array.dtype}."
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
            f"{path}: string {number} is not UTF-8 at its byte {error.start}."
        ) from error


def _peek(
    items: Iterator[_T], *, size: Callable[[_T], int]
) -> tuple[list[_T], Iterator[_T]]:
    """Returns the first items, enough for a sample, and an iterator over all."""
    head, total = [], 0
    for item in items:
        head.append(item)
        total += size(item)
        if total >= _SAMPLE_CHARS:
            break
    return head, itertools.chain(head, items)

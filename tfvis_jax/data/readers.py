"""Reads the documents of one file or dataset, a reader for each format.

Nothing is cleaned here. Every reader streams: its memory is bounded by the longest
single entry (a JSON line, a wiki page) and by `MAX_DOCUMENT_CHARS`.
"""

import dataclasses
import itertools
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tfvis_jax.data import cleaning, formats, json_records, string_arrays, wiki_dump
from tfvis_jax.data import notes as notes_lib
from tfvis_jax.errors import InputError

MAX_DOCUMENT_CHARS = 1_000_000
# How much of a file is looked at to detect its style.
_SAMPLE_CHARS = 200_000
_NO_SPACE = re.compile(r"\S")
_HALF = re.compile("[\ud800-\udfff]")

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class RawDocument:
    """A document before cleaning.

    Attributes:
      name: its title, or the file's name and the document's number.
      text: its text as stored in the file.
      style: how the text was prepared; the same for all documents of a file.
      position: bytes of the file read up to the end of the document.
      continues: True for the parts of a long document after its first.
    """

    name: str
    text: str
    style: cleaning.Style
    position: int
    continues: bool = False


def read_file(
    path: pathlib.Path,
    *,
    replace_undecodable: bool,
    text_field: str = "text",
    notes: notes_lib.Notes | None = None,
) -> Iterator[RawDocument]:
    """Yields the documents of a file, and notes the records without text.

    Raises:
      InputError: the file is damaged, cannot be decoded, or does not have the format
        that its name says.
    """
    notes = notes or notes_lib.Notes()
    match formats.detect(path):
        case formats.Format.ARRAY:
            yield from _read_array(path, replace_undecodable=replace_undecodable)
        case formats.Format.MEDIAWIKI:
            with formats.InputStream(path) as stream:
                for title, markup in wiki_dump.pages(stream, name=str(path)):
                    yield RawDocument(
                        title, markup, cleaning.Style.MEDIAWIKI, stream.position
                    )
        case formats.Format.JSON_LINES:
            with formats.InputStream(path) as stream:
                entries = _json_entries(
                    stream,
                    path=path,
                    replace_undecodable=replace_undecodable,
                    text_field=text_field,
                    notes=notes,
                )
                yield from _with_style(entries, lambda: stream.position)
        case formats.Format.TEXT:
            with formats.InputStream(path) as stream:
                chunks = formats.read_text(
                    stream, path=path, replace_undecodable=replace_undecodable
                )
                yield from _read_text(
                    _pieces(chunks),
                    name=_file_name(path.name),
                    position=lambda: stream.position,
                )
        case None:
            raise InputError(
                f"{path} has an unsupported format; expected {formats.KNOWN_SUFFIXES}."
            )


def read_hugging_face(
    address: str, *, text_field: str = "text", notes: notes_lib.Notes | None = None
) -> Iterator[RawDocument]:
    """Streams ``hf://name`` or ``hf://name:config:split`` (by default, split "train").

    Every record is a document, unless the records are the lines of a WikiText file:
    then each level-1 heading begins a document.

    Raises:
      InputError: the `datasets` library is not installed, the dataset cannot be read,
        or a record has no such field of text.
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
    records = (
        json_records.Record(record, f"{address} record {number}", f"{name} {number}")
        for number, record in enumerate(itertools.chain([first], records), start=1)
    )
    # A dataset comes from many hands; half a character in it is no reason to stop.
    entries = _entries(
        records,
        replace_undecodable=True,
        text_field=text_field,
        notes=notes or notes_lib.Notes(),
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
    # The rest is not copied for every part, which would take quadratic time.
    number, start = 1, 0
    while len(text) - start > MAX_DOCUMENT_CHARS:
        cut = start + _cut_point(text[start : start + MAX_DOCUMENT_CHARS])
        yield _numbered(name, number), text[start:cut]
        following = _NO_SPACE.search(text, cut)
        start, number = following.start() if following else len(text), number + 1
    yield _numbered(name, number), text[start:]


def _pieces(chunks: Iterable[str]) -> Iterator[str]:
    """Yields a text line by line, or many lines at once where none is a heading."""
    rest = ""
    for chunk in chunks:
        *whole, rest = (rest + chunk).rsplit("\n", 1)
        for lines in whole:
            # Looking at each of a million blank lines would take seconds.
            if "=" in lines:
                yield from (line + "\n" for line in lines.split("\n"))
            else:
                yield lines + "\n"
        while len(rest) > MAX_DOCUMENT_CHARS:
            cut = rest.rfind(" ", 1, MAX_DOCUMENT_CHARS) + 1 or MAX_DOCUMENT_CHARS
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def _read_text(
    lines: Iterable[str], *, name: str, position: Callable[[], int]
) -> Iterator[RawDocument]:
    # The style is that of the whole file, so it is detected before the first document.
    head, lines = _peek(iter(lines), size=len)
    style = cleaning.detect_style("".join(head))
    for title, number, text in _split_at_headings(lines, name=name):
        yield RawDocument(
            _numbered(title, number), text, style, position(), continues=number > 1
        )


def _split_at_headings(
    lines: Iterable[str], *, name: str
) -> Iterator[tuple[str, int, str]]:
    """Yields (name, part, text) of documents, cutting long ones as `cut_long` does."""
    number, parts, size = 1, [], 0
    # None marks the end, where the last document is yielded.
    for line in itertools.chain(lines, [None]):
        title = None if line is None else _level_1_heading(line)
        if line is None or title:
            text = "".join(parts).strip()
            if text:
                yield name, number, text
            name, number, parts, size = title or name, 1, [], 0
            continue
        parts.append(line)
        size += len(line)
        # Long documents are cut while they are read, which bounds the memory.
        while size > MAX_DOCUMENT_CHARS:
            text = "".join(parts)
            cut = _cut_point(text)
            if text[:cut].strip():
                yield name, number, text[:cut].strip()
                number += 1
            parts = [text[cut:].lstrip()]
            size = len(parts[0])


def _level_1_heading(line: str) -> str | None:
    if "=" not in line:
        return None
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
    stream: formats.InputStream,
    *,
    path: pathlib.Path,
    replace_undecodable: bool,
    text_field: str,
    notes: notes_lib.Notes,
) -> Iterator[tuple[str, str]]:
    """Yields (name, text) of JSON lines, or of one array of objects."""
    chunks = formats.read_text(
        stream, path=path, replace_undecodable=replace_undecodable
    )
    yield from _entries(
        json_records.read(chunks, path=path),
        replace_undecodable=replace_undecodable,
        text_field=text_field,
        notes=notes,
    )


def _entries(
    records: Iterable[json_records.Record],
    *,
    replace_undecodable: bool,
    text_field: str,
    notes: notes_lib.Notes,
) -> Iterator[tuple[str, str]]:
    for record in records:
        name, text = json_records.text_of(record, field=text_field)
        if text is None:
            # Notes are published with a page: not where the file is.
            place = pathlib.PurePath(record.place).name
            notes.add("Records without text, skipped", place=place)
            continue
        yield (
            _whole(name, place=record.place, replace_undecodable=True),
            _whole(text, place=record.place, replace_undecodable=replace_undecodable),
        )


def _whole(text: str, *, place: str, replace_undecodable: bool) -> str:
    r"""Returns a text that is valid Unicode.

    An escape such as ``\ud800`` is valid JSON but half a character, which neither
    tokenizers nor files accept.
    """
    whole = _HALF.sub("\ufffd", text)
    if whole != text and not replace_undecodable:
        raise InputError(
            f"{place}: Expected text, got half a surrogate pair; pass "
            "--replace_undecodable to replace it."
        )
    return whole


def _file_name(name: str) -> str:
    # Python keeps bytes of a name that are not UTF-8 as halves of surrogate pairs.
    return _whole(name, place=name, replace_undecodable=True)


def _with_style(
    entries: Iterator[tuple[str, str]], position: Callable[[], int]
) -> Iterator[RawDocument]:
    head, entries = _peek(entries, size=lambda entry: len(entry[1]))
    style = cleaning.detect_style("\n".join(text for _, text in head))
    for name, text in entries:
        for number, (part_name, part) in enumerate(cut_long(name, text)):
            yield RawDocument(part_name, part, style, position(), continues=number > 0)


def _read_array(
    path: pathlib.Path, *, replace_undecodable: bool
) -> Iterator[RawDocument]:
    array = string_arrays.open_array(path)
    num_bytes, read = path.stat().st_size, 0

    def entries() -> Iterator[tuple[str, str]]:
        nonlocal read
        texts = string_arrays.texts(
            array, path=path, replace_undecodable=replace_undecodable
        )
        for read, text in enumerate(texts, start=1):
            whole = _whole(
                text,
                place=f"{path} string {read}",
                replace_undecodable=replace_undecodable,
            )
            yield f"{_file_name(path.stem)} {read}", whole

    yield from _with_style(entries(), lambda: num_bytes * read // max(array.size, 1))


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

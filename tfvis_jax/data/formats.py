"""Detects the format of a corpus file, uncompresses it and decodes its characters."""

import bz2
import codecs
import dataclasses
import enum
import gzip
import io
import lzma
import pathlib
import re
import zlib
from collections.abc import Iterator

import zstandard

from tfvis_jax.errors import InputError

CHUNK_BYTES = 1 << 20


class Format(enum.Enum):
    """What a file holds once it is uncompressed."""

    TEXT = "text"
    JSON_LINES = "JSON lines"
    ARRAY = "NumPy array of strings"
    MEDIAWIKI = "MediaWiki XML"


_SUFFIXES = {
    "": Format.TEXT,
    ".txt": Format.TEXT,
    ".text": Format.TEXT,
    ".tokens": Format.TEXT,
    ".md": Format.TEXT,
    ".jsonl": Format.JSON_LINES,
    ".npy": Format.ARRAY,
    ".xml": Format.MEDIAWIKI,
}
_COMPRESSION = {".gz", ".xz", ".zst", ".bz2"}
KNOWN_SUFFIXES = (
    ".txt, .text, .tokens, .md, no suffix (text), .jsonl, .xml (MediaWiki), each also "
    "with .gz, .xz, .zst or .bz2; .npy (array of strings)"
)
_DAMAGED = (EOFError, OSError, lzma.LZMAError, zlib.error, zstandard.ZstdError)


@dataclasses.dataclass(frozen=True)
class Line:
    r"""A line of a file: its text with the final "\n", and its number from 1."""

    text: str
    number: int


def detect(path: pathlib.Path) -> Format | None:
    """Returns the format that a file's suffix names, or None for an unknown one."""
    name = path.name
    compressed = pathlib.PurePath(name).suffix in _COMPRESSION
    if compressed:
        name = name[: name.rindex(".")]
    # Wikipedia names the parts of a dump "...xml-p10p30302".
    name = re.sub(r"(?<=\.xml)-p\d+p\d+[\w-]*$", "", name)
    found = _SUFFIXES.get(pathlib.PurePath(name).suffix.lower())
    return None if compressed and found is Format.ARRAY else found


class InputStream:
    """The uncompressed bytes of a file, with the position in the compressed file.

    Raises:
      InputError: the constructor cannot open the file, or `read` finds it damaged; the
        message names the file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror}); check its permissions."
            ) from error
        # The file is opened here, so that `position` counts compressed bytes.
        opener = _OPENERS.get(path.suffix)
        self._stream = opener(self._file) if opener else self._file

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        """Returns at most ``size`` bytes; empty at the end of the file."""
        try:
            return self._stream.read(size)
        except _DAMAGED as error:
            raise InputError(
                f"{self._path} is damaged or is not a {self._path.suffix} file "
                f"({error}); download it again, or leave it out."
            ) from error

    @property
    def position(self) -> int:
        """Number of bytes read so far of the file as stored on disk."""
        return self._file.tell()

    def __enter__(self) -> "InputStream":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_lines(
    stream: InputStream,
    *,
    path: pathlib.Path,
    replace_undecodable: bool,
    max_chars: int | None = None,
) -> Iterator[Line]:
    """Yields the lines of UTF-8 text, keeping about one chunk in memory.

    A byte order mark is dropped, and every kind of line end is recognised.

    Args:
      stream: the opened file.
      path: its path, for error messages.
      replace_undecodable: If True, replace bytes that are not UTF-8 by U+FFFD.
      max_chars: a longer line is yielded in parts with the same number, split at
        spaces; None never splits.

    Raises:
      InputError: the file is damaged, or is not UTF-8 and ``replace_undecodable`` is
        False.
    """
    # `rest` is the line that the next chunk continues.
    number, rest = 1, ""
    for chunk in _decode(stream, path=path, replace_undecodable=replace_undecodable):
        *lines, rest = (rest + chunk).split("\n")
        for text in lines:
            yield Line(text + "\n", number)
            number += 1
        while max_chars is not None and len(rest) > max_chars:
            cut = rest.rfind(" ", 1, max_chars) + 1 or max_chars
            yield Line(rest[:cut], number)
            rest = rest[cut:]
    if rest:
        yield Line(rest, number)


def _decode(
    stream: InputStream, *, path: pathlib.Path, replace_undecodable: bool
) -> Iterator[str]:
    utf8 = codecs.getincrementaldecoder("utf-8")(
        "replace" if replace_undecodable else "strict"
    )
    decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
    offset, first = 0, True
    while True:
        data = stream.read()
        # Bytes of a character whose rest is in this chunk.
        pending = len(utf8.getstate()[0])
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} is not UTF-8: byte {offset - pending + error.start} of its "
                f"text ({error.object[error.start]:#04x}) cannot be decoded. Convert "
                "the file, or pass --replace_undecodable to replace such bytes by "
                "U+FFFD."
            ) from error
        offset += len(data)
        yield text.removeprefix("\ufeff") if first else text
        first = first and not text
        if not data:
            return


class _ZstandardStream:
    """Reads .zst and raises an error if the file is truncated.

    The reader of `zstandard` itself takes the end of the file for the end of the data.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._new()
        self._ready, self._inside_frame = b"", False

    def read(self, size: int) -> bytes:
        while not self._ready:
            # A file may hold several frames, one after the other.
            data = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame, self._inside_frame = self._new(), False
            # The chunks are small because their content may be many times larger.
            data = data or self._file.read(CHUNK_BYTES // 16)
            if not data:
                if self._inside_frame:
                    raise EOFError("the compressed data is truncated")
                return b""
            self._inside_frame = True
            self._ready = self._frame.decompress(data)
        data, self._ready = self._ready[:size], self._ready[size:]
        return data


_OPENERS = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _ZstandardStream,
}

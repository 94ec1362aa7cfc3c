"""Detects the format of a corpus file, uncompresses it and decodes its characters."""

import bz2
import codecs
import enum
import gzip
import io
import json
import lzma
import pathlib
import re
import zlib
from collections.abc import Callable, Iterator

import zstandard

from tfvis_jax.errors import InputError

CHUNK_BYTES = 1 << 20


class Format(enum.Enum):
    """What a file holds once it is uncompressed."""

    TEXT = "text"
    # Or one array of objects.
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
    ".ndjson": Format.JSON_LINES,
    ".json": Format.JSON_LINES,
    ".npy": Format.ARRAY,
    ".xml": Format.MEDIAWIKI,
}
_COMPRESSION = {".gz", ".xz", ".zst", ".bz2"}
KNOWN_SUFFIXES = (
    ".txt, .text, .tokens, .md, no suffix (text), .jsonl, .ndjson, .json, .xml "
    "(MediaWiki), each also with .gz, .xz, .zst or .bz2; .npy (array of strings)"
)
_SNIFFED_BYTES = 1 << 12
_COMPANIONS = (
    (re.compile(r"\d+:\d+:."), "the index of a dump"),
    (re.compile(r"[0-9a-fA-F]{32,128} [ *]?\S"), "checksums"),
    (re.compile(r"\w+ ?\(.+\) = [0-9a-fA-F]{32,128}$"), "checksums"),
)
# How other files begin than their names may say.
_SIGNATURES = (
    (b"\x1f\x8b", "compressed by gzip; add .gz to its name"),
    (b"BZh", "compressed by bzip2; add .bz2 to its name"),
    (b"\xfd7zXZ\0", "compressed by xz; add .xz to its name"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard; add .zst to its name"),
    (b"PK\x03\x04", "a ZIP archive; unpack it"),
    (b"%PDF-", "a PDF; convert it to text"),
    (b"PAR1", "a Parquet file; read it as an hf:// dataset or convert it"),
)
# The longest first, because that of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# From this share of NULs on, text is UTF-16 or UTF-32 rather than a slip.
_NUL_SHARE = 0.2
_Member = bz2.BZ2Decompressor | lzma.LZMADecompressor
_DAMAGED = (EOFError, OSError, lzma.LZMAError, zlib.error, zstandard.ZstdError)


def detect(path: pathlib.Path) -> Format | None:
    """Returns the format that a file's suffix names, or None for an unknown one."""
    content, compressed = _content_suffix(path)
    found = _SUFFIXES.get(content)
    return None if compressed and found is Format.ARRAY else found


def has_suffix(path: pathlib.Path) -> bool:
    """Returns whether a file's name says what it holds."""
    return bool(_content_suffix(path)[0])


def why_no_text(path: pathlib.Path) -> str | None:
    """Returns why a file of a folder is no text to be read, or None if it is.

    Beside a dump lie its index and checksums; what they hold shows in their first
    lines, whatever their names are.
    """
    found = detect(path)
    if found is None:
        return "an unknown suffix"
    if found not in {Format.TEXT, Format.JSON_LINES}:
        return None
    with InputStream(path) as stream:
        try:
            data = stream.read(_SNIFFED_BYTES)
        # Reading the file will say how it is damaged.
        except InputError:
            return None
    encoding = _encoding(data)
    if not has_suffix(path) and encoding == "utf-8" and b"\0" in data:
        return "no suffix, and content that is not text"
    start = data.decode(encoding, "ignore").lstrip("\ufeff \t\r\n")
    if found is Format.JSON_LINES:
        # The settings of some program are no corpus.
        is_corpus = (
            _content_suffix(path)[0] != ".json"
            or start[:1] == "["
            or _has_json_lines(path)
        )
        return None if is_corpus else "a .json file without an array or JSON lines"
    # The last line may be cut.
    lines = start.splitlines()
    lines = lines[:-1] if len(data) >= _SNIFFED_BYTES else lines
    for pattern, what in _COMPANIONS:
        if lines and all(pattern.match(line) for line in lines if line):
            return what
    return None


def _has_json_lines(path: pathlib.Path) -> bool:
    """Returns whether the first line of a file is a JSON object, and another begins."""
    with InputStream(path) as stream:
        try:
            chunks = read_text(stream, path=path, replace_undecodable=True)
            text = next((t for t in chunks if t.strip()), "").lstrip()
        # Reading the file will say how it is damaged.
        except InputError:
            return True
    line, _, rest = text.partition("\n")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and rest.lstrip()[:1] == "{"


def _content_suffix(path: pathlib.Path) -> tuple[str, bool]:
    """Returns the suffix below a compression's, in lower case, and if there is one."""
    name = path.name.lower()
    compressed = pathlib.PurePath(name).suffix in _COMPRESSION
    if compressed:
        name = name[: name.rindex(".")]
    # Wikipedia names the parts of a dump "...xml-p10p30302".
    name = re.sub(r"(?<=\.xml)-p\d+p\d+[\w-]*$", "", name)
    return pathlib.PurePath(name).suffix, compressed


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
        opener = _OPENERS.get(path.suffix.lower())
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


def read_text(
    stream: InputStream, *, path: pathlib.Path, replace_undecodable: bool
) -> Iterator[str]:
    r"""Yields a text in chunks, with "\n" for every kind of line end.

    The text is UTF-8, or UTF-16 or UTF-32 with a byte order mark, which is dropped.

    Args:
      stream: the opened file.
      path: its path, for error messages.
      replace_undecodable: If True, replace bytes that cannot be decoded by U+FFFD.

    Raises:
      InputError: the file is damaged, or cannot be decoded and
        ``replace_undecodable`` is False.
    """
    data = stream.read()
    # A compressed stream may give less than the longest mark.
    while len(data) < 4 and (more := stream.read()):
        data += more
    for signature, what in _SIGNATURES:
        if data.startswith(signature):
            raise InputError(f"{path} is no text, but {what}.")
    encoding = _encoding(data)
    if encoding == "utf-8" and data.count(0) > _NUL_SHARE * len(data):
        raise InputError(
            f"{path} is not UTF-8: it is UTF-16 or UTF-32 without a byte order mark, "
            "or no text. Convert the file to UTF-8, for example with "
            "`iconv -f UTF-16LE -t UTF-8`."
        )
    decode = codecs.getincrementaldecoder(encoding)(
        "replace" if replace_undecodable else "strict"
    )
    decoder = io.IncrementalNewlineDecoder(decode, translate=True)
    offset, first = 0, True
    while True:
        # Bytes of a character whose rest is in this chunk.
        pending = len(decode.getstate()[0])
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} is not {encoding.upper()}: byte "
                f"{offset - pending + error.start} of its text "
                f"({error.object[error.start]:#04x}) cannot be decoded. Convert the "
                "file, or pass --replace_undecodable to replace such bytes by U+FFFD."
            ) from error
        offset += len(data)
        yield text.removeprefix("\ufeff") if first else text
        first = first and not text
        if not data:
            return
        data = stream.read()


def _encoding(start: bytes) -> str:
    """Returns the encoding that a file's byte order mark names, else UTF-8."""
    return next((e for mark, e in _BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8")


class _MemberStream:
    """Reads .bz2 or .xz, and raises an error if anything but a member follows.

    A file may hold several members, one after the other. The readers of the standard
    library end in silence at one whose beginning is damaged.
    """

    def __init__(self, file: io.BufferedReader, new: Callable[[], _Member]) -> None:
        self._file, self._new = file, new
        self._member: _Member | None = None

    def read(self, size: int) -> bytes:
        while True:
            given = b""
            if self._member is None or self._member.eof:
                given = self._next_member()
                if not given:
                    return b""
                self._member = self._new()
            elif self._member.needs_input:
                given = self._file.read(CHUNK_BYTES)
                if not given:
                    raise EOFError("the compressed data is truncated")
            if data := self._member.decompress(given, size):
                return data

    def _next_member(self) -> bytes:
        if self._member is None:
            return self._file.read(CHUNK_BYTES)
        # There may be zeros between members and after the last.
        given = self._member.unused_data.lstrip(b"\0")
        while not given and (more := self._file.read(CHUNK_BYTES)):
            given = more.lstrip(b"\0")
        return given


class _ZstandardStream:
    """Reads .zst and raises an error if the file is truncated.

    The reader of `zstandard` itself takes the end of the file for the end of the data.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._new = zstandard.ZstdDecompressor(
            # `zstd --long=31` makes windows of this size; the default refuses 128 MB.
            max_window_size=2**31
        ).decompressobj
        self._frame = self._new()
        # What was decompressed, of which `_start` bytes were given out. Small reads of
        # a large block would take quadratic time if each cut off what it gave.
        self._ready, self._start, self._inside_frame = b"", 0, False

    def read(self, size: int) -> bytes:
        while self._start == len(self._ready):
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
            self._ready, self._start = self._frame.decompress(data), 0
        data = self._ready[self._start : self._start + size]
        self._start += len(data)
        return data


_OPENERS = {
    ".gz": gzip.open,
    ".bz2": lambda file: _MemberStream(file, bz2.BZ2Decompressor),
    ".xz": lambda file: _MemberStream(file, lzma.LZMADecompressor),
    ".zst": _ZstandardStream,
}

"""Writes and reads shards: the windows of some consecutive documents, as four files.

``00000.tokens.npy``    [num_tokens] records (id, start, end), without padding or
                        special tokens; start and end are character offsets from the
                        first character of the window
``00000.windows.npy``   [num_windows] records (document, first_char, num_tokens)
``00000.text``          the documents in UTF-8, one after the other
``00000.json``          the documents' names and where their texts begin; written last,
                        so a shard that has this file is complete

A token takes 6 bytes (8 if the vocabulary exceeds 65,536), a window 10 bytes; the text
is stored uncompressed.
"""

import dataclasses
import pathlib
from collections.abc import Iterable

import msgspec
import numpy as np

from tfvis_jax import files, npy, schema
from tfvis_jax.data import corpus, cutting
from tfvis_jax.data import tokenizer as tokenizer_lib

# Documents of a shard and characters of a document fit 32 bits, tokens of a window 16.
_WINDOW = np.dtype([("document", "<u4"), ("first_char", "<u4"), ("num_tokens", "<u2")])


@dataclasses.dataclass(frozen=True)
class Size:
    """Number of documents, windows and tokens in a shard.

    Attributes:
      num_documents: documents.
      num_windows: windows.
      num_tokens: tokens, special ones and padding left out.
    """

    num_documents: schema.Count
    num_windows: schema.Count
    num_tokens: schema.Count


class Documents(msgspec.Struct):
    """The last file of a shard, with what it says of the others.

    Attributes:
      names: of the documents.
      byte_starts: [num_documents + 1] where their texts begin, and where the last ends.
    """

    num_documents: schema.Count
    num_windows: schema.Count
    num_tokens: schema.Count
    names: list[str]
    byte_starts: list[schema.Count]

    @property
    def size(self) -> Size:
        """The size of the shard."""
        return Size(self.num_documents, self.num_windows, self.num_tokens)


@dataclasses.dataclass(frozen=True)
class Paths:
    """The paths of the files of shard ``number`` in a folder."""

    folder: pathlib.Path
    number: int

    def _path(self, suffix: str) -> pathlib.Path:
        return self.folder / f"{self.number:05d}.{suffix}"

    @property
    def tokens(self) -> pathlib.Path:
        return self._path("tokens.npy")

    @property
    def windows(self) -> pathlib.Path:
        return self._path("windows.npy")

    @property
    def text(self) -> pathlib.Path:
        return self._path("text")

    @property
    def documents(self) -> pathlib.Path:
        return self._path("json")


def write(
    paths: Paths,
    documents: Iterable[corpus.Document],
    *,
    tokenizer: tokenizer_lib.Tokenizer,
    capacity: int,
) -> Size:
    """Tokenizes documents and writes a shard.

    Args:
      paths: where to write; the folder must exist.
      documents: the documents; those without a token are skipped.
      tokenizer: the tokenizer of the BERT.
      capacity: tokens in a full window, not counting special tokens.

    Raises:
      InputError: the disk is full.
    """
    token_type = token_dtype(tokenizer.vocab_size)
    tokens, windows = [np.empty(0, token_type)], [np.empty(0, _WINDOW)]
    names, byte_starts, texts = [], [0], []
    for document in documents:
        tokenized = tokenizer.encode(document.text)
        if not len(tokenized.ids):
            continue
        document_windows, document_tokens = _cut(
            tokenized, tokenizer=tokenizer, capacity=capacity, dtype=token_type
        )
        # Documents are numbered within their shard.
        document_windows["document"] = len(names)
        tokens.append(document_tokens)
        windows.append(document_windows)
        texts.append(document.text.encode())
        names.append(document.name)
        byte_starts.append(byte_starts[-1] + len(texts[-1]))
    all_tokens, all_windows = np.concatenate(tokens), np.concatenate(windows)
    for path, array in ((paths.tokens, all_tokens), (paths.windows, all_windows)):
        with files.write_atomically(path) as file:
            np.save(file, array)
    with files.write_atomically(paths.text) as file:
        file.writelines(texts)
    size = Size(len(names), len(all_windows), len(all_tokens))
    # Written last, to mark the shard as complete.
    files.write_json(
        paths.documents,
        dataclasses.asdict(size) | {"names": names, "byte_starts": byte_starts},
    )
    return size


def read_size(paths: Paths) -> Size | None:
    """Returns the size of a shard, or None if it is absent or incomplete."""
    if not paths.documents.is_file():
        return None
    return read_documents(paths).size


def read_documents(paths: Paths) -> Documents:
    """Reads the last file of a shard, and compares the text with it.

    Raises:
      InputError: one of the two is damaged or missing.
    """
    remedy = _remedy(paths)
    found = schema.read(paths.documents, Documents, remedy=remedy)
    starts = np.array(found.byte_starts)
    if (len(found.names), len(starts)) != (found.num_documents, len(found.names) + 1):
        raise schema.damaged(
            paths.documents,
            f"Expected {found.num_documents} `names`, and one more of `byte_starts`; "
            f"got {len(found.names)} and {len(starts)}",
            remedy=remedy,
        )
    if starts[0] != 0 or np.any(np.diff(starts) < 0):
        raise schema.damaged(
            paths.documents,
            "Expected `byte_starts` that begin with 0 and do not fall",
            remedy=remedy,
        )
    size = paths.text.stat().st_size if paths.text.is_file() else 0
    if size != starts[-1]:
        raise schema.damaged(
            paths.text, f"Expected {starts[-1]:,} bytes, got {size:,}", remedy=remedy
        )
    return found


def read_windows(paths: Paths, documents: Documents, *, capacity: int) -> np.ndarray:
    """Reads the records of a shard's windows.

    Args:
      paths: of the shard.
      documents: from `read_documents`.
      capacity: tokens in a full window, not counting special tokens.

    Returns:
      [num_windows] records (document, first_char, num_tokens).

    Raises:
      InputError: the file is damaged, or disagrees with the shard's other files.
    """
    remedy = _remedy(paths)
    table = npy.read_array(
        paths.windows, dtype=_WINDOW, shape=(documents.num_windows,), remedy=remedy
    )
    numbers, num_tokens = table["document"], table["num_tokens"]
    if len(table) and not (
        1 <= num_tokens.min() <= num_tokens.max() <= capacity
        and np.all(numbers[:-1] <= numbers[1:])
        and numbers[-1] < documents.num_documents
        and num_tokens.sum(dtype=np.int64) == documents.num_tokens
    ):
        raise schema.damaged(
            paths.windows,
            f"Expected windows of 1 to {capacity} tokens, {documents.num_tokens:,} "
            f"together, of documents 0 to {documents.num_documents - 1} in order",
            remedy=remedy,
        )
    return table


def open_tokens(paths: Paths, documents: Documents, *, vocab_size: int) -> np.ndarray:
    """Opens the records of a shard's tokens through a memory map.

    Only the header is read. `check_tokens` reads the rest.

    Raises:
      InputError: the file is damaged, or disagrees with the shard's other files.
    """
    return npy.read_array(
        paths.tokens,
        dtype=token_dtype(vocab_size),
        shape=(documents.num_tokens,),
        remedy=_remedy(paths),
        mapped=True,
    )


def check_tokens(paths: Paths, tokens: np.ndarray, *, vocab_size: int) -> None:
    """Refuses tokens that the vocabulary does not have; InputError names the file."""
    largest = int(tokens["id"].max(initial=0))
    if largest >= vocab_size:
        raise schema.damaged(
            paths.tokens,
            f"Expected token ids below {vocab_size:,}, got {largest:,}",
            remedy=_remedy(paths),
        )


def read_text(paths: Paths, documents: Documents, document: int) -> str:
    """Returns the text of a document of a shard; InputError if it is damaged."""
    first, last = documents.byte_starts[document : document + 2]
    with paths.text.open("rb") as file:
        file.seek(first)
        content = file.read(last - first)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise schema.damaged(
            paths.text,
            f"Expected UTF-8, got byte {content[error.start]:#04x} at offset "
            f"{first + error.start:,}",
            remedy=_remedy(paths),
        ) from error


def token_dtype(vocab_size: int) -> np.dtype:
    """Returns the record type of a token, with as small an id as the ids allow."""
    id_type = "<u2" if vocab_size <= 2**16 else "<u4"
    return np.dtype([("id", id_type), ("start", "<u2"), ("end", "<u2")])


def _remedy(paths: Paths) -> str:
    folder = paths.folder
    return f"Remove {folder}; `tfvis train {folder.parent}` writes it again."


def _cut(
    tokenized: tokenizer_lib.TokenizedText,
    *,
    tokenizer: tokenizer_lib.Tokenizer,
    capacity: int,
    dtype: np.dtype,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the records of a document's windows and those of its tokens."""
    starts_word = cutting.word_starts(
        tokenized, is_continuation=tokenizer.is_continuation
    )
    boundaries = cutting.window_boundaries(
        tokenized, starts_word=starts_word, capacity=capacity
    )
    windows = np.empty(len(boundaries) - 1, _WINDOW)
    windows["first_char"] = tokenized.starts[boundaries[:-1]]
    windows["num_tokens"] = np.diff(boundaries)
    first_char = np.repeat(windows["first_char"], windows["num_tokens"]).astype(
        np.int64
    )
    tokens = np.empty(len(tokenized.ids), dtype)
    tokens["id"] = tokenized.ids
    tokens["start"] = tokenized.starts - first_char
    # Only a single token of more than 65,535 characters exceeds the limit.
    tokens["end"] = np.minimum(tokenized.ends - first_char, cutting.MAX_WINDOW_CHARS)
    return windows, tokens

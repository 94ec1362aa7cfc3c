"""Writes shards: the windows of some consecutive documents, as five files.

``00000.tokens.npy``    [num_tokens] records (id, start, end), without padding or
                        special tokens; start and end are character offsets from the
                        first character of the window
``00000.windows.npy``   [num_windows] records (document, first_char, num_tokens)
``00000.text``          the documents in UTF-8, one after the other
``00000.copies.npy``    [num_documents] fingerprints, to find copies (`copies`)
``00000.json``          the documents' names and where their texts begin, and what was
                        left out; written last, so a shard that has it is complete

A token takes 6 bytes (8 if the vocabulary exceeds 65,536), a window 10 bytes, a
document 141 bytes; the text is stored uncompressed.
"""

import dataclasses
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tfvis_jax import files, schema
from tfvis_jax.data import copies, cutting, unknown_tokens
from tfvis_jax.data import notes as notes_lib
from tfvis_jax.data import tokenizer as tokenizer_lib

if TYPE_CHECKING:
    # What reads text parses wiki markup, and who reads shards need not load that.
    from tfvis_jax.data import corpus

# Documents of a shard and characters of a document fit 32 bits, tokens of a window 16.
WINDOW = np.dtype([("document", "<u4"), ("first_char", "<u4"), ("num_tokens", "<u2")])


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
    def copies(self) -> pathlib.Path:
        return self._path("copies.npy")

    @property
    def documents(self) -> pathlib.Path:
        return self._path("json")


def write(
    paths: Paths,
    documents: Iterable["corpus.Document"],
    *,
    tokenizer: tokenizer_lib.Tokenizer,
    capacity: int,
    max_document_tokens: int | None = None,
    max_unknown: float | None = None,
    notes: notes_lib.Notes | None = None,
) -> Size:
    """Tokenizes documents and writes a shard.

    Args:
      paths: where to write; the folder must exist.
      documents: the documents; those without a token are skipped.
      tokenizer: the tokenizer of the model.
      capacity: tokens in a full window, not counting special tokens.
      max_document_tokens: a document ends with the window that reaches this number,
        or with its first part; None for whole documents.
      max_unknown: documents with a larger share of unknown tokens are left out and
        noted.
      notes: what was left out so far; kept with the shard.

    Raises:
      InputError: the disk is full.
    """
    notes = notes or notes_lib.Notes()
    token_type = token_dtype(tokenizer.vocab_size)
    tokens, windows = [np.empty(0, token_type)], [np.empty(0, WINDOW)]
    names, texts, continues = [], [], []
    for document in documents:
        if document.continues and max_document_tokens is not None:
            continue
        tokenized = tokenizer.encode(document.text)
        if not len(tokenized.ids):
            continue
        if max_unknown is not None and (
            unknown_tokens.share(tokenized.ids, tokenizer) > max_unknown
        ):
            notes.add(unknown_tokens.left_out(max_unknown), place=document.name)
            continue
        document_windows, document_tokens = _cut(
            tokenized,
            capacity=capacity,
            max_tokens=max_document_tokens,
            dtype=token_type,
        )
        # Documents are numbered within their shard.
        document_windows["document"] = len(names)
        tokens.append(document_tokens)
        windows.append(document_windows)
        is_cut = len(document_tokens) < len(tokenized.ids)
        end = int(tokenized.ends[len(document_tokens) - 1]) if is_cut else None
        texts.append(document.text[:end])
        names.append(document.name)
        continues.append(document.continues)
    all_tokens, all_windows = np.concatenate(tokens), np.concatenate(windows)
    prints = copies.fingerprints(texts)
    prints["continues"] = continues
    for path, array in (
        (paths.tokens, all_tokens),
        (paths.windows, all_windows),
        (paths.copies, prints),
    ):
        with files.write_atomically(path) as file:
            np.save(file, array)
    byte_starts = [0]
    with files.write_atomically(paths.text) as file:
        for text in texts:
            byte_starts.append(byte_starts[-1] + file.write(text.encode()))
    size = Size(len(names), len(all_windows), len(all_tokens))
    # Written last, to mark the shard as complete.
    files.write_json(
        paths.documents,
        dataclasses.asdict(size)
        | {"names": names, "byte_starts": byte_starts, "notes": notes.as_json()},
    )
    return size


def token_dtype(vocab_size: int) -> np.dtype:
    """Returns the record type of a token, with as small an id as the ids allow."""
    id_type = "<u2" if vocab_size <= 2**16 else "<u4"
    return np.dtype([("id", id_type), ("start", "<u2"), ("end", "<u2")])


def _cut(
    tokenized: tokenizer_lib.TokenizedText,
    *,
    capacity: int,
    max_tokens: int | None,
    dtype: np.dtype,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the records of a document's windows and those of its tokens."""
    boundaries = cutting.window_boundaries(tokenized, capacity=capacity)
    if max_tokens is not None:
        boundaries = boundaries[: np.searchsorted(boundaries, max_tokens) + 1]
    n = boundaries[-1]
    windows = np.empty(len(boundaries) - 1, WINDOW)
    windows["first_char"] = tokenized.starts[boundaries[:-1]]
    windows["num_tokens"] = np.diff(boundaries)
    first_char = np.repeat(windows["first_char"], windows["num_tokens"]).astype(
        np.int64
    )
    tokens = np.empty(n, dtype)
    tokens["id"] = tokenized.ids[:n]
    tokens["start"] = tokenized.starts[:n] - first_char
    # Only a single token of more than 65,535 characters exceeds the limit.
    ends = tokenized.ends[:n] - first_char
    tokens["end"] = np.minimum(ends, cutting.MAX_WINDOW_CHARS)
    return windows, tokens

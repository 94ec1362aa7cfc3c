"""Reads token windows from disk through a memory map.

A window is a piece of one document: ``[CLS] tokens [SEP] padding`` or, without special
tokens, ``tokens padding``. Only the tokens of the text become rows that are encoded.
"""

import dataclasses
import functools
import pathlib
import re
from typing import Annotated, Any

import msgspec
import numpy as np

from tfvis_jax import npy, schema
from tfvis_jax.data import cutting, shards
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.errors import InputError

SCHEMA_VERSION = 1
_CACHED_DOCUMENTS = 128


class _Version(msgspec.Struct):
    schema_version: Any = None


class _Settings(msgspec.Struct):
    window_length: Annotated[int, msgspec.Meta(ge=3, le=2**16 + 1)]
    special_tokens: bool


class _Tokenizer(msgspec.Struct):
    vocab_size: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    pad_id: schema.Count
    cls_id: schema.Count
    sep_id: schema.Count


class Index(msgspec.Struct):
    """What is read of index.json; what it says beside it is for people."""

    settings: _Settings
    tokenizer: _Tokenizer
    num_windows: schema.Count
    num_tokens: schema.Count
    shards: Annotated[list[shards.Size], msgspec.Meta(min_length=1)]


@dataclasses.dataclass(frozen=True)
class WordInContext:
    """A word of a document and the text before and after it.

    Attributes:
      before: text before the word.
      word: the word as spelled in the document.
      after: text after the word.
    """

    before: str
    word: str
    after: str


@dataclasses.dataclass(frozen=True, eq=False)
class Words:
    """The words of a window; every punctuation mark is a word of its own.

    Attributes:
      texts: [n] the words as spelled in the document, without line breaks.
      is_spaced: [n] bool, True for words that follow white space; False for the first.
      of_position: [window_length] int64, the index of the word that each token belongs
        to; −1 for special tokens and padding.
    """

    texts: list[str]
    is_spaced: np.ndarray
    of_position: np.ndarray


def open(folder: pathlib.Path | str) -> "Windows":
    """Opens the windows that `build_windows.build` wrote.

    Raises:
      InputError: the folder holds no windows, is unfinished or damaged, or was written
        by another version.
    """
    folder = pathlib.Path(folder)
    if not (folder / "index.json").is_file():
        if (folder / "settings.json").is_file():
            raise InputError(
                f"{folder} is unfinished because tokenizing the corpus was "
                f"interrupted; `tfvis train {folder.parent}` resumes it."
            )
        raise InputError(
            f"{folder} holds no token windows (no index.json); `tfvis train "
            f"{folder.parent}` writes them."
        )
    return Windows(folder)


def read_index(folder: pathlib.Path) -> tuple[Index, dict[str, Any]]:
    """Reads index.json of the windows in a folder.

    Returns:
      What the windows are made of; all that the file holds.

    Raises:
      InputError: it is damaged, or was written by another version.
    """
    path, remedy = folder / "index.json", _remedy(folder)
    version = schema.read(path, _Version, remedy=remedy).schema_version
    if version != SCHEMA_VERSION:
        raise InputError(
            f"Expected version {SCHEMA_VERSION} of the window files in {folder}, got "
            f"{schema.short(version)}; build the windows again with this version."
        )
    index, plain = schema.read_plain(path, Index, remedy=remedy)
    special = index.tokenizer
    if max(special.pad_id, special.cls_id, special.sep_id) >= special.vocab_size:
        raise schema.damaged(
            path,
            f"Expected special tokens with ids below `vocab_size`, "
            f"{special.vocab_size}; got {special.pad_id}, {special.cls_id} and "
            f"{special.sep_id}",
            remedy=remedy,
        )
    counted = sum(size.num_windows for size in index.shards)
    if counted != index.num_windows:
        raise schema.damaged(
            path,
            f"Expected {index.num_windows} windows in its shards, got {counted}",
            remedy=remedy,
        )
    return index, plain


class Windows:
    """All windows of a corpus, in the order of its text.

    Every method takes window indices from 0 to ``len(windows) - 1``.

    Attributes:
      folder: where they are stored.
      index: the contents of index.json.
      window_length: tokens in a window, counting special tokens and padding.
      special_tokens: True if windows begin with [CLS] and end with [SEP].
      vocab_size: one more than the highest token id.
      pad_id: token id of the padding.
      lengths: [num_windows] int64, tokens in each, counting special tokens but not
        padding.
      train, held_out: [n] int64 window indices, increasing.
      token_counts: [vocab_size] int64, occurrences in the training windows, not
        counting special tokens.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Opens a folder that has an index. See `open`.

        Raises:
          InputError: a file is damaged, or disagrees with the others.
        """
        self.folder, remedy = folder, _remedy(folder)
        found, self.index = read_index(folder)
        self.window_length = found.settings.window_length
        self.special_tokens = found.settings.special_tokens
        self.vocab_size = found.tokenizer.vocab_size
        self.pad_id = found.tokenizer.pad_id
        self._ids = found.tokenizer
        # Special tokens before the text of a window, and as many after it.
        self._offset = int(self.special_tokens)
        self._first_window = np.cumsum([0, *(s.num_windows for s in found.shards)])
        self._shards = [shards.Paths(folder, i) for i in range(len(found.shards))]
        self._documents = [shards.read_documents(paths) for paths in self._shards]
        self._maps = [
            shards.open_tokens(paths, documents, vocab_size=self.vocab_size)
            for paths, documents in zip(self._shards, self._documents, strict=True)
        ]
        tables = [
            # With ``max_tokens`` the last shard holds more windows than the corpus.
            _cut(
                shards.read_windows(
                    paths, documents, capacity=self.window_length - 2 * self._offset
                ),
                size,
                folder=folder,
            )
            for paths, documents, size in zip(
                self._shards, self._documents, found.shards, strict=True
            )
        ]
        self._table = np.concatenate(tables)
        num_tokens = self._table["num_tokens"].astype(np.int64)
        self.lengths = num_tokens + 2 * self._offset
        # Index of each window's first token within its shard.
        self._first_token = np.concatenate(
            [
                np.cumsum(t["num_tokens"], dtype=np.int64) - t["num_tokens"]
                for t in tables
            ]
        )
        held_out, self.token_counts, self._is_continuation = (
            npy.read_array(
                folder / f"{name}.npy", dtype=dtype, shape=(size,), remedy=remedy
            )
            for name, dtype, size in (
                ("held_out", bool, found.num_windows),
                ("token_counts", np.int64, self.vocab_size),
                ("is_continuation", bool, self.vocab_size),
            )
        )
        if self.token_counts.min() < 0:
            raise schema.damaged(
                folder / "token_counts.npy",
                f"Expected counts of at least 0, got {self.token_counts.min()}",
                remedy=remedy,
            )
        self.train, self.held_out = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        # Cached per instance: a cached method would keep the instance alive.
        self._tokens = functools.lru_cache(maxsize=None)(self._checked_tokens)
        self._text = functools.lru_cache(maxsize=_CACHED_DOCUMENTS)(self._read_text)

    def __len__(self) -> int:
        return int(self._first_window[-1])

    def token_ids(self, rows: np.ndarray) -> np.ndarray:
        """Returns the token ids of n windows, [n, window_length] int32."""
        rows = self._checked(rows)
        ids = np.full((len(rows), self.window_length), self.pad_id, np.int32)
        shard_of = self._shard_of(rows)
        positions = np.arange(self.window_length - 2 * self._offset)
        inner = ids[:, self._offset : self._offset + len(positions)]
        for number in np.unique(shard_of):
            chosen = np.flatnonzero(shard_of == number)
            tokens = self._tokens(int(number))
            places = self._first_token[rows[chosen], None] + positions
            real = positions < self._table["num_tokens"][rows[chosen], None]
            # Places beyond the window are read, and then replaced by padding.
            found = tokens["id"][np.minimum(places, len(tokens) - 1)]
            inner[chosen] = np.where(real, found, self.pad_id)
        if self.special_tokens:
            ids[:, 0] = self._ids.cls_id
            ids[np.arange(len(rows)), self.lengths[rows] - 1] = self._ids.sep_id
        return ids

    def token_mask(self, rows: np.ndarray) -> np.ndarray:
        """Returns [n, window_length] bool, False for padding."""
        lengths = self.lengths[self._checked(rows), None]
        return np.arange(self.window_length) < lengths

    def row_mask(self, rows: np.ndarray) -> np.ndarray:
        """Returns [n, window_length] bool, True for the tokens that are encoded."""
        positions = np.arange(self.window_length)
        last = self.lengths[self._checked(rows), None] - self._offset
        return (positions >= self._offset) & (positions < last)

    def num_rows(self, rows: np.ndarray) -> np.ndarray:
        """Returns [n] int64, the number of tokens of each window that are encoded."""
        return self.lengths[self._checked(rows)] - 2 * self._offset

    def document(self, window: int) -> int:
        """Returns the index of a window's document, from 0 in the order of reading."""
        window = self._checked_window(window)
        shard = self._shard_of_window(window)
        before = sum(s["num_documents"] for s in self.index["shards"][:shard])
        return before + int(self._table["document"][window])

    def document_name(self, window: int) -> str:
        """Returns the title of a window's document, or its file name and number."""
        window = self._checked_window(window)
        documents = self._documents[self._shard_of_window(window)]
        return documents.names[self._table["document"][window]]

    def token_texts(self, window: int) -> list[str]:
        """Returns the text of each position as spelled in the document.

        It is empty for special tokens and padding.
        """
        text, tokenized = self._window(window)
        found = [
            text[start:end]
            for start, end in zip(tokenized.starts, tokenized.ends, strict=True)
        ]
        blank = [""] * self._offset
        found = [*blank, *found, *blank]
        return found + [""] * (self.window_length - len(found))

    def spaced_texts(self, window: int) -> list[str]:
        """Returns the text of each position with the white space before it.

        Joined, the texts are the window's text without its line breaks. They are empty
        for special tokens and padding.
        """
        text, tokenized = self._window(window)
        # Each text begins where the previous token ends.
        begins = [*tokenized.starts[:1], *tokenized.ends[:-1]]
        found = [
            _on_one_line(text[begin:end])
            for begin, end in zip(begins, tokenized.ends, strict=True)
        ]
        blank = [""] * self._offset
        found = [*blank, *found, *blank]
        return found + [""] * (self.window_length - len(found))

    def words(self, window: int) -> Words:
        """Returns the words of a window."""
        text, tokenized = self._window(window)
        first = self._first_tokens(tokenized)
        starts, ends = _word_ends(tokenized, first)
        is_spaced = np.zeros(len(first), bool)
        is_spaced[1:] = starts[1:] > ends[:-1]
        begins_word = np.zeros(len(tokenized.ids), np.int64)
        begins_word[first] = 1
        of_position = np.full(self.window_length, -1, np.int64)
        inner = slice(self._offset, self._offset + len(tokenized.ids))
        of_position[inner] = np.cumsum(begins_word) - 1
        return Words(
            texts=[_on_one_line(text[a:b]) for a, b in zip(starts, ends, strict=True)],
            is_spaced=is_spaced,
            of_position=of_position,
        )

    def context(
        self, window: int, position: int, *, before: int = 10, after: int = 10
    ) -> WordInContext:
        """Returns the word that a token belongs to, with the words around it.

        The text keeps the document's spaces and case; only white space that includes a
        line end becomes a single space. Nothing outside the window is shown.

        Args:
          window: index of the window.
          position: position of the token in the window; [CLS], if any, is at 0.
          before: number of words to show before, counting punctuation marks.
          after: number of words to show after, counted likewise.

        Raises:
          InputError: the position holds a special token or padding.
        """
        text, tokenized = self._window(window)
        token = position - self._offset
        if not 0 <= token < len(tokenized.ids):
            raise InputError(
                f"Expected a position from {self._offset} to "
                f"{self._offset + len(tokenized.ids) - 1} in window {window}, got "
                f"{position}, which holds no text."
            )
        first = self._first_tokens(tokenized)
        starts, ends = _word_ends(tokenized, first)
        word = int(np.searchsorted(first, token, side="right")) - 1
        left = starts[max(word - before, 0)]
        right = ends[min(word + after, len(ends) - 1)]
        return WordInContext(
            _on_one_line(text[left : starts[word]]),
            _on_one_line(text[starts[word] : ends[word]]),
            _on_one_line(text[ends[word] : right]),
        )

    def _first_tokens(self, tokenized: tokenizer_lib.TokenizedText) -> np.ndarray:
        """Returns the index of each word's first token, [n_words]."""
        starts = cutting.word_starts(tokenized, is_continuation=self._is_continuation)
        # The rest of a word that was cut counts as a word of its own window.
        starts[:1] = True
        return np.flatnonzero(starts)

    def _window(self, window: int) -> tuple[str, tokenizer_lib.TokenizedText]:
        """Returns the text of a window's document, and the window's tokens in it."""
        window = self._checked_window(window)
        shard = self._shard_of_window(window)
        record = self._table[window]
        first = int(self._first_token[window])
        tokens = self._tokens(shard)[first : first + int(record["num_tokens"])]
        first_char = int(record["first_char"])
        text = self._text(shard, int(record["document"]))
        starts = tokens["start"].astype(np.int64) + first_char
        ends = tokens["end"].astype(np.int64) + first_char
        if np.any(starts > ends) or ends.max() > len(text):
            raise schema.damaged(
                self._shards[shard].tokens,
                f"Expected tokens within the {len(text):,} characters of a document, "
                f"got some from {starts.min():,} to {ends.max():,}",
                remedy=_remedy(self.folder),
            )
        ids = tokens["id"].astype(np.int32)
        return text, tokenizer_lib.TokenizedText(ids, starts, ends)

    def _checked_window(self, window: int) -> int:
        self._checked(np.asarray(window))
        return int(window)

    def _checked(self, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise InputError(
                f"Expected window indices from 0 to {len(self) - 1}, got "
                f"{rows.min()} to {rows.max()}; check them against `len(windows)`."
            )
        return rows

    def _shard_of(self, rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._first_window, rows, side="right") - 1

    def _shard_of_window(self, window: int) -> int:
        return int(self._shard_of(np.asarray(window)))

    def _checked_tokens(self, shard: int) -> np.ndarray:
        # Read whole, so only once it is used; a shard is a few MB.
        tokens = self._maps[shard]
        shards.check_tokens(self._shards[shard], tokens, vocab_size=self.vocab_size)
        return tokens

    def _read_text(self, shard: int, document: int) -> str:
        return shards.read_text(self._shards[shard], self._documents[shard], document)


def _remedy(folder: pathlib.Path) -> str:
    return f"Remove {folder}; `tfvis train {folder.parent}` writes it again."


def _cut(table: np.ndarray, size: shards.Size, *, folder: pathlib.Path) -> np.ndarray:
    """Returns the windows of a shard that belong to the corpus."""
    if len(table) < size.num_windows:
        raise schema.damaged(
            folder / "index.json",
            f"Expected at most {len(table)} windows of a shard, got {size.num_windows}",
            remedy=_remedy(folder),
        )
    return table[: size.num_windows]


def _word_ends(
    tokenized: tokenizer_lib.TokenizedText, first: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the offsets at which words begin and before which they end, [n_words]."""
    last = np.append(first[1:], len(tokenized.ids)) - 1
    return tokenized.starts[first], tokenized.ends[last]


def _on_one_line(text: str) -> str:
    return re.sub(r"\s*[\n\r]\s*", " ", text)

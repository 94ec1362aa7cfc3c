"""Token windows on disk, read by memory map.

A window is a piece of one document: ``[CLS] tokens [SEP] padding`` or, without special
tokens, ``tokens padding``. Its rows, the tokens that are encoded, are the real ones.
"""

import dataclasses
import functools
import pathlib
import re
from typing import Any

import numpy as np

from tfvis_jax import errors, files
from tfvis_jax.data import cutting, shards
from tfvis_jax.data import tokenizer as tokenizer_lib

SCHEMA_VERSION = 1
_CACHED_DOCUMENTS = 128


@dataclasses.dataclass(frozen=True)
class Context:
    """A word of a document and what stands round it; joined they are its text."""

    before: str
    word: str
    after: str


@dataclasses.dataclass(frozen=True, eq=False)
class Words:
    """The words of a window; punctuation marks are words of their own.

    Attributes:
      texts: [n] as the document spells them, without line breaks.
      is_spaced: [n] bool, whether white space stands before the word; false for the
        first.
      of_position: [window_length] int64, the word of each token; −1 where no text is.
    """

    texts: list[str]
    is_spaced: np.ndarray
    of_position: np.ndarray


def open(folder: pathlib.Path | str) -> "Windows":
    """Opens the windows that `build_windows.build` wrote.

    Raises:
      InputError: nothing there, not finished, or of another version.
    """
    folder = pathlib.Path(folder)
    if not (folder / "index.json").is_file():
        if (folder / "settings.json").is_file():
            raise errors.InputError(
                f"{folder} is unfinished: tokenising the corpus was interrupted. "
                f"`tfvis train {folder.parent}` resumes it."
            )
        raise errors.InputError(
            f"{folder} holds no token windows (no index.json); `tfvis train "
            f"{folder.parent}` makes them."
        )
    index = files.read_json(folder / "index.json")
    if index.get("schema_version") != SCHEMA_VERSION:
        raise errors.InputError(
            f"{folder} has version {index.get('schema_version')} of the window files, "
            f"expected {SCHEMA_VERSION}. Build it again with this version."
        )
    try:
        windows = Windows(folder, index)
        windows.check_files()
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise errors.InputError(
            f"The token windows in {folder} are damaged ({error}). Remove that folder; "
            f"`tfvis train {folder.parent}` makes them anew."
        ) from error
    return windows


class Windows:
    """All windows of a corpus, numbered from 0 in the order of its text.

    Every method takes window numbers from 0 to ``len - 1``.

    Attributes:
      folder: where they lie.
      index: the contents of index.json.
      window_length: tokens of a window with special ones and padding.
      special_tokens: whether windows begin with [CLS] and end with [SEP].
      vocab_size: one more than the highest token id.
      pad_id: id of the padding.
      lengths: [num_windows] int64, tokens of each with special ones.
      train, held_out: [n] int64 window numbers, increasing.
      token_counts: [vocab_size] int64, occurrences in the training windows, special
        tokens not counted.
    """

    def __init__(self, folder: pathlib.Path, index: dict[str, Any]):
        """Use `open`, which checks the folder."""
        self.folder, self.index = folder, index
        self.window_length: int = index["settings"]["window_length"]
        self.special_tokens: bool = index["settings"]["special_tokens"]
        self.vocab_size: int = index["tokenizer"]["vocab_size"]
        self.pad_id: int = index["tokenizer"]["pad_id"]
        self._ids = index["tokenizer"]
        self._offset = int(self.special_tokens)
        counts = [shard["num_windows"] for shard in index["shards"]]
        self._first_window = np.cumsum([0, *counts])
        self._shards = [shards.Paths(folder, i) for i in range(len(counts))]
        tables = [
            np.load(paths.windows)[:count]
            for paths, count in zip(self._shards, counts, strict=True)
        ]
        self._table = np.concatenate(tables)
        num_tokens = self._table["num_tokens"].astype(np.int64)
        self.lengths = num_tokens + 2 * self._offset
        self._first_token = np.concatenate(
            [
                np.cumsum(t["num_tokens"], dtype=np.int64) - t["num_tokens"]
                for t in tables
            ]
        )
        held_out = np.load(folder / "held_out.npy")
        self.train, self.held_out = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        self.token_counts: np.ndarray = np.load(folder / "token_counts.npy")
        self._is_continuation = np.load(folder / "is_continuation.npy")
        self._tokens = functools.lru_cache(maxsize=None)(self._map_tokens)
        self._documents = functools.lru_cache(maxsize=None)(self._read_documents)
        self._text = functools.lru_cache(maxsize=_CACHED_DOCUMENTS)(self._read_text)

    def __len__(self) -> int:
        return int(self._first_window[-1])

    def check_files(self) -> None:
        """Raises ValueError or OSError when a shard's file is cut short."""
        for number, paths in enumerate(self._shards):
            self._tokens(number)
            expected = self._documents(number)["byte_starts"][-1]
            if paths.text.stat().st_size != expected:
                raise ValueError(f"{paths.text.name} has not {expected} bytes")

    def token_ids(self, rows: np.ndarray) -> np.ndarray:
        """Returns [n, window_length] int32 ids of windows [n], padded with [PAD]."""
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
            found = tokens["id"][np.minimum(places, len(tokens) - 1)]
            inner[chosen] = np.where(real, found, self.pad_id)
        if self.special_tokens:
            ids[:, 0] = self._ids["cls_id"]
            ids[np.arange(len(rows)), self.lengths[rows] - 1] = self._ids["sep_id"]
        return ids

    def token_mask(self, rows: np.ndarray) -> np.ndarray:
        """Returns [n, window_length] bool: true but for padding."""
        lengths = self.lengths[self._checked(rows), None]
        return np.arange(self.window_length) < lengths

    def row_mask(self, rows: np.ndarray) -> np.ndarray:
        """Returns [n, window_length] bool: true for the tokens that are encoded."""
        positions = np.arange(self.window_length)
        last = self.lengths[self._checked(rows), None] - self._offset
        return (positions >= self._offset) & (positions < last)

    def num_rows(self, rows: np.ndarray) -> np.ndarray:
        """Returns [n] int64: how many tokens of each window are encoded."""
        return self.lengths[self._checked(rows)] - 2 * self._offset

    def document(self, window: int) -> int:
        """Returns the number of a window's document, from 0 in the order of reading."""
        window = self._checked(window)
        shard = int(self._shard_of(window))
        before = sum(s["num_documents"] for s in self.index["shards"][:shard])
        return before + int(self._table["document"][window])

    def document_name(self, window: int) -> str:
        """Returns the title of a window's document, or its file and number."""
        window = self._checked(window)
        documents = self._documents(int(self._shard_of(window)))
        return documents["names"][self._table["document"][window]]

    def token_texts(self, window: int) -> list[str]:
        """Returns the text of each position as its document spells it.

        It is empty for special tokens and padding.
        """
        text, encoding = self._window(window)
        found = [
            text[start:end]
            for start, end in zip(encoding.starts, encoding.ends, strict=True)
        ]
        blank = [""] * self._offset
        found = [*blank, *found, *blank]
        return found + [""] * (self.window_length - len(found))

    def spaced_texts(self, window: int) -> list[str]:
        """Returns the text of each position with the white space before it.

        Joined they are the text of the window, without its line breaks; empty for
        special tokens and padding.
        """
        text, encoding = self._window(window)
        begins = [*encoding.starts[:1], *encoding.ends[:-1]]
        found = [
            _on_one_line(text[begin:end])
            for begin, end in zip(begins, encoding.ends, strict=True)
        ]
        blank = [""] * self._offset
        found = [*blank, *found, *blank]
        return found + [""] * (self.window_length - len(found))

    def words(self, window: int) -> Words:
        """Returns the words of a window."""
        text, encoding = self._window(window)
        first = self._first_tokens(encoding)
        starts, ends = _word_ends(encoding, first)
        is_spaced = np.zeros(len(first), bool)
        is_spaced[1:] = starts[1:] > ends[:-1]
        begins_word = np.zeros(len(encoding.ids), np.int64)
        begins_word[first] = 1
        of_position = np.full(self.window_length, -1, np.int64)
        inner = slice(self._offset, self._offset + len(encoding.ids))
        of_position[inner] = np.cumsum(begins_word) - 1
        return Words(
            texts=[_on_one_line(text[a:b]) for a, b in zip(starts, ends, strict=True)],
            is_spaced=is_spaced,
            of_position=of_position,
        )

    def context(
        self, window: int, position: int, *, before: int = 10, after: int = 10
    ) -> Context:
        """Returns the word that a token belongs to, with the words round it.

        The text is the document's own, spaces and case included; only white space with
        a line end in it becomes one space. Nothing outside the window is shown.

        Args:
          window: its number.
          position: place of the token in the window; [CLS] is at 0 where there is one.
          before: whole words, punctuation marks counted, shown before.
          after: the same, after.

        Raises:
          InputError: the position holds a special token or padding.
        """
        text, encoding = self._window(window)
        token = position - self._offset
        if not 0 <= token < len(encoding.ids):
            raise errors.InputError(
                f"Position {position} of window {window} holds no text; expected "
                f"{self._offset} to {self._offset + len(encoding.ids) - 1}."
            )
        first = self._first_tokens(encoding)
        starts, ends = _word_ends(encoding, first)
        word = int(np.searchsorted(first, token, side="right")) - 1
        left = starts[max(word - before, 0)]
        right = ends[min(word + after, len(ends) - 1)]
        return Context(
            _on_one_line(text[left : starts[word]]),
            _on_one_line(text[starts[word] : ends[word]]),
            _on_one_line(text[ends[word] : right]),
        )

    def _first_tokens(self, encoding: tokenizer_lib.Encoding) -> np.ndarray:
        """Returns the first token of each word, [n_words]."""
        starts = cutting.word_starts(encoding, is_continuation=self._is_continuation)
        # A word that was cut begins anew in its second window.
        starts[:1] = True
        return np.flatnonzero(starts)

    def _window(self, window: int) -> tuple[str, tokenizer_lib.Encoding]:
        """Returns the text of a window's document, and its tokens' places there."""
        window = int(self._checked(window))
        shard = int(self._shard_of(window))
        record = self._table[window]
        first = int(self._first_token[window])
        tokens = self._tokens(shard)[first : first + int(record["num_tokens"])]
        first_char = int(record["first_char"])
        return self._text(shard, int(record["document"])), tokenizer_lib.Encoding(
            tokens["id"].astype(np.int32),
            tokens["start"].astype(np.int64) + first_char,
            tokens["end"].astype(np.int64) + first_char,
        )

    def _checked(self, rows: np.ndarray | int) -> np.ndarray:
        rows = np.asarray(rows)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise errors.InputError(
                f"Expected window numbers from 0 to {len(self) - 1}, got "
                f"{rows.min()} to {rows.max()}."
            )
        return rows

    def _shard_of(self, rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._first_window, rows, side="right") - 1

    def _map_tokens(self, shard: int) -> np.ndarray:
        # A plain array on the same map: indexing a memmap object is far slower.
        return np.asarray(np.load(self._shards[shard].tokens, mmap_mode="r"))

    def _read_documents(self, shard: int) -> dict[str, Any]:
        return files.read_json(self._shards[shard].documents)

    def _read_text(self, shard: int, document: int) -> str:
        starts = self._documents(shard)["byte_starts"]
        first, last = starts[document : document + 2]
        with self._shards[shard].text.open("rb") as file:
            file.seek(first)
            return file.read(last - first).decode()


def _word_ends(
    encoding: tokenizer_lib.Encoding, first: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the characters that words begin at and end before, both [n_words]."""
    last = np.append(first[1:], len(encoding.ids)) - 1
    return encoding.starts[first], encoding.ends[last]


def _on_one_line(text: str) -> str:
    return re.sub(r"\s*[\n\r]\s*", " ", text)

"""Reads token windows from disk through a memory map.

A window is a piece of one document: ``[CLS] tokens [SEP] padding``, with the special
tokens that the tokenizer's template has, or ``tokens padding``. Only the tokens of the
text become rows that are encoded.
"""

import dataclasses
import functools
import itertools
import pathlib
import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfvis_jax import schema
from tfvis_jax.data import (
    characters,
    copies,
    shard_reading,
    shards,
    split,
    windows_files,
)
from tfvis_jax.data import tokenizer as tokenizer_lib
from tfvis_jax.data import words as words_lib
from tfvis_jax.errors import InputError, command_line

# Held-out tokens that metrics are measured on. Of 39,000 in 20 documents, they give FVU
# with a standard error of 0.6 %; which documents are held out adds 0.7 to 1.2 %.
_MEASURED_TOKENS = 8192
_BETWEEN_PARTS = "\n\n"
_CACHED_DOCUMENTS = 128
# Whoever asks for the words of a window asks for its texts as well.
_CACHED_WINDOWS = 8
# Their words take 20 MB. A page asks for those of a window in four places.
_CACHED_WORDS = 4096


@dataclasses.dataclass(frozen=True)
class WordInContext:
    """A word of a document and the text before and after it.

    The text is composed (NFC): all spellings of it are shown in one way.

    Attributes:
      before: text before the word.
      word: the word.
      after: text after the word.
    """

    before: str
    word: str
    after: str


@dataclasses.dataclass(frozen=True, eq=False)
class Words:
    """The words of a window; every punctuation mark is a word of its own.

    In scripts without spaces, such as Thai, every token is a word.

    Attributes:
      texts: [n] the words in the document's case, composed (NFC), without line breaks.
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
                f"interrupted; `{command_line('train', folder.parent)}` resumes it."
            )
        raise InputError(
            f"{folder} holds no token windows (no index.json); "
            f"`{command_line('train', folder.parent)}` writes them."
        )
    return Windows(folder)


class Windows:
    """All windows of a corpus, in the order of its text.

    Every method takes window indices from 0 to ``len(windows) - 1``. Copies of an
    earlier document have none.

    Attributes:
      folder: where they are stored.
      index: the contents of index.json.
      window_length: tokens in a window, counting special tokens and padding.
      special_tokens: True if windows have special tokens, where the tokenizer has any.
      prefix, suffix: token ids at the begin and the end of each window, such as those
        of [CLS] and [SEP]; none without special tokens.
      vocab_size: one more than the highest token id.
      pad_id: token id of the padding.
      lengths: [num_windows] int64, tokens in each, counting special tokens but not
        padding.
      train, held_out: [n] int64 window indices, increasing. Windows next to a held-out
        section of a document are in neither.
      measured: [n] int64, those of `held_out` that metrics are measured on: all of
        them, or about 8,000 tokens, evenly spaced in all their documents.
      documents: [num_windows] int64, the index of each window's document, from 0 in the
        order of reading.
      token_counts: [vocab_size] int64, occurrences in the training windows, not
        counting special tokens.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Opens a folder that has an index. See `open`.

        Raises:
          InputError: a file is damaged, or disagrees with the others.
        """
        self.folder = folder
        index, self.index = windows_files.read_index(folder)
        self.window_length = index.settings.window_length
        self.special_tokens = index.settings.special_tokens
        self.vocab_size = index.tokenizer.vocab_size
        self.pad_id = index.tokenizer.pad_id
        special = index.tokenizer if self.special_tokens else None
        self.prefix = tuple(special.prefix) if special else ()
        self.suffix = tuple(special.suffix) if special else ()
        self._offset = len(self.prefix)
        self._capacity = self.window_length - windows_files.num_special(index)
        counts = [size.num_windows for size in index.shards]
        self._shards = [
            shard_reading.Shard(
                shards.Paths(folder, number),
                capacity=self._capacity,
                vocab_size=self.vocab_size,
            )
            for number in range(len(counts))
        ]
        tables = [
            # With ``max_tokens`` the last shard holds more windows than the corpus.
            _cut(shard.windows, size, folder=folder)
            for shard, size in zip(self._shards, index.shards, strict=True)
        ]
        sides = windows_files.read_sides(folder, index)
        is_used = sides != split.Side.COPY
        sides = sides[is_used]
        shard_of = np.repeat(np.arange(len(counts)), counts)[is_used]
        self._first_window = np.searchsorted(shard_of, np.arange(len(counts) + 1))
        self._table = np.concatenate(tables)[is_used]
        num_tokens = self._table["num_tokens"].astype(np.int64)
        self.lengths = num_tokens + windows_files.num_special(index)
        # Index of each window's first token within its shard.
        self._first_token = np.concatenate(
            [
                np.cumsum(t["num_tokens"], dtype=np.int64) - t["num_tokens"]
                for t in tables
            ]
        )[is_used]
        self.documents = self._number_documents(index, shard_of)
        self.train = np.flatnonzero(sides == split.Side.TRAIN)
        self.held_out = np.flatnonzero(sides == split.Side.HELD_OUT)
        self.measured = self._sample(self.held_out, num_tokens=_MEASURED_TOKENS)
        self.token_counts = windows_files.read_token_counts(folder, index)
        self._is_continuation = windows_files.read_is_continuation(folder, index)
        # Cached per instance: a cached method would keep the instance alive.
        self._text = functools.lru_cache(maxsize=_CACHED_DOCUMENTS)(self._read_text)
        self._tokenized = functools.lru_cache(maxsize=_CACHED_WINDOWS)(self._locate)
        self._words = functools.lru_cache(maxsize=_CACHED_WORDS)(self._read_words)

    def __reduce__(self) -> tuple[Any, ...]:
        """Makes another process open the files again: nothing read is copied."""
        return Windows, (self.folder,)

    def __len__(self) -> int:
        return int(self._first_window[-1])

    def token_ids(self, rows: np.ndarray) -> np.ndarray:
        """Returns the token ids of n windows, [n, window_length] int32."""
        rows = self._checked(rows)
        ids = np.full((len(rows), self.window_length), self.pad_id, np.int32)
        shard_of = self._shard_of(rows)
        positions = np.arange(self._capacity)
        inner = ids[:, self._offset : self._offset + len(positions)]
        for number in np.unique(shard_of):
            chosen = np.flatnonzero(shard_of == number)
            tokens = self._shards[int(number)].tokens
            places = self._first_token[rows[chosen], None] + positions
            real = positions < self._table["num_tokens"][rows[chosen], None]
            # Places beyond the window are read, and then replaced by padding.
            found = tokens["id"][np.minimum(places, len(tokens) - 1)]
            inner[chosen] = np.where(real, found, self.pad_id)
        ids[:, : self._offset] = self.prefix
        for place, token in enumerate(reversed(self.suffix), start=1):
            ids[np.arange(len(rows)), self.lengths[rows] - place] = token
        return ids

    def unpadded_ids(self, window: int) -> np.ndarray:
        """Returns the token ids of one window, [its length] int32."""
        _, tokenized = self._window(window)
        return np.array([*self.prefix, *tokenized.ids, *self.suffix], np.int32)

    def token_mask(self, rows: np.ndarray) -> np.ndarray:
        """Returns [n, window_length] bool, False for padding."""
        lengths = self.lengths[self._checked(rows), None]
        return np.arange(self.window_length) < lengths

    def row_mask(self, rows: np.ndarray) -> np.ndarray:
        """Returns [n, window_length] bool, True for the tokens that are encoded."""
        positions = np.arange(self.window_length)
        last = self.lengths[self._checked(rows), None] - len(self.suffix)
        return (positions >= self._offset) & (positions < last)

    def num_rows(self, rows: np.ndarray) -> np.ndarray:
        """Returns [n] int64, the number of tokens of each window that are encoded."""
        special = len(self.prefix) + len(self.suffix)
        return self.lengths[self._checked(rows)] - special

    def document(self, window: int) -> int:
        """Returns the index of a window's document; see `documents`."""
        return int(self.documents[self._checked_window(window)])

    def documents_of(self, rows: np.ndarray) -> np.ndarray:
        """Returns the indices of the documents of n windows, [n] int64."""
        return self.documents[self._checked(rows)]

    def document_name(self, window: int) -> str:
        """Returns the title of a window's document, or its file name and number."""
        window = self._checked_window(window)
        shard = self._shards[self._shard_of_window(window)]
        return shard.documents.names[self._table["document"][window]]

    def document_texts(self) -> Iterator[tuple[str, str]]:
        """Yields the name and the text of each document of `documents`.

        The parts in which a long document is stored are joined by an empty line.
        """
        _, first = np.unique(self._part_of, return_index=True)
        parts = itertools.groupby(first.tolist(), key=lambda w: self.documents[w])
        for _, windows in parts:
            found = list(windows)
            texts = [self._text_of(window) for window in found]
            yield self.document_name(found[0]), _BETWEEN_PARTS.join(texts)

    def spans(self, window: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns where each position begins and ends in its document's text.

        The text is that of `document_texts`.

        Returns:
          Two arrays [window_length] int64 of character offsets; −1 for special tokens
          and padding.
        """
        _, tokenized = self._window(window)
        inner = slice(self._offset, self._offset + len(tokenized.ids))
        found = np.full((2, self.window_length), -1, np.int64)
        found[:, inner] = tokenized.starts, tokenized.ends
        found[:, inner] += self._part_starts[self._part_of[window]]
        return found[0], found[1]

    def token_texts(self, window: int) -> list[str]:
        """Returns the text of each position in the document's case, composed (NFC).

        Tokens of the same character, such as those of a Hangul syllable, have the same
        text. White space is shown by signs (`words.shown`). It is empty for special
        tokens and padding.
        """
        text, tokenized = self._window(window)
        found = [
            _shown(text[start:end])
            for start, end in zip(tokenized.starts, tokenized.ends, strict=True)
        ]
        found = [*[""] * self._offset, *found]
        return found + [""] * (self.window_length - len(found))

    def spaced_texts(self, window: int) -> list[str]:
        """Returns the text of each position with the white space before it.

        Joined, the texts are the window's text as spelled in the document, without its
        line breaks, but for those that are tokens ("↵"). Of tokens of the same
        character, the first has it. The texts are empty for special tokens and padding.
        """
        text, tokenized = self._window(window)
        found = words_lib.spaced(text, tokenized.starts, tokenized.ends)
        found = [*[""] * self._offset, *found]
        return found + [""] * (self.window_length - len(found))

    def words(self, window: int) -> Words:
        """Returns the words of a window; they are shared, and not to be changed."""
        return self._words(int(window))

    def _read_words(self, window: int) -> Words:
        text, tokenized = self._window(window)
        _, starts, ends = _words(tokenized)
        return Words(
            texts=[
                words_lib.shown(text[a:b]) for a, b in zip(starts, ends, strict=True)
            ],
            is_spaced=words_lib.follow_space(text, starts, ends),
            of_position=self.word_of_position(window),
        )

    def word_of_position(self, window: int) -> np.ndarray:
        """Returns the index of the word of each token, as `Words.of_position`."""
        _, tokenized = self._window(window)
        found = np.full(self.window_length, -1, np.int64)
        inner = slice(self._offset, self._offset + len(tokenized.ids))
        found[inner] = np.cumsum(tokenized.starts_word) - 1
        return found

    def context(
        self, window: int, position: int, *, before: int = 10, after: int = 10
    ) -> WordInContext:
        """Returns the word that a token belongs to, with the words around it.

        The text keeps the document's spaces and case, but is composed (NFC), and white
        space that includes a line end becomes a single space. Nothing outside the
        window is shown.

        Args:
          window: index of the window.
          position: position of the token in the window; special tokens count.
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
        first, starts, ends = _words(tokenized)
        word = int(np.searchsorted(first, token, side="right")) - 1
        left = starts[max(word - before, 0)]
        right = ends[min(word + after, len(ends) - 1)]
        return WordInContext(
            words_lib.composed(text[left : starts[word]]),
            words_lib.shown(text[starts[word] : ends[word]]),
            words_lib.composed(text[ends[word] : right]),
        )

    def _window(self, window: int) -> tuple[str, tokenizer_lib.TokenizedText]:
        """Returns the text of a window's document, and the window's tokens in it."""
        return self._tokenized(self._checked_window(window))

    def _locate(self, window: int) -> tuple[str, tokenizer_lib.TokenizedText]:
        number = self._shard_of_window(window)
        record, shard = self._table[window], self._shards[number]
        first = int(self._first_token[window])
        tokens = shard.tokens[first : first + int(record["num_tokens"])]
        text = self._text(number, int(record["document"]))
        begin = int(record["first_char"])
        size = len(text) - begin
        if np.any(tokens["start"] > tokens["end"]) or tokens["end"].max() > size:
            raise shard.damaged_tokens(
                f"Expected the tokens of window {window} in {size:,} characters, got "
                f"some up to {tokens['end'].max():,}"
            )
        # Windows of older versions end before the accents of their last character.
        end = characters.cluster_end(text, begin + int(tokens["end"].max(initial=0)))
        ids = tokens["id"].astype(np.int32)
        marked = self._is_continuation
        starts, ends, starts_word = words_lib.locate(
            text[begin:end],
            tokens["start"].astype(np.int64),
            tokens["end"].astype(np.int64),
            # The rest of a word that was cut counts as a word of its own window.
            continues=None if marked is None else marked[ids],
        )
        return text, tokenizer_lib.TokenizedText(
            ids, starts + begin, ends + begin, starts_word
        )

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

    @functools.cached_property
    def _part_of(self) -> np.ndarray:
        """The number of the stored text of each window; a long document has several."""
        shard = self._shard_of(np.arange(len(self)))
        changes = np.diff(shard).astype(bool) | (np.diff(self._table["document"]) != 0)
        return np.append(0, np.cumsum(changes))[: len(self)]

    @functools.cached_property
    def _part_starts(self) -> np.ndarray:
        """The place in its document's text at which each stored text begins."""
        _, first = np.unique(self._part_of, return_index=True)
        document = self.documents[first]
        starts = np.zeros(len(first), np.int64)
        for part in np.flatnonzero(document[1:] == document[:-1]) + 1:
            before = len(self._text_of(first[part - 1])) + len(_BETWEEN_PARTS)
            starts[part] = starts[part - 1] + before
        return starts

    def _text_of(self, window: int) -> str:
        """Returns the stored text that a window is cut from."""
        return self._read_text(
            self._shard_of_window(window), int(self._table["document"][window])
        )

    def _number_documents(
        self, index: windows_files.Index, shard_of: np.ndarray
    ) -> np.ndarray:
        """Returns the document of each window, parts of a long one taken together."""
        sizes = [size.num_documents for size in index.shards]
        continues = np.zeros(sum(sizes), bool)
        continues[index.continuing_documents] = True
        part = self._table["document"] + np.cumsum([0, *sizes])[shard_of]
        first = copies.first_parts(continues)[part]
        # Those that have no window are not counted.
        return np.append(0, np.cumsum(np.diff(first) > 0))[: len(first)]

    def _sample(self, rows: np.ndarray, *, num_tokens: int) -> np.ndarray:
        """Returns about as many of the rows as have ``num_tokens`` tokens, or all."""
        share = num_tokens / max(int(self.num_rows(rows).sum()), 1)
        if share >= 1:
            return rows
        _, first, of, size = np.unique(
            self.documents[rows],
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        if len(size) > share * len(rows):
            # Not every document can have one: evenly spaced in all of the text.
            first, of, size = np.zeros(1, int), np.zeros(len(rows), int), [len(rows)]
        size = np.asarray(size)
        number = np.ceil(share * size).astype(np.int64)[of]
        size, place = size[of], np.arange(len(rows)) - first[of]
        # The window in which the count of chosen ones rises, from 0 to ``number``.
        before, after = ((p * number + size // 2) // size for p in (place, place + 1))
        return rows[after > before]

    def _shard_of(self, rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._first_window, rows, side="right") - 1

    def _shard_of_window(self, window: int) -> int:
        return int(self._shard_of(np.asarray(window)))

    def _read_text(self, shard: int, document: int) -> str:
        return self._shards[shard].text(document)


def _cut(table: np.ndarray, size: shards.Size, *, folder: pathlib.Path) -> np.ndarray:
    """Returns the windows of a shard that belong to the corpus."""
    kept = table[: size.num_windows]
    # Every document of a shard has a window.
    num_documents = int(kept["document"][-1]) + 1 if len(kept) else 0
    if (len(kept), num_documents) != (size.num_windows, size.num_documents):
        raise schema.damaged(
            folder / "index.json",
            f"Expected a shard of {len(kept)} windows of {num_documents} documents, "
            f"got {size.num_windows} of {size.num_documents}",
            remedy=windows_files.remedy(folder),
        )
    return kept


def _shown(token: str) -> str:
    """Returns the text of a token; it keeps line ends that are part of a word."""
    if token and not token.isspace():
        return unicodedata.normalize("NFC", token)
    return words_lib.shown(token)


def _words(
    tokenized: tokenizer_lib.TokenizedText,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns each word's first token, its first character and its end, [n_words]."""
    first = np.flatnonzero(tokenized.starts_word)
    last = np.append(first[1:], len(tokenized.ids)) - 1
    return first, tokenized.starts[first], tokenized.ends[last]

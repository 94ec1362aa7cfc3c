"""Which token of which text each row of codes belongs to."""

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from tfvis_jax.data import windows as windows_lib

# Strings of any length: one long word must not widen all others.
STRING = np.dtypes.StringDType()


@dataclasses.dataclass(frozen=True, eq=False)
class TokenTable:
    """One entry for each row of codes; the columns are arrays of the same length.

    Attributes:
      document: [n] int32, number of the document, from 0.
      window: [n] int32, number of the window that the model read.
      position: [n] int32, position in the window; [CLS], if any, is at 0.
      token_id: [n] int32.
      start, end: [n] int64, the token's characters in the document's text.
      word: [n] str, the word that the token belongs to, as spelled in the document.
      word_start, word_end: [n] int64, the word's characters in the document's text.
    """

    document: np.ndarray
    window: np.ndarray
    position: np.ndarray
    token_id: np.ndarray
    start: np.ndarray
    end: np.ndarray
    word: np.ndarray
    word_start: np.ndarray
    word_end: np.ndarray

    def __len__(self) -> int:
        return len(self.document)

    def take(self, rows: np.ndarray | slice) -> "TokenTable":
        """Returns the entries of some rows, by number or as a mask."""
        return TokenTable(*(getattr(self, name)[rows] for name in COLUMNS))

    def is_any_of(self, words: Collection[str]) -> np.ndarray:
        """Returns [n] bool, True where the word is one of these, in any case."""
        wanted = {word.lower() for word in words}
        return np.array([word.lower() in wanted for word in self.word], bool)

    def __repr__(self) -> str:
        return f"TokenTable({len(self):,} tokens)"


COLUMNS = tuple(field.name for field in dataclasses.fields(TokenTable))
# Of the columns.
TYPES: dict[str, Any] = dict.fromkeys(COLUMNS, np.int32) | {
    "start": np.int64,
    "end": np.int64,
    "word": STRING,
    "word_start": np.int64,
    "word_end": np.int64,
}


def of_windows(windows: windows_lib.Windows, chosen: Iterable[int]) -> TokenTable:
    """Returns the tokens of windows in reading order, without special ones.

    Args:
      windows: the text.
      chosen: numbers of the windows.
    """
    return joined([_of_window(windows, int(window)) for window in chosen])


def joined(tables: Sequence[TokenTable]) -> TokenTable:
    """Returns the entries of several tables, one after the other."""
    return TokenTable(
        *(
            np.concatenate(
                [np.zeros(0, TYPES[name]), *(getattr(t, name) for t in tables)]
            )
            for name in COLUMNS
        )
    )


def _of_window(windows: windows_lib.Windows, window: int) -> TokenTable:
    words = windows.words(window)
    position = np.flatnonzero(words.of_position >= 0)
    start, end = (offsets[position] for offsets in windows.spans(window))
    word = words.of_position[position]
    # The words of a window are numbered without gaps, in order.
    first = np.searchsorted(word, word, side="left")
    last = np.searchsorted(word, word, side="right") - 1
    columns: dict[str, Any] = {
        "document": np.full(len(position), windows.document(window)),
        "window": np.full(len(position), window),
        "position": position,
        "token_id": windows.token_ids(np.array([window]))[0, position],
        "start": start,
        "end": end,
        "word": np.array(words.texts, STRING)[word],
        "word_start": start[first],
        "word_end": end[last],
    }
    return TokenTable(**{n: c.astype(TYPES[n]) for n, c in columns.items()})

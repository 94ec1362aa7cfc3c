"""The words of a corpus by window and position, read when first needed."""

import collections
from collections.abc import Iterator, Sequence

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.data import words as words_lib
from tfvis_jax.description import word_counts


class WordTable:
    """The words of a corpus by window and position, read when first needed.

    Words are numbered by their folded spelling. A token takes about ten bytes.

    Attributes:
      order: the windows in the order in which they were read, which numbers follow.
      folded: the folded words, by number.
      spellings: every spelling as the corpus has it, by its own number.
    """

    def __init__(
        self,
        windows: windows_lib.Windows,
        counts: word_counts.WordCounts | None = None,
    ):
        """Initialises an empty table.

        Args:
          windows: token windows of the run.
          counts: n-gram counts of the corpus; `shares` needs them.
        """
        self._windows, self._counts = windows, counts
        self._is_read = np.zeros(len(windows), bool)
        self._spelling_at = np.full((len(windows), windows.window_length), -1, np.int32)
        self._sequence: dict[int, np.ndarray] = {}
        self._of_position: dict[int, np.ndarray] = {}
        self._numbers: dict[str, int] = {}
        self._spelling_numbers: dict[str, int] = {}
        self._frequency: list[collections.Counter[str]] = []
        self._word_of_list: list[int] = []
        self._word_of = np.zeros(0, np.int32)
        self._share = np.zeros(0)
        self.order: list[int] = []
        self.folded: list[str] = []
        self.spellings: list[str] = []

    @property
    def is_whole(self) -> bool:
        """Whether every window has been read."""
        return len(self.order) == len(self._is_read)

    def numbers(self, window: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Returns the number of the word at each of m tokens, [m] int32."""
        spelling = self.spelling_numbers(window, position)
        return np.where(spelling >= 0, self.words_of(spelling), -1)

    def spelling_numbers(self, window: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Returns the number of the spelling at each of m tokens; −1 for no word."""
        if not self.is_whole:
            self.read(window)
        return self._spelling_at[window, position]

    def read(self, window: np.ndarray) -> None:
        """Reads those of m windows that have not been, in ascending order."""
        for each in np.unique(window[~self._is_read[window]]).tolist():
            self._read(each)

    def read_in_order(self, windows: Sequence[int]) -> None:
        """Reads windows that have not been, in the order given."""
        for window in windows:
            self._read(window)

    def words_of(self, spellings: np.ndarray) -> np.ndarray:
        """Returns the number of the word of each spelling, by its number."""
        # Only what is new: to copy a list takes long, and each window brings words.
        if new := self._word_of_list[len(self._word_of) :]:
            self._word_of = np.append(self._word_of, np.array(new, np.int32))
        if not len(self._word_of):
            return np.full(len(spellings), -1, np.int32)
        return self._word_of[spellings]

    def shares(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the share of each word among all words of the corpus, [k]."""
        assert self._counts is not None
        if new := [(word,) for word in self.folded[len(self._share) :]]:
            total = max(self._counts.totals[0], 1)
            self._share = np.append(self._share, self._counts.count(new) / total)
        return self._share[numbers]

    def number(self, folded: str) -> int | None:
        """Returns the number of a folded word; None if it has not been read."""
        return self._numbers.get(folded)

    def spelling(self, number: int) -> str:
        """Returns the most frequent spelling of a word in the windows read so far."""
        counts = self._frequency[number]
        return min(counts, key=lambda word: (-counts[word], word))

    def ngrams(self, window: int, position: int) -> Iterator[tuple[int, ...]]:
        """Yields the pairs and triples of words that hold the word at a position."""
        if window not in self._sequence:
            self._read(window)
        words = self._sequence[window]
        place = int(self._of_position[window][position])
        for n in (2, 3):
            for first in range(max(place - n + 1, 0), min(place, len(words) - n) + 1):
                yield tuple(words[first : first + n].tolist())

    def _read(self, window: int) -> None:
        self.order.append(window)
        words = self._windows.words(window)
        spelled = np.array([self._add(word) for word in words.texts], np.int32)
        self._is_read[window] = True
        self._sequence[window] = self.words_of(spelled)
        self._of_position[window] = words.of_position.astype(np.int16)
        inside = words.of_position >= 0
        self._spelling_at[window, inside] = spelled[words.of_position[inside]]

    def _add(self, word: str) -> int:
        """Counts a word; returns the number of its spelling."""
        spelling = self._spelling_numbers.setdefault(word, len(self.spellings))
        if spelling == len(self.spellings):
            self.spellings.append(word)
            folded = words_lib.fold(word)
            number = self._numbers.setdefault(folded, len(self.folded))
            if number == len(self.folded):
                self.folded.append(folded)
                self._frequency.append(collections.Counter())
            self._word_of_list.append(number)
        self._frequency[self._word_of_list[spelling]][word] += 1
        return spelling

"""Count words, word pairs and word triples of a corpus.

Words are those of the windows, without regard to case and composition. Pairs and
triples lie within one window, since the next window is another text.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.data import words as words_lib

# Longest n-grams that are counted.
LONGEST = 3
# Of a larger corpus, a random sample of windows with about this many words is counted.
MAX_WORDS = 2_000_000


@dataclasses.dataclass(frozen=True, eq=False)
class WordCounts:
    """Counts of the n-grams of a corpus, n = 1, 2, 3.

    Attributes:
      numbers: number of every word.
      keys: for each n, [distinct] int64, ascending: the keys of the distinct n-grams,
        which combine the place of the first n − 1 words and the number of the last.
      counts: for each n, [distinct] int64, how often each occurs.
      totals: for each n, the number of n-grams in the corpus.
    """

    numbers: dict[str, int]
    keys: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]
    totals: tuple[int, ...]

    def of_words(self) -> "WordCounts":
        """Returns the counts of the words alone, which take the least memory."""
        return WordCounts(self.numbers, self.keys[:1], self.counts[:1], self.totals[:1])

    def count(self, ngrams: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Returns how often each n-gram occurs in the corpus, [len(ngrams)] int64.

        Args:
          ngrams: n-grams of folded words (see `words.fold`), all of the same length.
        """
        numbers = np.array(
            [[self.numbers.get(word, -1) for word in ngram] for ngram in ngrams],
            np.int64,
        ).reshape(len(ngrams), -1)
        known = np.all(numbers >= 0, axis=1)
        place = np.zeros(len(ngrams), np.int64)
        for n, word in enumerate(numbers.T):
            key = _key(place, word, n_words=len(self.numbers))
            place = _place(self.keys[n], key)
            known &= self.keys[n][place] == key
        return np.where(known, self.counts[numbers.shape[1] - 1][place], 0)


def of_windows(
    windows: windows_lib.Windows, *, max_words: int = MAX_WORDS, seed: int = 0
) -> WordCounts:
    """Counts the n-grams of a corpus, or of a random sample of its windows.

    Args:
      windows: token windows of the run.
      max_words: approximate number of tokens to read; a smaller corpus is read whole.
      seed: random seed of the sample.
    """
    chosen = np.arange(len(windows))
    n_tokens = int(windows.num_rows(chosen).sum())
    if n_tokens > max_words:
        n_chosen = max(int(len(chosen) * max_words / n_tokens), 1)
        rng = np.random.default_rng(seed)
        # Sorted, so that each document is read once.
        chosen = np.sort(rng.choice(chosen, n_chosen, replace=False))
    return of_texts([windows.words(int(window)).texts for window in chosen])


def of_texts(texts: Sequence[Sequence[str]]) -> WordCounts:
    """Counts the n-grams of texts, each given as a sequence of words."""
    numbers: dict[str, int] = {}
    words = [
        numbers.setdefault(words_lib.fold(word), len(numbers))
        for text in texts
        for word in text
    ]
    word = np.array(words, np.int64)
    text_of = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    keys, counts, totals = [], [], []
    place = np.zeros(len(word), np.int64)
    for n in range(1, LONGEST + 1):
        n_starts = max(len(word) - n + 1, 0)
        key = _key(place[:n_starts], word[n - 1 :], n_words=len(numbers))
        inside = text_of[n - 1 :] == text_of[:n_starts]
        distinct, count = np.unique(key[inside], return_counts=True)
        # If no text is that long, a single key that no n-gram has.
        keys.append(distinct if len(distinct) else np.array([-1]))
        counts.append(count if len(count) else np.array([0]))
        totals.append(int(inside.sum()))
        place = _place(keys[-1], key)
    return WordCounts(numbers, tuple(keys), tuple(counts), tuple(totals))


def _key(place: np.ndarray, word: np.ndarray, *, n_words: int) -> np.ndarray:
    """Returns keys of n-grams from the place of the first n − 1 words and the last."""
    return place * n_words + word


def _place(keys: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Returns the index of each key, or an index of another key if it is absent."""
    return np.minimum(np.searchsorted(keys, key), len(keys) - 1)

"""Find the words and phrases that fire each factor, how strongly and how exclusively.

The mass of a word is the sum of α over its tokens that fire the factor. It is exact for
the stored top-activating examples. The tokens below them are represented by the random
sample.
"""

import collections
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.data import words as words_lib
from tfvis_jax.description import word_counts
from tfvis_jax.examples import stored

# A phrase holds the word that fires the factor, and occurs among this many of its
# top-activating examples.
_PHRASE_EXAMPLES = 50
# It occurs in at least this many windows; fewer may be chance or copies.
_PHRASE_WINDOWS = 3


class WordTable:
    """The words of a corpus by window and position, read when first needed.

    Words are numbered by their folded spelling. A token takes about ten bytes.

    Attributes:
      folded: the folded words, by number.
    """

    def __init__(self, windows: windows_lib.Windows, counts: word_counts.WordCounts):
        """Initialises an empty table of the words of ``windows``, counted before."""
        self._windows, self._counts = windows, counts
        self._is_read = np.zeros(len(windows), bool)
        self._number = np.full((len(windows), windows.window_length), -1, np.int32)
        self._sequence: dict[int, np.ndarray] = {}
        self._of_position: dict[int, np.ndarray] = {}
        self._numbers: dict[str, int] = {}
        self._spellings: list[collections.Counter[str]] = []
        self._share: list[float] = []
        self.folded: list[str] = []

    def numbers(self, window: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Returns the number of the word at each of m tokens, [m] int32."""
        for each in np.unique(window[~self._is_read[window]]).tolist():
            self._read(each)
        return self._number[window, position]

    def shares(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the share of each word among all words of the corpus, [k]."""
        return np.array([self._share[number] for number in numbers.tolist()])

    def spelling(self, number: int) -> str:
        """Returns the most frequent spelling of a word in the windows read so far."""
        counts = self._spellings[number]
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
        words = self._windows.words(window)
        sequence = np.array([self._add(word) for word in words.texts], np.int32)
        new = [(word,) for word in self.folded[len(self._share) :]]
        if new:
            total = max(self._counts.totals[0], 1)
            self._share.extend((self._counts.count(new) / total).tolist())
        self._is_read[window] = True
        self._sequence[window] = sequence
        self._of_position[window] = words.of_position.astype(np.int16)
        inside = words.of_position >= 0
        self._number[window, inside] = sequence[words.of_position[inside]]

    def _add(self, word: str) -> int:
        folded = words_lib.fold(word)
        number = self._numbers.setdefault(folded, len(self.folded))
        if number == len(self.folded):
            self.folded.append(folded)
            self._spellings.append(collections.Counter())
        self._spellings[number][word] += 1
        return number


class Mass(NamedTuple):
    """Words that fire a factor at a layer.

    Attributes:
      word: [k] int32, their numbers in the `WordTable`.
      firings: [k] float64, estimated number of firing tokens of each.
      mass: [k] float64, estimated sum of α over them.
    """

    word: np.ndarray
    firings: np.ndarray
    mass: np.ndarray


def of_layer(
    found: stored.Examples, table: WordTable, *, index: int, factor: int
) -> Mass:
    """Returns the words that fire a factor at a layer, with their mass.

    Args:
      found: examples of the run.
      table: words of the corpus.
      index: index into the layers of the examples.
      factor: index of the factor.
    """
    at = (index, factor)
    top = np.asarray(found.activation[at])
    n_top, firing = np.count_nonzero(top), int(found.firing[at])
    sample = np.asarray(found.random_activation[at])
    # All stronger tokens are in the list, so that only weaker ones are estimated.
    below = (sample > 0) & (sample < top[n_top - 1]) if n_top else sample > 0
    if firing <= n_top:
        below = np.zeros_like(below)
    parts = [
        (top[:n_top], found.window[at][:n_top], found.position[at][:n_top], 1.0),
        (
            sample[below],
            found.random_window[at][below],
            found.random_position[at][below],
            (firing - n_top) / max(int(below.sum()), 1),
        ),
    ]
    activation = np.concatenate([a for a, _, _, _ in parts]).astype(np.float64)
    weight = np.concatenate([np.full(len(a), scale) for a, _, _, scale in parts])
    numbers = table.numbers(
        np.concatenate([window for _, window, _, _ in parts]),
        np.concatenate([position for _, _, position, _ in parts]),
    )
    word, place = np.unique(numbers, return_inverse=True)
    return Mass(
        word,
        np.bincount(place, weight, minlength=len(word)),
        np.bincount(place, weight * activation, minlength=len(word)),
    )


def strongest(
    layers: Sequence[Mass], table: WordTable, *, n_tokens: int, limit: int
) -> list[tuple[str, float]]:
    """Returns the words that fire a factor most strongly and most exclusively.

    The weight of a word is the product of its share of the factor's α and of the mean α
    over all its occurrences in the corpus, at the layer where this is largest. A word
    that fires many factors weakly has a small weight in each.

    Args:
      layers: the words that fire the factor at each layer, from `of_layer`.
      table: words of the corpus.
      n_tokens: number of tokens of the corpus.
      limit: maximum number of words.

    Returns:
      Pairs of word and weight, largest weight first.
    """
    weights: dict[int, float] = {}
    for words in layers:
        if not len(words.word):
            continue
        share = words.mass / words.mass.sum()
        occurrences = table.shares(words.word) * n_tokens
        # A sample of a large corpus may hold fewer of a word than fire the factor.
        mean = words.mass / np.maximum(occurrences, words.firings)
        for number, weight in zip(
            words.word.tolist(), (share * mean).tolist(), strict=True
        ):
            if weight > weights.get(number, 0.0):
                weights[number] = weight
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    return [(table.spelling(number), weight) for number, weight in ranked[:limit]]


def phrases(
    found: stored.Examples, table: WordTable, *, index: int, factor: int, limit: int
) -> list[tuple[str, float]]:
    """Returns the pairs and triples of words around a factor's strongest tokens.

    Args:
      found: examples of the run.
      table: words of the corpus.
      index: index into the layers of the examples.
      factor: index of the factor.
      limit: maximum number of phrases.

    Returns:
      Pairs of phrase, folded, and share of the windows that hold it; largest share
      first.
    """
    windows: dict[tuple[int, ...], set[int]] = collections.defaultdict(set)
    at = (index, factor)
    n = min(np.count_nonzero(found.activation[at]), _PHRASE_EXAMPLES)
    references = zip(
        found.window[at][:n].tolist(), found.position[at][:n].tolist(), strict=True
    )
    seen = set()
    for window, position in references:
        seen.add(window)
        for ngram in table.ngrams(window, position):
            windows[ngram].add(window)
    often = [
        (" ".join(table.folded[n] for n in ngram), len(holding) / len(seen))
        for ngram, holding in windows.items()
        if len(holding) >= _PHRASE_WINDOWS
    ]
    return sorted(often, key=lambda item: (-item[1], item[0]))[:limit]

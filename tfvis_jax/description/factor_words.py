"""The words of each factor: one list for the page, the command line and notebooks.

Words are whole words as the corpus spells them. A document that repeats a word must not
decide the list, so each document counts a word once. The weight of a word is

    Σ over documents of the largest α² of the word in the document,

over the 400 strongest stored tokens. α² is what the factor contributes to ‖x‖², so
that many weak firings on a common word do not outweigh a few strong ones. A document is
a window in a corpus of few documents (see `terms`).

The words of a factor are those of its peak layer, where its importance is largest.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.data import words as words_lib
from tfvis_jax.description import terms, word_table
from tfvis_jax.examples import stored

if TYPE_CHECKING:
    from tfvis_jax.examples import results as results_lib

# Words that name a factor where there is room for a few.
NAMED = 2
# Tokens that are read. In a large corpus, most of them are of different windows.
_STRONGEST = 400
# A word of less weight, relative to the first one, says nothing of the factor.
_LEAST = 0.02


class FactorWord(NamedTuple):
    """A word that fires a factor.

    Attributes:
      text: the word in its most frequent spelling.
      documents: number of documents in which it is among the factor's strongest tokens.
      weight: sum over them of the largest α².
    """

    text: str
    documents: int
    weight: float


class FactorWords:
    """Reads the words of factors from the examples of a run.

    Attributes:
      table: the words of the corpus.
    """

    def __init__(
        self,
        results: "results_lib.Results",
        table: word_table.WordTable | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
          results: results of the run.
          table: words of the corpus; made if None.
        """
        self._results = results
        windows = results.windows
        self.table = word_table.WordTable(windows) if table is None else table
        self._document_of = document_of(windows)
        self._peaks = np.argmax(results.importance(), axis=0)
        # A sentence asks for the same names at many tokens and layers.
        self._names: dict[int, str] = {}

    def of(self, factor: int, *, n: int) -> list[FactorWord]:
        """Returns at most n words of a factor, largest weight first.

        Args:
          factor: index of the factor.
          n: maximum number of words.
        """
        return self.at(int(self._peaks[factor]), factor, n=n)

    def at(
        self, index: int, factor: int, *, n: int, without: Collection[int] = ()
    ) -> list[FactorWord]:
        """Returns at most n words of a factor at a layer, largest weight first.

        Args:
          index: index into the layers of the examples.
          factor: index of the factor.
          n: maximum number of words.
          without: windows whose tokens do not count.
        """
        return of_layer(
            self._results.examples,
            self.table,
            self._document_of,
            index=index,
            factor=factor,
            n=n,
            without=without,
        )

    def name(self, factor: int) -> str:
        """Returns the first two words of a factor; "" if it never fires."""
        if factor not in self._names:
            words = self.of(factor, n=NAMED)
            self._names[factor] = words_lib.listed(word.text for word in words)
        return self._names[factor]


def of_layer(
    found: stored.Examples,
    table: word_table.WordTable,
    document_of: np.ndarray,
    *,
    index: int,
    factor: int,
    n: int,
    without: Collection[int] = (),
) -> list[FactorWord]:
    """Returns at most n words of a factor at a layer, largest weight first.

    Args:
      found: examples of the run.
      table: words of the corpus.
      document_of: [n_windows] the document of each window.
      index: index into the layers of the examples.
      factor: index of the factor.
      n: maximum number of words.
      without: windows whose tokens do not count.
    """
    top = strongest(found, index=index, factor=factor)
    window, position = np.asarray(top.window), np.asarray(top.position)
    spelling = table.spelling_numbers(window, position)
    is_word = spelling >= 0
    if without:
        is_word &= ~np.isin(window, list(without))
    if not is_word.any():
        return []
    spelling, document = spelling[is_word], document_of[window[is_word]]
    energy = np.asarray(top.activation, np.float64)[is_word] ** 2
    pair = table.words_of(spelling).astype(np.int64) * len(document_of) + document
    # Strongest first, so that the first token of a pair has its largest α.
    pair, first = np.unique(pair, return_index=True)
    numbers, of_pair = np.unique(pair // len(document_of), return_inverse=True)
    weight = np.bincount(of_pair, energy[first])
    documents = np.bincount(of_pair)
    least = _LEAST * weight.max()
    if len(weight) > n > 0:
        # Of equal ones, the words decide: no more than these are compared.
        least = max(least, np.partition(weight, -n)[-n])
    kept = np.flatnonzero(weight >= least).tolist()
    best = sorted(kept, key=lambda i: (-weight[i], table.folded[numbers[i]]))[:n]
    spelt = _spellings(table, numbers[best], spelling)
    return [
        FactorWord(text, int(documents[i]), float(weight[i]))
        for i, text in zip(best, spelt, strict=True)
    ]


def strongest(found: stored.Examples, *, index: int, factor: int) -> stored.Places:
    """Returns the tokens that the words of a factor at a layer are read from."""
    return found.top(index, factor, stop=_STRONGEST)


def _spellings(
    table: word_table.WordTable, words: np.ndarray, spellings: np.ndarray
) -> list[str]:
    """Returns the most frequent spelling of each word among a factor's tokens.

    Other windows do not count, so that a list does not depend on what was read before.
    """
    is_wanted = np.zeros(len(table.folded), bool)
    is_wanted[words] = True
    spellings = spellings[is_wanted[table.words_of(spellings)]]
    distinct, count = np.unique(spellings, return_counts=True)
    by_word: dict[int, list[tuple[int, str]]] = {}
    for number, word, n in zip(
        distinct.tolist(), table.words_of(distinct).tolist(), count, strict=True
    ):
        text = " ".join(words_lib.composed(table.spellings[number]).split())
        by_word.setdefault(word, []).append((-int(n), text))
    return [min(by_word[word])[1] for word in words.tolist()]


def document_of(windows: windows_lib.Windows) -> np.ndarray:
    """Returns the document of each window, or the window in a corpus of few."""
    if not terms.by_document(windows):
        return np.arange(len(windows))
    return np.asarray(windows.documents, np.int64)

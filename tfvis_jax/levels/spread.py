"""How a factor's weight spreads over documents, words and their neighbours.

Everything is measured on firings that stand for equal weights Σα (`firings.draw`), so
weak firings count for what they are. Likeness is the probability that two of them have
the same word, given that they are in different documents: what one article repeats is
no evidence of a pattern.
"""

import collections
import dataclasses
import functools

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.data import words as words_lib
from tfvis_jax.examples import stored
from tfvis_jax.levels import firings as firings_lib

# Firings that are looked at.
_DRAWS = 200
# Strongest firings whose words, and whose documents, are looked at.
_TIP = 30
_TIP_DOCUMENTS = 200
# Documents that may have most of the strongest firings of a topic.
FEW_DOCUMENTS = 3
# Places at which neighbours are compared.
_OFFSETS = (-2, -1, 1, 2)
_CENTRE = len(_OFFSETS) // 2
_NONE = -1


@dataclasses.dataclass(frozen=True)
class Spread:
    """How one factor's weight is spread at one layer.

    Attributes:
      documents: documents with a firing among those that are stored.
      tip_few: share of the strongest firings in the `FEW_DOCUMENTS` documents that have
        most of them.
      position: how far from even the weight is over the places of a window, 0 to 1: the
        Kolmogorov–Smirnov distance. A word has no place of its own.
      same_word: probability that two firings in different documents have one word;
        0 if there is only one document.
      tip_word: the same among the strongest firings alone.
      same_neighbour: the same of the words at one place beside them, whichever place
        of the two before and behind gives the most.
      word: the word with most of the weight.
      word_share: its share of the weight.
      frequency: median frequency in the corpus of the tokens that fire it.
      evenness: mean α of the weight, Σα² / Σα, divided by the largest α.
      any_token: mean α of any token of the corpus, divided by the mean α of the weight:
        what is to be expected without knowing anything of a token.
    """

    documents: int
    tip_few: float
    position: float
    same_word: float
    tip_word: float
    same_neighbour: float
    word: str
    word_share: float
    frequency: float
    evenness: float
    any_token: float


class Reader:
    """Reads how factors spread; words are looked up once for all of them."""

    def __init__(self, windows: windows_lib.Windows, examples: stored.Examples):
        """Initialises the reader of a run's examples."""
        self._windows, self._examples = windows, examples
        self._numbers: dict[str, int] = {}
        self._words = functools.lru_cache(maxsize=65536)(self._read)
        self._frequency = windows.token_counts / max(windows.token_counts.sum(), 1)

    def spread(self, index: int, factor: int) -> Spread | None:
        """Returns the spread of a factor at a layer; None where it never fires.

        Args:
          index: index into the layers of the examples.
          factor: index of the factor.
        """
        drawn = firings_lib.draw(self._examples, index, factor, n=_DRAWS)
        if not len(drawn.activation):
            return None
        top = self._examples.top(index, factor)
        others = self._examples.drawn(index, factor)
        document = self._windows.documents[drawn.window]
        stored_in = self._windows.documents[np.append(top.window, others.window)]
        strongest = self._windows.documents[top.window[:_TIP_DOCUMENTS]]
        around = self._around(drawn.window, drawn.position)
        centre = around[:, _CENTRE]
        beside = np.delete(around, _CENTRE, axis=1)
        place = np.unique(centre, return_inverse=True)[1]
        of_form = np.bincount(place)
        best = int(np.argmax(of_form))
        text = collections.Counter(
            self._word(int(drawn.window[i]), int(drawn.position[i])).casefold()
            for i in np.flatnonzero(place == best).tolist()
        ).most_common(1)[0][0]
        return Spread(
            documents=len(np.unique(stored_in)),
            tip_few=share_in_few(strongest),
            position=unevenness(self._places(drawn)),
            same_word=agreement(centre, document),
            tip_word=agreement(*self._tip(top)),
            same_neighbour=max(agreement(row, document) for row in beside.T),
            word=text,
            word_share=float(of_form[best] / len(document)),
            frequency=float(np.median(self._frequency[self._token_ids(drawn)])),
            evenness=evenness(drawn.activation, largest=top.activation[0]),
            any_token=self._any_token(index, factor, others)
            / float(drawn.activation.mean()),
        )

    def _places(self, drawn: firings_lib.Firings) -> np.ndarray:
        """Returns where in the texts of their windows the firings are, 0 to 1."""
        first = int(self._windows.special_tokens)
        n_text = self._windows.lengths[drawn.window] - 2 * first
        return (drawn.position - first + 0.5) / n_text

    def _any_token(self, index: int, factor: int, others: stored.Places) -> float:
        """Returns the mean α over all tokens; the random sample is uniform."""
        density = self._examples.firing[index, factor] / self._examples.n_tokens
        return float(density * others.activation.mean())

    def _tip(self, top: stored.Places) -> tuple[np.ndarray, np.ndarray]:
        window, position = top.window[:_TIP], top.position[:_TIP]
        centre = self._around(window, position)[:, _CENTRE]
        return centre, self._windows.documents[window]

    def _token_ids(self, drawn: firings_lib.Firings) -> np.ndarray:
        ids = self._windows.token_ids(drawn.window)
        return ids[np.arange(len(ids)), drawn.position]

    def _around(self, window: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Returns the numbers of the words beside each of n tokens, and of its own.

        Returns:
          [n, 1 + len(_OFFSETS)] int, the own word in the middle; −1 beyond the window.
        """
        rows = []
        for number, place in zip(window.tolist(), position.tolist(), strict=True):
            _, around, of_position = self._words(number)
            rows.append(around[of_position[place]])
        return np.stack(rows)

    def _word(self, window: int, position: int) -> str:
        texts, _, of_position = self._words(window)
        return texts[of_position[position]]

    def _read(self, window: int) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Returns the words of a window, the numbers around each, and of positions."""
        words = self._windows.words(window)
        numbers = [
            self._numbers.setdefault(words_lib.fold(text), len(self._numbers))
            for text in words.texts
        ]
        beyond = [_NONE] * max(_OFFSETS)
        padded = np.array([*beyond, *numbers, *beyond], np.int32)
        offsets = np.array([*_OFFSETS[:_CENTRE], 0, *_OFFSETS[_CENTRE:]])
        around = np.arange(len(numbers))[:, None] + offsets + len(beyond)
        return words.texts, padded[around], words.of_position


def share_in_few(document: np.ndarray) -> float:
    """Returns the share of firings in the `FEW_DOCUMENTS` documents with most of them.

    Args:
      document: [n] int, of each firing.
    """
    of_document = np.unique(document, return_counts=True)[1]
    return float(np.sort(of_document)[-FEW_DOCUMENTS:].sum() / len(document))


def evenness(activation: np.ndarray, *, largest: float) -> float:
    """Returns mean α over the largest α, at most 1 also where all are equal.

    Args:
      activation: [n] float32.
      largest: of these and others.
    """
    # In float32 a mean of equal numbers may be larger than they are.
    return min(1.0, float(activation.mean(dtype=np.float64)) / float(largest))


def unevenness(place: np.ndarray) -> float:
    """Returns the Kolmogorov–Smirnov distance of places from even ones.

    It is less 1 / 2n, the least that n places can have.

    Args:
      place: [n], 0 to 1.
    """
    even = (np.arange(len(place)) + 0.5) / len(place)
    return float(np.abs(np.sort(place) - even).max())


def agreement(value: np.ndarray, document: np.ndarray) -> float:
    """Returns the share of the pairs from different documents that have one value.

    Args:
      value: [n] int; −1 is like no other value.
      document: [n] int.
    """

    def pairs(key: np.ndarray) -> int:
        """The number of pairs of equal keys, with themselves."""
        count = np.unique(key, return_counts=True)[1]
        return int((count.astype(np.int64) ** 2).sum())

    known = np.where(value == _NONE, -1 - np.arange(len(value)), value)
    # One number for a value in a document; document numbers are not negative.
    both = known.astype(np.int64) * (int(document.max(initial=0)) + 1) + document
    apart = len(value) ** 2 - pairs(document)
    return (pairs(known) - pairs(both)) / apart if apart else 0.0

"""Show samples of a factor's firings in whole windows, with α of the other words.

Tokens of one word are shown once, with the largest α. Near-duplicates are folded.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.data import words as words_lib
from tfvis_jax.examples import sampling, stored

# Quantiles of α between which examples are shown, besides the strongest and a random
# sample.
BANDS = ((0.9, 0.99), (0.5, 0.9))
# Examples with equal words this far on either side are near-duplicates.
_NEAR = 4
_CACHED_WINDOWS = 16_384
# Examples that are read at once: of many that are stored, few are shown.
_AT_ONCE = 32
# A weaker α of another word, relative to the factor's largest, would not be visible.
_LEAST = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class WindowWords:
    """A window as it is shown.

    Attributes:
      text: the whole window, composed (NFC), on one line.
      starts, ends: offsets of its words in ``text``.
      folded: its words without regard to case.
      of_position: the word that each token belongs to; −1 for special tokens.
      document: name of the document.
    """

    text: str
    starts: list[int]
    ends: list[int]
    folded: list[str]
    of_position: list[int]
    document: str


# A page reads hundreds of thousands: a frozen dataclass would take longer to make.
class Passage(msgspec.Struct, frozen=True):
    """A word on which a factor fires, in its window.

    Attributes:
      window: index of the window.
      word: index of the word in the window.
      activation: α, the largest of its tokens.
      others: α of the window's other words on which the factor fires, by index; empty
        if it was not stored.
      context: positions of the window of which α was stored: those of all its tokens
        are in ``others`` or weak.
      copies: number of near-duplicates that were left out in its favour.
    """

    window: int
    word: int
    activation: float
    others: dict[int, float]
    context: range
    copies: int = 0


class _Kept(NamedTuple):
    """A stored example that is shown.

    Attributes:
      place: in its list.
      window, position: of its token.
      word: the word of this token in the window.
      activation: its α.
    """

    place: int
    window: int
    position: int
    word: int
    activation: float


class Passages:
    """Reads the passages of a run."""

    def __init__(self, windows: windows_lib.Windows, found: stored.Examples):
        """Reads windows of ``windows`` and references of ``found``."""
        self._windows, self._found = windows, found
        self.window = functools.lru_cache(_CACHED_WINDOWS)(self._read)

    def strongest(self, index: int, factor: int, *, n: int) -> list[Passage]:
        """Returns at most ``n`` passages of largest α, strongest first.

        Args:
          index: index into the layers of the examples.
          factor: index of the factor.
          n: maximum number of passages.
        """
        stored_n = np.count_nonzero(self._found.activation[index, factor])
        return self._passages("", index, factor, np.arange(stored_n), n=n)

    def drawn(self, index: int, factor: int, *, n: int) -> list[Passage]:
        """Returns ``n`` passages of the random sample, in random order.

        Arguments are those of `strongest`.
        """
        stored_n = np.count_nonzero(self._found.random_activation[index, factor])
        return self._passages("random_", index, factor, np.arange(stored_n), n=n)

    def in_band(
        self, index: int, factor: int, *, band: tuple[float, float], n: int
    ) -> list[Passage]:
        """Returns at most ``n`` passages with α between two quantiles, strongest first.

        The tokens are those of `reading.in_band`. Other arguments are those of
        `strongest`.
        """
        found, at = self._found, (index, factor)
        where, places = sampling.in_band(
            found.activation[at],
            found.random_activation[at],
            firing=int(found.firing[at]),
            band=band,
        )
        if where == "top":
            # Evenly spaced, so that the passages represent the whole band.
            spread = np.linspace(0, max(len(places) - 1, 0), min(n, len(places)))
            places = places[spread.round().astype(int)]
        prefix = "" if where == "top" else "random_"
        kept = self._passages(prefix, index, factor, places, n=n)
        return sorted(kept, key=lambda passage: -passage.activation)

    def quantiles(
        self, index: int, factor: int, levels: Sequence[float]
    ) -> list[float | None]:
        """Returns quantiles of α among the firing tokens; None if it never fires.

        They are exact where the stored top-activating examples reach, and those of the
        random sample elsewhere.
        """
        found, at = self._found, (index, factor)
        top = np.asarray(found.activation[at])
        n_top, firing = np.count_nonzero(top), int(found.firing[at])
        sample = np.asarray(found.random_activation[at])
        sample = sample[sample > 0]
        if not firing or not len(sample):
            return [None] * len(levels)
        ranks = [int(np.ceil(round((1 - level) * firing, 6))) for level in levels]
        return [
            float(top[rank] if rank < n_top else np.quantile(sample, level))
            for rank, level in zip(ranks, levels, strict=True)
        ]

    def n_documents(self, index: int, factor: int, *, n: int) -> tuple[int, int]:
        """Returns how many documents the strongest tokens come from, and their number.

        Args:
          index: index into the layers of the examples.
          factor: index of the factor.
          n: maximum number of tokens.
        """
        at = (index, factor)
        n = min(int(np.count_nonzero(self._found.activation[at])), n)
        documents = self._windows.documents_of(self._found.window[at][:n])
        return len(set(documents.tolist())), n

    def around(self, passage: Passage, *, n: int) -> tuple[str, str, str]:
        """Returns the text before a passage's word, the word, and the text after.

        Args:
          passage: of this reader.
          n: words on either side, as far as its window goes.
        """
        shown, word = self.window(passage.window), passage.word
        first, last = max(word - n, 0), min(word + n, len(shown.ends) - 1)
        start, end = shown.starts[word], shown.ends[word]
        return (
            shown.text[shown.starts[first] : start],
            shown.text[start:end],
            shown.text[end : shown.ends[last]],
        )

    def _passages(
        self, prefix: str, index: int, factor: int, places: np.ndarray, *, n: int
    ) -> list[Passage]:
        """Returns at most n passages of the stored examples at places of their list."""
        found, at = self._found, (index, factor)
        activation, window, position = (
            np.asarray(getattr(found, prefix + name)[at])
            for name in ("activation", "window", "position")
        )
        kept: list[_Kept] = []
        copies: list[int] = []
        near: dict[tuple[int, tuple[str, ...]], int] = {}
        words: set[tuple[int, int]] = set()
        # Some are near-duplicates.
        at_once = min(n + n // 2 + 1, _AT_ONCE)
        for begin in range(0, len(places), at_once):
            chosen = places[begin : begin + at_once]
            for place, alpha, number, token in zip(
                chosen.tolist(),
                activation[chosen].tolist(),
                window[chosen].tolist(),
                position[chosen].tolist(),
                strict=True,
            ):
                if len(kept) == n:
                    break
                shown = self.window(number)
                word = shown.of_position[token]
                if (number, word) in words:
                    continue
                words.add((number, word))
                first = max(word - _NEAR, 0)
                key = (word - first, tuple(shown.folded[first : word + _NEAR + 1]))
                twin = near.setdefault(key, len(kept))
                if twin < len(kept):
                    copies[twin] += 1
                    continue
                kept.append(_Kept(place, number, token, word, alpha))
                copies.append(0)
            if len(kept) == n:
                break
        if not kept:
            return []
        around = self._around(prefix, index, factor, kept)
        return [
            # Of a word's tokens, another one may be stronger than the one drawn.
            Passage(
                each.window,
                each.word,
                max(each.activation, others.pop(each.word, 0.0)),
                others,
                context,
                number,
            )
            for each, (others, context), number in zip(
                kept, around, copies, strict=True
            )
        ]

    def _around(
        self, prefix: str, index: int, factor: int, kept: Sequence[_Kept]
    ) -> list[tuple[dict[int, float], range]]:
        """Returns α of the words around examples, and the positions they are known at.

        Those of the first examples of a list alone are stored. Weak ones are left out.
        """
        found, at = self._found, (index, factor)
        nearby = np.asarray(getattr(found, f"{prefix}context_activation")[at])
        length = found.context_length
        places = np.array([each.place for each in kept])
        starts = found.context_start(np.array([each.position for each in kept]))
        around: list[tuple[dict[int, float], range]] = [
            ({}, range(start, start + length))
            if each.place < len(nearby)
            else ({}, range(each.position, each.position + 1))
            for each, start in zip(kept, starts.tolist(), strict=True)
        ]
        known = np.flatnonzero(places < len(nearby))
        rows = nearby[places[known]].astype(np.float32)
        strong, steps = np.nonzero(rows >= _LEAST * float(found.activation[at][0]))
        of_kept = known[strong]
        words_of = [self.window(each.window).of_position for each in kept]
        for example, token, alpha in zip(
            of_kept.tolist(),
            (starts[of_kept] + steps).tolist(),
            rows[strong, steps].tolist(),
            strict=True,
        ):
            others, word = around[example][0], words_of[example][token]
            if word >= 0:
                others[word] = max(others.get(word, 0.0), alpha)
        return around

    def _read(self, window: int) -> WindowWords:
        of_position = self._windows.words(window).of_position.tolist()
        texts: list[str] = []
        for word, spaced in zip(
            of_position, self._windows.spaced_texts(window), strict=True
        ):
            if word == len(texts):
                texts.append(spaced)
            elif word >= 0:
                texts[word] += spaced
        texts = [words_lib.composed(text) for text in texts]
        texts[:1] = [text.lstrip() for text in texts[:1]]
        ends = np.cumsum([len(text) for text in texts], dtype=int).tolist()
        bare = [text.lstrip() for text in texts]
        return WindowWords(
            text="".join(texts),
            starts=[end - len(text) for end, text in zip(ends, bare, strict=True)],
            ends=ends,
            folded=[words_lib.fold(text) for text in bare],
            of_position=of_position,
            document=self._windows.document_name(window),
        )

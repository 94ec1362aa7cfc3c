"""What the page of a factor shows, from the stored examples alone; no JAX."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.description import factor_words, firing_words, word_counts, word_table
from tfvis_jax.examples import passages, stored
from tfvis_jax.viewer import site

# Terms by which a search finds a factor.
_SEARCH_WORDS, _SEARCH_PHRASES = 12, 5
_LISTED_WORDS = 8
# Words shown on either side; the page shows the whole window on demand.
_AROUND = 8
# Contexts shown of each band of quantiles, and at random.
_IN_BAND, _AT_RANDOM = 4, 5


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Where the pages of factors are read from; another process may open it again.

    Attributes:
      windows: the corpus.
      examples: of the run.
      counts: of the words of the corpus.
      peaks: [n_factors] index of the layer where each factor's importance is largest.
      contexts: contexts to show per layer and factor.
    """

    windows: windows_lib.Windows
    examples: stored.Examples
    counts: word_counts.WordCounts
    peaks: np.ndarray
    contexts: int


class PageFactors:
    """Reads what `site.SiteData` asks of factors.

    How words are numbered, and which spelling is the most frequent, depends on the
    windows that were read before: the order of the factors counts.

    Attributes:
      source: where it is read from.
      reader: of the windows.
      table: the words that have been read.
    """

    def __init__(self, source: Source) -> None:
        """Reads nothing yet."""
        self.source = source
        self.reader = passages.Passages(source.windows, source.examples)
        self.table = word_table.WordTable(source.windows, source.counts)
        self._layers = range(len(source.examples.layers))
        self._document_of = factor_words.document_of(source.windows)
        # Asked for by three of the methods.
        self._mass = functools.lru_cache(maxsize=4 * len(self._layers))(self._read_mass)

    def contexts(self, number: int) -> list[list[site.Context]]:
        """Returns the strongest contexts of a factor, a list per layer."""
        n = self.source.contexts
        return [
            _contexts(self.reader, self.reader.strongest(index, number, n=n))
            for index in self._layers
        ]

    def words(self, number: int) -> list[list[tuple[str, int]]]:
        """Returns the words of a factor with numbers of documents, a list per layer."""
        return [
            [
                (word.text, word.documents)
                for word in factor_words.of_layer(
                    self.source.examples,
                    self.table,
                    self._document_of,
                    index=index,
                    factor=number,
                    n=_LISTED_WORDS,
                )
            ]
            for index in self._layers
        ]

    def terms(self, number: int) -> site.SearchTerms:
        """Returns what a search finds a factor by."""
        examples = self.source.examples
        words = firing_words.strongest(
            [self._mass(index, number) for index in self._layers],
            self.table,
            n_tokens=examples.n_tokens,
            limit=_SEARCH_WORDS,
        )
        phrases = firing_words.phrases(
            examples,
            self.table,
            index=int(self.source.peaks[number]),
            factor=number,
            limit=_SEARCH_PHRASES,
        )
        return site.SearchTerms(words=words, phrases=phrases)

    def firings(self, number: int) -> list[site.Firings]:
        """Returns the firings of a factor, an entry per layer."""
        return [self._firings(index, number) for index in self._layers]

    def word_firings(self, number: int) -> list[site.WordFirings]:
        """Returns the words that fire a factor, an entry per layer."""
        return [_word_firings(self._mass(index, number)) for index in self._layers]

    def pass_over(self, number: int) -> None:
        """Reads the windows that `words` and `terms` of a factor read, in their order.

        The table is then as it is once the factor has been written.
        """
        if self.table.is_whole:
            return
        examples = self.source.examples
        for index in self._layers:
            found = factor_words.strongest(examples, index=index, factor=number)
            self.table.read(np.asarray(found.window))
        for index in self._layers:
            self.table.read(
                firing_words.windows_of(examples, index=index, factor=number)
            )

    def _read_mass(self, index: int, factor: int) -> firing_words.Mass:
        return firing_words.of_layer(
            self.source.examples, self.table, index=index, factor=factor
        )

    def _firings(self, index: int, factor: int) -> site.Firings:
        reader, examples, n = self.reader, self.source.examples, self.source.contexts
        words = self._mass(index, factor)
        upper, middle = (
            _contexts(
                reader, reader.in_band(index, factor, band=band, n=min(n, _IN_BAND))
            )
            for band in passages.BANDS
        )
        drawn = reader.drawn(index, factor, n=min(n, _AT_RANDOM))
        documents, strongest = reader.n_documents(index, factor, n=n)
        return site.Firings(
            upper=upper,
            middle=middle,
            random=_contexts(reader, drawn),
            histogram=examples.histogram[index, factor].tolist(),
            quantiles=reader.quantiles(index, factor, (0.5, 0.9, 0.99)),
            documents=documents,
            strongest=strongest,
            words=_FiringWords(words, self.table),
            total=(float(words.firings.sum()), float(words.mass.sum())),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _FiringWords(Mapping[str, tuple[float, float]]):
    """Number of tokens and sum of α by folded word: of thousands, few are asked for."""

    words: firing_words.Mass
    table: word_table.WordTable

    def __getitem__(self, folded: str) -> tuple[float, float]:
        number, found = self.table.number(folded), self.words
        if number is not None:
            place = int(np.searchsorted(found.word, number))
            if place < len(found.word) and found.word[place] == number:
                return float(found.firings[place]), float(found.mass[place])
        raise KeyError(folded)

    def __iter__(self) -> Iterator[str]:
        return (self.table.folded[number] for number in self.words.word.tolist())

    def __len__(self) -> int:
        return len(self.words.word)


def _contexts(
    reader: passages.Passages, found: Sequence[passages.Passage]
) -> list[site.Context]:
    contexts = []
    for passage in found:
        window, word = reader.window(passage.window), passage.word
        text, starts, ends = window.text, window.starts, window.ends
        start, last = starts[word], min(word + _AROUND, len(ends) - 1)
        contexts.append(
            site.Context(
                before=text[starts[max(word - _AROUND, 0)] : start],
                word=text[start : ends[word]],
                after=text[ends[word] : ends[last]],
                activation=passage.activation,
                document=window.document,
                window=passage.window,
                start=start,
                others=[
                    (starts[other] - start, ends[other] - starts[other], alpha)
                    for other, alpha in sorted(passage.others.items())
                ],
                copies=passage.copies,
            )
        )
    return contexts


def _word_firings(words: firing_words.Mass) -> site.WordFirings:
    sure = words.sure_firings > 0
    return site.WordFirings(
        word=words.word[sure],
        firings=words.sure_firings[sure],
        mass=words.sure_mass[sure],
        own=words.sure_mass[sure] / words.mass.sum(),
        window=words.window[sure],
        position=words.position[sure],
        alpha=words.alpha[sure],
    )

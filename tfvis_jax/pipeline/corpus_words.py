"""The words of a run's corpus, as their pages need them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfvis_jax.description import word_counts, word_table
from tfvis_jax.examples import passages
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.viewer import site

# Words shown on either side.
_AROUND = 6


@dataclasses.dataclass(frozen=True, eq=False)
class CorpusWords:
    """The words of a corpus that have been read; see `site.CorpusWords`.

    Attributes:
      run: with its examples.
      table: the words read so far.
      reader: of the windows.
    """

    run: run_lib.Run
    table: word_table.WordTable
    reader: passages.Passages

    @property
    def folded(self) -> Sequence[str]:
        """The words without regard to case, by number."""
        return self.table.folded

    def spelling(self, number: int) -> str:
        """Returns the most frequent spelling of a word."""
        return self.table.spelling(number)

    def occurrences(self, numbers: np.ndarray) -> np.ndarray:
        """Returns how often words occur; estimated if the counts are of a sample."""
        counts = self.run.word_counts
        words = [(self.table.folded[number],) for number in numbers.tolist()]
        sampled = self.run.examples.n_tokens / word_counts.MAX_WORDS
        return np.maximum(counts.count(words) * max(sampled, 1.0), 1.0)

    def context(self, window: int, position: int) -> site.Context:
        """Returns a token's word in its context."""
        shown = self.reader.window(window)
        word = shown.of_position[position]
        start, end = shown.starts[word], shown.ends[word]
        last = min(word + _AROUND, len(shown.ends) - 1)
        return site.Context(
            before=shown.text[shown.starts[max(word - _AROUND, 0)] : start],
            word=shown.text[start:end],
            after=shown.text[end : shown.ends[last]],
            activation=0.0,
            document=shown.document,
        )

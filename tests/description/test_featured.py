"""Test the choice of featured factors: readable ones of each level first."""

import itertools
import types

import numpy as np

from tfvis_jax.description import featured
from tfvis_jax.examples import stored
from tfvis_jax.levels import rule

WORDS = ["School", "pizzz", "the"]


class _Windows:
    """Every token of window w has id w."""

    token_counts = np.array([1, 1, 10_000])

    def token_ids(self, windows):
        return np.repeat(windows[:, None], 5, axis=1)

    def token_texts(self, window):
        return [["school", "##zz", "the"][window]] * 5

    def context(self, window, position):
        return types.SimpleNamespace(before="", word=WORDS[window], after="")

    def document_name(self, window):
        return str(next(self._number))

    _number = itertools.count()


def _results():
    """Factor 0 fires at a word, 1 at a piece of a name, 2 at a frequent word."""

    def top(index, factor, stop=None):
        del index
        places = stored.Places(np.ones(5), np.full(5, factor), np.arange(5))
        return stored.Places(*(array[:stop] for array in places))

    return types.SimpleNamespace(
        # The unreadable ones are stronger.
        importance=lambda: np.array([[0.0, 0.0, 0.0], [1.0, 3.0, 2.0]]),
        trained=types.SimpleNamespace(layers=(0, 6)),
        windows=_Windows(),
        examples=types.SimpleNamespace(top=top),
    )


LEVELS = [rule.Level("high", "")] * 3


def test_whole_and_rare_words_come_first():
    assert featured.choose(_results(), LEVELS, per_level=1) == [0]
    assert sorted(featured.choose(_results(), LEVELS, per_level=9)) == [0, 1, 2]


def test_top_words_are_counted_at_the_peak_without_case():
    assert featured.top_words(_results(), 0, n=3) == ["school"]

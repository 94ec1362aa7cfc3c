"""Factors to begin with: of each level, readable ones first."""

import types

import numpy as np

from tfvis_jax.analysis import factor as factor_lib
from tfvis_jax.analysis import featured, levels


class _Windows:
    token_counts = np.array([1, 1, 10_000])

    def token_ids(self, windows):
        # Every token of window w has id w.
        return np.repeat(windows[:, None], 4, axis=1)

    def token_texts(self, window):
        return [["school", "##zz", "the"][window]] * 4


def _run():
    """Factor 0 marks a word, 1 a piece of a name, 2 a frequent word; all are high."""
    words = ["School", "pizzz", "the"]

    def factor(number):
        def examples(*, layer, n):
            return [
                factor_lib.Example(
                    before="",
                    word=words[number],
                    after="",
                    activation=1.0,
                    document=str(place),
                    window=number,
                    position=0,
                )
                for place in range(5)
            ]

        return types.SimpleNamespace(examples=examples)

    return types.SimpleNamespace(
        # The unreadable ones are stronger.
        importance=lambda: np.array([[0.0, 0.0, 0.0], [1.0, 3.0, 2.0]]),
        levels=[levels.Level("high", "")] * 3,
        factor=factor,
        trained=types.SimpleNamespace(layers=(0, 6)),
        windows=_Windows(),
    )


def test_whole_and_rare_words_come_first():
    assert featured.choose(_run(), per_level=1) == [0]
    assert sorted(featured.choose(_run(), per_level=9)) == [0, 1, 2]


def test_top_words_are_counted_at_the_peak_without_case():
    assert featured.top_words(_run(), 0, n=3) == ["school"]

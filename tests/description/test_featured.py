"""Test the choice of featured factors: clear levels, words that say something."""

import itertools
import sys
import types

import numpy as np

from tfvis_jax.description import featured
from tfvis_jax.examples import stored
from tfvis_jax.levels import rule

WORDS = ["School", "pizzz", "the"]


class _Windows:
    """Every token of window w has id w."""

    token_counts = np.array([1, 1, 10_000])
    index = types.MappingProxyType({"num_documents": 100})

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


def test_low_levels_and_guesses_are_of_telling_words():
    for name, is_guess in (("low", False), ("low", True), ("high", True)):
        levels = [
            rule.Level(name, "", probability=p, is_guess=is_guess)
            for p in (0.6, 0.9, 0.8)
        ]
        assert featured.choose(_results(), levels) == [0]
        # A level may have none.
        levels[0] = rule.Level("unclear", "")
        assert featured.choose(_results(), levels) == []


def test_measured_contexts_come_after_telling_words():
    levels = [rule.Level("high", "", probability=p) for p in (0.6, 0.9, 0.8)]
    assert featured.choose(_results(), levels) == [0, 1, 2]
    assert featured.choose(_results(), levels, per_level=2) == [0, 1]


def test_no_two_of_a_level_fire_on_the_same_word_while_there_are_others(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "WORDS", ["School", "school", "the"])
    levels = [rule.Level("mid", "", probability=p) for p in (0.9, 0.8, 0.7)]
    assert featured.choose(_results(), levels) == [0, 2, 1]
    assert featured.choose(_results(), levels, per_level=2) == [0, 2]


def test_the_most_probable_level_comes_first_then_the_strongest():
    results = _results()
    results.windows.token_ids = lambda windows: np.zeros((len(windows), 5), int)
    results.windows.token_texts = lambda window: [WORDS[window]] * 5
    for p, expected in (((0.7, 0.6, 0.9), [2, 0, 1]), ((0.8, 0.8, 0.8), [1, 2, 0])):
        levels = [rule.Level("mid", "", probability=each) for each in p]
        assert featured.choose(results, levels) == expected
        assert featured.choose(results, levels, per_level=1) == expected[:1]


def test_levels_have_one_order():
    results = _results()
    results.windows.token_ids = lambda windows: np.zeros((len(windows), 5), int)
    results.windows.token_texts = lambda window: [WORDS[window]] * 5
    levels = [rule.Level(name, "") for name in ("high", "unclear", "low")]
    assert featured.choose(results, levels) == [2, 0]


def test_what_few_documents_have_comes_last_where_there_are_many():
    results = _results()
    results.windows.token_ids = lambda windows: np.zeros((len(windows), 5), int)
    results.windows.token_texts = lambda window: [WORDS[window]] * 5
    levels = [rule.Level("mid", "", probability=p) for p in (0.9, 0.8, 0.7)]
    # The examples of factor f are of window f.
    turn = itertools.cycle("abc")
    for n_documents, expected in ((100, [1, 2, 0]), (2, [0, 1, 2])):
        results.windows.index = {"num_documents": n_documents}
        results.windows.document_name = lambda window: (
            "the same" if window == 0 else next(turn)
        )
        assert featured.choose(results, levels) == expected
        assert featured.choose(results, levels, per_level=1) == expected[:1]

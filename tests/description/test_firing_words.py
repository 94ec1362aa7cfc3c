"""Test the words that fire a factor against a plain sum over all firing tokens."""

import collections
import types

import numpy as np
import pytest

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.description import firing_words, word_counts, word_table

_FORMS = ["The", "the", "of", "Of", "end", "bank", "river", "left"]
_ROWS = [[_FORMS[i * j % 8] for j in range(i, i + 8)] for i in range(40)]


class _Windows:
    """Windows of at most eight words of two tokens each."""

    window_length = 16

    def __init__(self, rows):
        self._rows = rows

    def __len__(self):
        return len(self._rows)

    def words(self, window):
        texts = self._rows[window]
        of_position = np.arange(16) // 2
        return windows_lib.Words(
            texts=texts,
            is_spaced=np.ones(len(texts), bool),
            of_position=np.where(of_position < len(texts), of_position, -1),
        )


def _table(rows):
    return word_table.WordTable(_Windows(rows), word_counts.of_texts(rows))


def _examples(*, n_top, n_random, seed=0):
    """Returns one factor at one layer that fires on 300 of 640 tokens, and those."""
    rng = np.random.default_rng(seed)
    place = rng.choice(640, 300, replace=False)
    activation = rng.exponential(size=300).astype(np.float32) + np.float32(1e-3)
    order = np.argsort(-activation)
    place, activation = place[order], activation[order]
    sample = rng.permutation(300)[:n_random]

    def each(values):
        return np.asarray(values)[None, None]

    found = types.SimpleNamespace(
        layers=(0,),
        n_tokens=640,
        firing=np.array([[300]]),
        activation=each(activation[:n_top]),
        window=each(place[:n_top] // 16),
        position=each(place[:n_top] % 16),
        random_activation=each(activation[sample]),
        random_window=each(place[sample] // 16),
        random_position=each(place[sample] % 16),
    )
    mass = collections.Counter()
    for where, alpha in zip(place, activation, strict=True):
        word = _ROWS[where // 16][where % 16 // 2].casefold()
        mass[word] += float(alpha)
    return found, mass


@pytest.mark.parametrize(("n_top", "n_random"), [(300, 5), (20, 300), (0, 300)])
def test_the_mass_of_a_word_is_exact_where_all_firings_are_stored(n_top, n_random):
    found, mass = _examples(n_top=n_top, n_random=n_random)
    table = _table(_ROWS)
    words = firing_words.of_layer(found, table, index=0, factor=0)
    got = dict(zip([table.folded[n] for n in words.word], words.mass, strict=True))
    assert got == pytest.approx(dict(mass))
    assert words.firings.sum() == pytest.approx(300)


def test_the_mass_below_the_list_is_estimated_from_the_sample():
    estimates = []
    for seed in range(200):
        found, mass = _examples(n_top=30, n_random=60, seed=seed)
        table = _table(_ROWS)
        words = firing_words.of_layer(found, table, index=0, factor=0)
        place = [table.folded[n] for n in words.word].index("the")
        assert words.firings.sum() == pytest.approx(300)
        estimates.append(words.mass[place] / mass["the"])
    # Unbiased; the mean of 200 has a standard error of about one percent.
    assert np.mean(estimates) == pytest.approx(1, abs=0.05)


def test_words_are_weighed_by_share_of_the_factor_and_of_the_corpus():
    found, mass = _examples(n_top=300, n_random=5)
    table = _table(_ROWS)
    corpus = collections.Counter(w.casefold() for row in _ROWS for w in row)
    firings = collections.Counter()
    words = firing_words.of_layer(found, table, index=0, factor=0)
    got = firing_words.strongest([words], table, n_tokens=640, limit=3)
    for number, n in zip(words.word, words.firings, strict=True):
        firings[table.folded[number]] = n
    # The corpus has as many words as half its tokens.
    expected = {
        word: m / sum(mass.values()) * m / max(corpus[word] * 2, firings[word])
        for word, m in mass.items()
    }
    best = sorted(expected.items(), key=lambda item: -item[1])[:3]
    assert [word.casefold() for word, _ in got] == [word for word, _ in best]
    assert [weight for _, weight in got] == pytest.approx([w for _, w in best])


def test_phrases_hold_the_word_and_count_each_window_once():
    rows = [["at", "the", "End", "of", "days"]] * 3 + [["the", "end", "."]] * 2
    # In three windows "End" is of two tokens, which both fire.
    window = [0, 0, 1, 1, 2, 3, 4]
    position = [4, 5, 4, 5, 4, 2, 2]
    found = types.SimpleNamespace(
        activation=np.arange(7, 0, -1.0)[None, None],
        window=np.array(window)[None, None],
        position=np.array(position)[None, None],
    )
    table = _table(rows)
    got = firing_words.phrases(found, table, index=0, factor=0, limit=9)
    assert dict(got) == pytest.approx(
        {
            "the end": 1.0,
            "at the end": 0.6,
            "end of": 0.6,
            "end of days": 0.6,
            "the end of": 0.6,
        }
    )
    assert got[0][0] == "the end"


def test_a_word_of_few_sampled_tokens_is_not_sure():
    found, _ = _examples(n_top=20, n_random=12)
    table = _table(_ROWS)
    words = firing_words.of_layer(found, table, index=0, factor=0)
    top, sampled = collections.Counter(), collections.Counter()
    for alpha, window, position in zip(
        *(found.activation[0, 0], found.window[0, 0], found.position[0, 0]), strict=True
    ):
        top[_ROWS[window][position // 2].casefold()] += float(alpha)
    weakest = found.activation[0, 0, -1]
    for alpha, window, position in zip(
        *(array[0, 0] for array in (found.random_activation, found.random_window)),
        found.random_position[0, 0],
        strict=True,
    ):
        if alpha < weakest:
            sampled[_ROWS[window][position // 2].casefold()] += 1
    assert 0 < sum(n < 3 for n in sampled.values()) < len(sampled)
    for number, estimate, sure in zip(
        words.word, words.mass, words.sure_mass, strict=True
    ):
        word = table.folded[number]
        if sampled[word] < 3:
            assert sure == pytest.approx(top[word])
        else:
            assert sure == pytest.approx(estimate)


def test_the_place_of_a_word_is_that_of_its_strongest_stored_token():
    found, _ = _examples(n_top=300, n_random=5)
    table = _table(_ROWS)
    words = firing_words.of_layer(found, table, index=0, factor=0)
    for number, window, position, alpha in zip(
        words.word, words.window, words.position, words.alpha, strict=True
    ):
        assert _ROWS[window][position // 2].casefold() == table.folded[number]
        same = [
            a
            for a, w, p in zip(
                *(found.activation[0, 0], found.window[0, 0], found.position[0, 0]),
                strict=True,
            )
            if _ROWS[w][p // 2].casefold() == table.folded[number]
        ]
        assert alpha == max(same)


@pytest.mark.parametrize("limit", [1, 3, 12, 100])
def test_the_strongest_words_are_those_of_all_layers_ranked_one_by_one(limit):
    table, rng = _table(_ROWS), np.random.default_rng(limit)
    table.numbers(np.repeat(np.arange(40), 16), np.tile(np.arange(16), 40))
    n_words = len(table.folded)
    layers = []
    for _ in range(4):
        word = np.flatnonzero(rng.random(n_words) < 0.7).astype(np.int32)
        # Of few values, so that some are equal; some words are not sure.
        mass = rng.integers(1, 4, len(word)).astype(np.float64)
        sure = mass * rng.integers(0, 2, len(word))
        none = np.zeros(len(word), np.int32)
        layers.append(firing_words.Mass(word, mass, mass, sure, sure, none, none, mass))
    layers.append(firing_words.Mass(*[np.zeros(0, np.int32)] * 8))
    best = {}
    for at in layers[:-1]:
        occurrences = np.maximum(table.shares(at.word) * 640, at.sure_firings)
        weight = at.sure_mass / at.mass.sum() * (at.sure_mass / occurrences)
        for number, value in zip(at.word.tolist(), weight.tolist(), strict=True):
            if value > 0:
                best[number] = max(best.get(number, 0.0), value)
    ranked = sorted(best, key=lambda number: (-best[number], number))[:limit]
    found = firing_words.strongest(layers, table, n_tokens=640, limit=limit)
    assert found == [(table.spelling(number), best[number]) for number in ranked]

"""Test n-gram counts against a plain count."""

import collections

import numpy as np

from tfvis_jax.description import word_counts


def _texts():
    rng = np.random.default_rng(0)
    words = ["The", "the", "bank", "of", "Straße", "river", ","]
    return [list(rng.choice(words, rng.integers(0, 9))) for _ in range(60)]


def test_counts_equal_a_plain_count():
    texts = _texts()
    counts = word_counts.of_texts(texts)
    for n in (1, 2, 3):
        expected = collections.Counter(
            tuple(word.casefold() for word in text[i : i + n])
            for text in texts
            for i in range(len(text) - n + 1)
        )
        keys = list(expected)
        np.testing.assert_array_equal(
            counts.count(keys), [expected[key] for key in keys]
        )
        assert counts.totals[n - 1] == expected.total()
        assert len(counts.keys[n - 1]) == len(expected)


def test_absent_ngrams_count_zero():
    counts = word_counts.of_texts([["a", "b", "c"], ["c", "a"]])
    assert counts.count([("d",), ("a",)]).tolist() == [0, 2]
    assert counts.count([("b", "a"), ("d", "a"), ("a", "b")]).tolist() == [0, 0, 1]
    assert counts.count([("c", "a", "b"), ("a", "b", "c")]).tolist() == [0, 1]


def test_no_ngram_crosses_the_end_of_a_window():
    counts = word_counts.of_texts([["a", "b"], ["c", "d"], ["e"], []])
    assert counts.totals == (5, 2, 0)
    crossing = [("b", "c"), ("d", "e")]
    assert counts.count(crossing).tolist() == [0, 0]
    assert counts.count([("a", "b", "c"), ("b", "c", "d")]).tolist() == [0, 0]


class _Windows:
    """Five hundred windows of ten equal words; window w repeats the word w % 50."""

    def __len__(self):
        return 500

    def num_rows(self, rows):
        return np.full(len(rows), 10)

    def words(self, window):
        return type("Words", (), {"texts": [str(window % 50)] * 10})


def test_a_large_corpus_is_sampled_the_same_way_each_time():
    whole = word_counts.of_windows(_Windows())
    assert whole.totals[0] == 5000
    part = word_counts.of_windows(_Windows(), max_words=1000)
    again = word_counts.of_windows(_Windows(), max_words=1000)
    assert part.totals[0] == 1000 and part.numbers == again.numbers
    other = word_counts.of_windows(_Windows(), max_words=1000, seed=1)
    assert other.numbers != part.numbers


def test_spellings_of_a_word_count_together():
    words = ["Caf\u00e9", "cafe\u0301", "ca\u00adf\u00e9"]
    counts = word_counts.of_texts([[word, "au"] for word in words])
    assert counts.count([("caf\u00e9",), ("cafe",)]).tolist() == [3, 0]
    assert counts.count([("caf\u00e9", "au")]).tolist() == [3]

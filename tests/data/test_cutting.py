"""Windows cover a document once and begin with words."""

import itertools

import hypothesis
import numpy as np
from hypothesis import strategies as st

from tfvis_jax.data import cutting
from tfvis_jax.data import tokenizer as tokenizer_lib

WORDS = st.lists(st.integers(1, 7), min_size=1, max_size=60)  # Tokens of each word.


def _encoding(word_lengths, *, token_chars=3):
    """Words of ``word_lengths`` tokens, one character apart."""
    begins, starts, place = [], [], 0
    for length in word_lengths:
        for position in range(length):
            begins.append(position == 0)
            starts.append(place)
            place += token_chars
        place += 1
    starts = np.array(starts, np.int64)
    return tokenizer_lib.TokenizedText(
        np.zeros(len(starts), np.int32), starts, starts + token_chars, np.array(begins)
    )


@hypothesis.given(WORDS, st.integers(1, 12))
def test_windows_are_full_without_breaking_words(word_lengths, capacity):
    encoding = _encoding(word_lengths)
    starts = encoding.starts_word
    cuts = cutting.window_boundaries(encoding, capacity=capacity)
    assert cuts[0] == 0 and cuts[-1] == len(encoding.ids)
    sizes = np.diff(cuts)
    assert sizes.min() >= 1 and sizes.max() <= capacity
    word_of = np.cumsum(starts) - 1
    for first, end in itertools.pairwise(cuts):
        if not starts[first]:
            # Cut inside a word only where that word filled the window before.
            assert word_of[first] == word_of[first - 1]
            assert word_lengths[word_of[first]] > capacity
        if end < len(starts) and starts[end]:
            # The next word would not have fitted.
            assert end - first + word_lengths[word_of[end]] > capacity


def test_tokens_of_one_character_stay_together_unless_they_exceed_a_window():
    # Two syllables of three tokens each, such as those of Hangul, in one word.
    place = np.repeat([0, 1], 3)
    encoding = tokenizer_lib.TokenizedText(
        np.zeros(6, np.int32), place, place + 1, np.arange(6) == 0
    )
    cuts = [cutting.window_boundaries(encoding, capacity=n).tolist() for n in (5, 4, 2)]
    assert cuts == [[0, 3, 6], [0, 3, 6], [0, 2, 3, 5, 6]]


def test_a_window_spans_no_more_characters_than_offsets_can_hold():
    encoding = _encoding([1] * 50, token_chars=5000)
    cuts = cutting.window_boundaries(encoding, capacity=64)
    spans = encoding.ends[cuts[1:] - 1] - encoding.starts[cuts[:-1]]
    assert spans.max() <= cutting.MAX_WINDOW_CHARS < spans.max() + 5001
    huge = _encoding([1, 1], token_chars=100_000)
    cuts = cutting.window_boundaries(huge, capacity=64)
    assert cuts.tolist() == [0, 1, 2]

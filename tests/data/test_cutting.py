"""Windows cover a document once and begin with words."""

import itertools

import hypothesis
import numpy as np
from hypothesis import strategies as st

from tfvis_jax.data import cutting
from tfvis_jax.data import tokenizer as tokenizer_lib

WORDS = st.lists(st.integers(1, 7), min_size=1, max_size=60)  # Tokens of each word.


def _encoding(word_lengths, *, token_chars=3):
    """Words of ``word_lengths`` tokens; token 1 continues a word, token 0 begins it."""
    ids, starts, place = [], [], 0
    for length in word_lengths:
        for position in range(length):
            ids.append(int(position > 0))
            starts.append(place)
            place += token_chars
        place += 1
    starts = np.array(starts, np.int64)
    return tokenizer_lib.TokenizedText(
        np.array(ids, np.int32), starts, starts + token_chars
    )


CONTINUES = np.array([False, True])


@hypothesis.given(WORDS, st.integers(1, 12))
def test_windows_are_full_without_breaking_words(word_lengths, capacity):
    encoding = _encoding(word_lengths)
    starts = cutting.word_starts(encoding, is_continuation=CONTINUES)
    assert starts.sum() == len(word_lengths)
    cuts = cutting.window_boundaries(encoding, starts_word=starts, capacity=capacity)
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


def test_pieces_that_do_not_adjoin_are_words_of_their_own():
    encoding = tokenizer_lib.TokenizedText(
        np.array([0, 1, 1]), np.array([0, 3, 8]), np.array([3, 6, 9])
    )
    starts = cutting.word_starts(encoding, is_continuation=CONTINUES)
    assert starts.tolist() == [True, False, True]


def test_a_window_spans_no_more_characters_than_offsets_can_hold():
    encoding = _encoding([1] * 50, token_chars=5000)
    cuts = cutting.window_boundaries(
        encoding, starts_word=np.ones(50, bool), capacity=64
    )
    spans = encoding.ends[cuts[1:] - 1] - encoding.starts[cuts[:-1]]
    assert spans.max() <= cutting.MAX_WINDOW_CHARS < spans.max() + 5001
    huge = _encoding([1, 1], token_chars=100_000)
    cuts = cutting.window_boundaries(huge, starts_word=np.ones(2, bool), capacity=64)
    assert cuts.tolist() == [0, 1, 2]

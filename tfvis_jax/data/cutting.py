"""Cuts documents into windows."""

import numpy as np

from tfvis_jax.data import tokenizer as tokenizer_lib

# Offsets within a window are stored in 16 bits.
MAX_WINDOW_CHARS = 2**16 - 1


def word_starts(
    tokens: tokenizer_lib.TokenizedText, *, is_continuation: np.ndarray
) -> np.ndarray:
    """Returns [n] bool, True for tokens that begin a word.

    All do, except a continuation ("##ing") that follows the previous token directly.
    """
    adjoins = np.zeros(len(tokens.ids), bool)
    adjoins[1:] = tokens.starts[1:] == tokens.ends[:-1]
    return ~(is_continuation[tokens.ids] & adjoins)


def window_boundaries(
    tokens: tokenizer_lib.TokenizedText, *, starts_word: np.ndarray, capacity: int
) -> np.ndarray:
    """Cuts a document's tokens into windows of at most ``capacity`` tokens.

    A window ends before the first word that does not fit, so no window begins inside a
    word, except where a word is longer than a whole window. No token is dropped.

    Args:
      tokens: n tokens of a document.
      starts_word: [n] bool, from `word_starts`.
      capacity: tokens in a full window, not counting special tokens.

    Returns:
      [num_windows + 1] int64: window i holds the tokens from boundary i up to, but not
      including, boundary i + 1.
    """
    n = len(tokens.ids)
    # The last word start at or before each token, which is where to cut.
    last_start = np.maximum.accumulate(np.where(starts_word, np.arange(n), 0))
    boundaries = [0]
    while boundaries[-1] < n:
        first = boundaries[-1]
        limit = min(first + capacity, n)
        reach = tokens.starts[first] + MAX_WINDOW_CHARS
        fitting = int(np.searchsorted(tokens.ends[first:limit], reach, side="right"))
        end = first + max(fitting, 1)
        if end < n and last_start[end] > first:
            end = int(last_start[end])
        boundaries.append(end)
    return np.asarray(boundaries, np.int64)

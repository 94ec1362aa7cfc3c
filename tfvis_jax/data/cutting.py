"""Cuts documents into windows."""

import numpy as np

from tfvis_jax.data import tokenizer as tokenizer_lib

# Offsets within a window are stored in 16 bits.
MAX_WINDOW_CHARS = 2**16 - 1


def window_boundaries(
    tokens: tokenizer_lib.TokenizedText, *, capacity: int
) -> np.ndarray:
    """Cuts a document's tokens into windows of at most ``capacity`` tokens.

    A window ends before the first word that does not fit, so no window begins inside a
    word, except where a word is longer than a whole window. Tokens that share a
    character stay together unless they exceed a window. No token is dropped.

    Args:
      tokens: n tokens of a document.
      capacity: tokens in a full window, not counting special tokens.

    Returns:
      [num_windows + 1] int64: window i holds the tokens from boundary i up to, but not
      including, boundary i + 1.
    """
    n = len(tokens.ids)
    # The last word start at or before each token, which is where to cut.
    places = np.arange(n)
    last_start = np.maximum.accumulate(np.where(tokens.starts_word, places, 0))
    is_apart = np.ones(n, bool)
    is_apart[1:] = tokens.starts[1:] >= tokens.ends[:-1]
    last_apart = np.maximum.accumulate(np.where(is_apart, places, 0))
    boundaries = [0]
    while boundaries[-1] < n:
        first = boundaries[-1]
        limit = min(first + capacity, n)
        reach = tokens.starts[first] + MAX_WINDOW_CHARS
        fitting = int(np.searchsorted(tokens.ends[first:limit], reach, side="right"))
        end = first + max(fitting, 1)
        if end < n:
            # Or, in a word longer than a window, before the token's character.
            cuts = (last_start[end], last_apart[end], end)
            end = int(next(cut for cut in cuts if cut > first))
        boundaries.append(end)
    return np.asarray(boundaries, np.int64)

"""How a document is cut into windows, and which windows are held out."""

import hashlib

import numpy as np

from tfvis_jax.data import tokenizer as tokenizer_lib

# Offsets within a window are stored in 16 bits.
MAX_WINDOW_CHARS = 2**16 - 1


def word_starts(
    encoding: tokenizer_lib.Encoding, *, is_continuation: np.ndarray
) -> np.ndarray:
    """Returns [n] bool, whether a token begins a word.

    It does unless its piece is a continuation ("##ing") and adjoins the token before.
    """
    adjoins = np.zeros(len(encoding.ids), bool)
    adjoins[1:] = encoding.starts[1:] == encoding.ends[:-1]
    return ~(is_continuation[encoding.ids] & adjoins)


def window_boundaries(
    encoding: tokenizer_lib.Encoding, *, starts_word: np.ndarray, capacity: int
) -> np.ndarray:
    """Cuts a document's tokens into windows of at most ``capacity``.

    A window ends before a word that does not fit, so that none begins inside a word;
    a word longer than a whole window is cut. No token is left out.

    Args:
      encoding: [n] tokens.
      starts_word: [n] bool.
      capacity: tokens in a full window, special ones not counted.

    Returns:
      [num_windows + 1] int64: window i holds the tokens from boundary i to i + 1.
    """
    n = len(encoding.ids)
    # The last word start at or before each token: where to cut back to.
    last_start = np.maximum.accumulate(np.where(starts_word, np.arange(n), 0))
    boundaries = [0]
    while boundaries[-1] < n:
        first = boundaries[-1]
        limit = min(first + capacity, n)
        reach = encoding.starts[first] + MAX_WINDOW_CHARS
        fitting = int(np.searchsorted(encoding.ends[first:limit], reach, side="right"))
        end = first + max(fitting, 1)
        if end < n and last_start[end] > first:
            end = int(last_start[end])
        boundaries.append(end)
    return np.asarray(boundaries, np.int64)


def held_out_windows(document_of_window: np.ndarray, *, fraction: float) -> np.ndarray:
    """Chooses the windows that are never trained on, by whole documents.

    A document is held out when a hash of its number falls below ``fraction``, which
    depends on nothing else. Of two documents or more at least one is held out and at
    least one is not. Of a single document the last ``fraction`` of its windows is held
    out: then train and held-out text adjoin, and numbers on the latter look better
    than on other text.

    Args:
      document_of_window: [num_windows], non-decreasing.
      fraction: between 0 and 1.

    Returns:
      [num_windows] bool.
    """
    documents = np.unique(document_of_window)
    num_windows = len(document_of_window)
    if len(documents) < 2:
        share = min(max(round(fraction * num_windows), 1), max(num_windows - 1, 0))
        return np.arange(num_windows) >= num_windows - share
    place = np.array([_uniform(int(number)) for number in documents])
    chosen = place < fraction
    if not chosen.any():
        chosen[np.argmin(place)] = True
    if chosen.all():
        chosen[np.argmax(place)] = False
    return chosen[np.searchsorted(documents, document_of_window)]


def _uniform(number: int) -> float:
    digest = hashlib.blake2b(number.to_bytes(8, "little"), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64

"""Finds the words of a tokenized text, the same in every spelling of it.

The accents, vowel signs and format characters that a tokenizer removes belong to the
word that they follow, so that "café" is one word of four letters, composed or not.
Scripts without spaces have no other words than the tokenizer's pieces.
"""

import functools
import re
import unicodedata

import numpy as np

from tfvis_jax.data import characters

_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


def locate(
    text: str, starts: np.ndarray, ends: np.ndarray, *, continues: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the clusters that n tokens cover, and where words begin.

    A token covers every cluster (see `characters`) of which it has a character, and
    what was removed between it and a continuation. Tokens of one cluster overlap, and
    belong to one word. Of the others, all begin a word but the continuations ("##ing")
    that no white space precedes, with scripts that set spaces on both sides.

    Args:
      text: the text.
      starts, ends: [n] int64, character offsets, non-decreasing.
      continues: [n] bool, True for tokens that continue the previous one.

    Returns:
      starts, ends: [n] int64, offsets of what the tokens cover, non-decreasing.
      starts_word: [n] bool; the first is True.
    """
    starts_word = ~continues
    starts_word[:1] = True
    found = characters.classify(text)
    last = ends
    if found is not None and len(starts):
        starts = found.cluster_start[np.minimum(starts, len(text) - 1)]
        ends = last = found.cluster_end[ends]
    apart = np.flatnonzero(continues[1:] & (starts[1:] > ends[:-1])) + 1
    if len(apart):
        ends = ends.copy()
        for token in apart.tolist():
            if has_space(text[ends[token - 1] : starts[token]]):
                starts_word[token] = True
            else:
                ends[token - 1] = starts[token]
    if found is not None and len(starts):
        before = found.is_unspaced[found.cluster_start[np.maximum(last[:-1], 1) - 1]]
        unspaced = before | found.is_unspaced[starts[1:]]
        starts_word[1:] |= unspaced
    starts_word[1:] &= starts[1:] >= ends[:-1]
    return starts, ends, starts_word


def follow_space(text: str, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Returns whether white space lies before each of n parts of a text.

    Args:
      text: the text.
      starts, ends: [n] offsets of the parts, non-decreasing.

    Returns:
      [n] bool; False for the first.
    """
    found = np.zeros(len(starts), bool)
    for part in (np.flatnonzero(starts[1:] > ends[:-1]) + 1).tolist():
        found[part] = has_space(text[ends[part - 1] : starts[part]])
    return found


def unshared(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Returns where n tokens start, without what the token before covers, [n]."""
    return np.maximum(starts, np.append(starts[:1], ends[:-1]))


def has_space(text: str) -> bool:
    """Returns whether a text contains white space."""
    return text.isspace() or any(map(str.isspace, text))


def composed(text: str) -> str:
    """Returns a text as it is shown: composed (NFC), on one line."""
    # Both are quick for the many words that are shown as they are.
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return on_one_line(text)


def on_one_line(text: str) -> str:
    """Returns a text with a space for white space that includes a line end."""
    if "\n" in text or "\r" in text:
        return re.sub(r"\s*[\n\r]\s*", " ", text)
    return text


def fold(word: str) -> str:
    """Returns what is the same for all spellings of a word.

    These differ in case, composition, and characters that are not seen: soft hyphens,
    joiners, variation selectors.
    """
    return word.casefold() if word.isascii() else _fold(word)


@functools.lru_cache(maxsize=65536)
def _fold(word: str) -> str:
    # Canonical caseless matching, definition D145 of the Unicode Standard.
    folded = unicodedata.normalize("NFD", word).casefold()
    kept = "".join(char for char in folded if not _is_unseen(char))
    return unicodedata.normalize("NFC", kept) or word


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) == "Cf" or any(
        ord(char) in selectors for selectors in _SELECTORS
    )

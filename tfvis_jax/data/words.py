"""Finds the words of a tokenized text, the same in every spelling of it.

The accents, vowel signs and format characters that a tokenizer removes belong to the
word that they follow, so that "café" is one word of four letters, composed or not.
Scripts without spaces have no other words than the tokenizer's pieces.

A WordPiece vocabulary marks the pieces that continue a word ("##ing"). All others carry
the space in front of a word in its first piece, so there the text itself says where
words begin: after white space, and around every punctuation mark and symbol.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable

import numpy as np

from tfvis_jax.data import characters

_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


def locate(
    text: str, starts: np.ndarray, ends: np.ndarray, *, continues: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the clusters that n tokens cover, and where words begin.

    A token covers every cluster (see `characters`) of which it has a character, and
    what was removed between it and a continuation. Tokens of one cluster overlap, and
    belong to one word. Of the others, all begin a word but the continuations ("##ing")
    that no white space precedes, with scripts that set spaces on both sides.

    Args:
      text: the text.
      starts, ends: [n] int64, character offsets, non-decreasing.
      continues: [n] bool, True for tokens that continue the previous one. If None, all
        do where neither white space nor a punctuation mark or symbol is between.

    Returns:
      starts, ends: [n] int64, offsets of what the tokens cover, non-decreasing.
      starts_word: [n] bool; the first is True.
    """
    found = characters.classify(text)
    last = ends
    if found is not None and len(starts):
        starts = found.cluster_start[np.minimum(starts, len(text) - 1)]
        ends = last = found.cluster_end[ends]
    if continues is None:
        continues = ~_at_sign(text, starts, ends, found)
    starts_word = ~continues
    starts_word[:1] = True
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
    # A space that is a token by itself belongs to the word behind it.
    starts_word[1:] &= (starts[:-1] < last[:-1]) | (starts[1:] > last[:-1])
    return starts, ends, starts_word


def _at_sign(
    text: str,
    starts: np.ndarray,
    ends: np.ndarray,
    found: characters.Characters | None,
) -> np.ndarray:
    """Returns which of n tokens are divided from the one before by what they say."""
    divides = np.append(characters.are_signs(text) | characters.are_space(text), False)
    # Tokens that cover nothing, such as the space that a piece of its own stands for.
    covers = ends > starts
    last = np.maximum(ends, 1) - 1
    if found is not None:
        last = found.cluster_start[np.minimum(last, len(text) - 1)]
    begins = divides[starts] & covers
    begins[1:] |= (divides[last] & covers)[:-1]
    # What is between two tokens divides them too.
    passed = np.append(0, np.cumsum(divides))
    begins[1:] |= passed[starts[1:]] > passed[ends[:-1]]
    return begins


def without_space(
    text: str, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns n tokens without the white space at their edges.

    A token of white space alone covers nothing, where the word begins that follows it
    on the same line. If none does, it keeps its place, as does a line end.

    Args:
      text: the text.
      starts, ends: [n] int64, character offsets as the tokenizer gives them.

    Returns:
      starts, ends: [n] int64, non-decreasing.
    """
    is_space, places = characters.are_space(text), np.arange(len(text))
    behind = np.append(np.where(is_space, len(text), places), len(text))
    # Of each place: the first character from there on that is none, and the end of the
    # last one before it.
    next_text = np.minimum.accumulate(behind[::-1])[::-1]
    last_text = np.append(0, np.maximum.accumulate(np.where(is_space, 0, places + 1)))
    lines = np.append(0, np.cumsum(characters.are_line_ends(text)))
    first, last, following = next_text[starts], last_text[ends], next_text[ends]
    has_text = first < last
    is_before = ~has_text & (following < len(text))
    is_before &= lines[following] == lines[starts]
    # Some tokenizers have taken the space off already.
    alone = np.where(starts < ends, starts, np.maximum(starts - 1, 0))
    alone = np.where(np.append(is_space, True)[alone], alone, starts)
    kinds = [has_text, is_before]
    return (
        np.maximum.accumulate(np.select(kinds, [first, following], alone)),
        np.maximum.accumulate(np.select(kinds, [last, following], ends)),
    )


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


def spaced(text: str, starts: np.ndarray, ends: np.ndarray) -> list[str]:
    """Returns n parts of a text, each with the white space before it, on one line.

    Args:
      text: the text.
      starts, ends: [n] offsets of the parts, non-decreasing. A part that is white space
        is written as a sign (see `shown`).
    """
    found = []
    begins = [*starts[:1], *ends[:-1]]
    for begin, start, end in zip(begins, starts, ends, strict=True):
        part = text[begin:end]
        if part.isspace() and begin <= start < end:
            part = text[begin:start] + shown(text[start:end])
        found.append(on_one_line(part))
    return found


def shown(text: str) -> str:
    """Returns a word as it is shown: `composed`, and white space as a sign."""
    if text and not text.isspace():
        return composed(text)
    return "↵" if "\n" in text or "\r" in text else "␣"


def on_one_line(text: str) -> str:
    """Returns a text with a space for white space that includes a line end."""
    if "\n" in text or "\r" in text:
        return re.sub(r"\s*[\n\r]\s*", " ", text)
    return text


def nearest(before: str, after: str, *, room: tuple[int, int]) -> tuple[str, str]:
    """Returns what stands next to a word, cut between words.

    Args:
      before: text before it.
      after: text after it.
      room: most characters of each, not counting the marks of what is left out. Where
        these hold no space, they are kept as they are.
    """
    most_before, most_after = room
    if len(before) > most_before:
        cut = before[len(before) - most_before :]
        before = f"… {cut[cut.find(' ') + 1 :]}"
    if len(after) > most_after:
        cut = after[:most_after]
        after = f"{cut[: cut.rfind(' ')] if ' ' in cut.strip() else cut} …"
    return before, after


def listed(words: Iterable[str]) -> str:
    """Returns words side by side: each once, and marks without a letter in quotes.

    Args:
      words: In the order shown, such as (",", "in"), which gives "‘,’, in".
    """
    return ", ".join(
        word if any(char.isalnum() for char in word) else f"‘{word}’"
        for word in dict.fromkeys(words)
    )


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

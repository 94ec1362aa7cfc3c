"""Chooses the windows that are held out: whole documents, or sections of a few.

A document's text decides its side, through the key of its group of copies. The order of
the documents does not matter, and copies of a text are never on two sides.
"""

import enum
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfvis_jax.data import copies

# From this number on, whole documents are held out, and at least so many of them: an
# interval over fewer says little.
_MANY_DOCUMENTS, _MIN_HELD_OUT = 100, 20
# A document of fewer windows is held out whole or not at all.
_LONG = 20
# Windows by which a section may be moved to begin with a paragraph.
_REACH = 4
# Windows between a section and the training text on either side, at most.
_MAX_GAP = 4

# First and last paragraph of each of a document's windows, [n] and [n].
Paragraphs = tuple[np.ndarray, np.ndarray]


class Side(enum.IntEnum):
    """What a window is used for; one byte in sides.npy."""

    TRAIN = 0
    HELD_OUT = 1
    # Between a held-out section and the training text.
    NEITHER = 2
    # Of a copy of an earlier document: as if it did not exist.
    COPY = 3


class Split(NamedTuple):
    """The sides of all windows.

    Attributes:
      sides: [num_windows] uint8, of `Side`.
      num_documents: documents that are held out whole.
      num_sections: documents of which a section is held out.
    """

    sides: np.ndarray
    num_documents: int
    num_sections: int


def choose(
    document_of_window: np.ndarray,
    groups: copies.Groups,
    *,
    fraction: float,
    paragraphs: Callable[[int], Paragraphs],
) -> Split:
    """Chooses the windows that are never trained on.

    Only the first document of each group of copies is used. Of 100 documents or more,
    ``fraction`` of them is held out, but at least 20. Of fewer, a section of each that
    has at least 20 windows is held out. The window before it and the one after it are
    on neither side; so are up to four, if only then no paragraph is on both. Of the
    shorter documents, ``fraction`` is held out whole. Both sides have windows, unless
    there is only one.

    Args:
      document_of_window: [num_windows] document indices, non-decreasing.
      groups: of n documents.
      fraction: of the documents, or of a document's windows, between 0 and 1.
      paragraphs: gives those of a document's windows.
    """
    sides = np.full(len(document_of_window), Side.COPY, np.uint8)
    sides[groups.is_first[document_of_window]] = Side.TRAIN
    first = np.searchsorted(document_of_window, np.arange(len(groups.key) + 1))
    used = np.flatnonzero(groups.is_first)
    n = len(np.unique(groups.key[used]))
    if n >= _MANY_DOCUMENTS:
        whole, cut = _drawn(used, groups, fraction, at_least=_MIN_HELD_OUT), used[:0]
    else:
        is_long = (np.diff(first)[used] >= _LONG) | (n == 1)
        short, cut = used[~is_long], used[is_long]
        whole = _drawn(short, groups, fraction, at_least=0 if len(cut) else 1)
    for document in whole:
        sides[first[document] : first[document + 1]] = Side.HELD_OUT
    num_sections = 0
    for document in cut:
        part = _section(
            *paragraphs(int(document)),
            fraction=fraction,
            place=_uniform(int(groups.key[document])),
        )
        sides[first[document] : first[document + 1]] = part
        num_sections += int(Side.HELD_OUT in part)
    return Split(sides, len(np.unique(groups.key[whole])), num_sections)


def _drawn(
    documents: np.ndarray, groups: copies.Groups, fraction: float, *, at_least: int
) -> np.ndarray:
    """Draws a fraction of the documents, but not all; parts of one stay together."""
    # Keys are random, so that those of the lowest are a random sample.
    keys, rank = np.unique(groups.key[documents], return_inverse=True)
    number = min(max(round(fraction * len(keys)), at_least), len(keys) - 1)
    return documents[rank < number]


def _section(
    first: np.ndarray, last: np.ndarray, *, fraction: float, place: float
) -> np.ndarray:
    """Chooses a section of a document.

    Args:
      first: [n] the paragraph in which each window begins, non-decreasing.
      last: [n] the one in which it ends.
      fraction: of the windows that are to be held out.
      place: where, from 0 to 1.

    Returns:
      [n] uint8, the sides of the windows.
    """
    n = len(first)
    sides = np.full(n, Side.TRAIN, np.uint8)
    if n == 1:
        return sides
    # With a window on either side, and one that is trained on.
    size = min(max(round(fraction * n), 2 if n >= _LONG else 1), max(n - 3, 1))
    begin = _nearest_paragraph(first, last, int(place * (n - size + 1)), n - size)
    end = begin + size
    # Windows that share a paragraph with the section, at least one. Where these are too
    # many, one has to do: more would not keep the paragraph apart.
    num_before = begin - int(np.searchsorted(last[:begin], first[begin]))
    num_after = int(np.searchsorted(first[end:], last[end - 1], side="right"))
    num_before, num_after = (
        number if 1 <= number <= _MAX_GAP else 1 for number in (num_before, num_after)
    )
    before, after = max(begin - num_before, 0), min(end + num_after, n)
    if after - before == n:
        # Too short for both: the section is the document's end.
        before, begin, end, after = max(n - size - 1, 1), n - size, n, n
    sides[before:after] = Side.NEITHER
    sides[begin:end] = Side.HELD_OUT
    return sides


def _nearest_paragraph(
    first: np.ndarray, last: np.ndarray, begin: int, latest: int
) -> int:
    """Returns the nearest window that begins a paragraph, or ``begin`` if none does."""
    for step in range(_REACH + 1):
        for at in (begin - step, begin + step):
            if 0 <= at <= latest and (at == 0 or first[at] > last[at - 1]):
                return at
    return begin


def _uniform(key: int) -> float:
    # Mixed once more: documents were ranked by the key itself.
    return int(copies.mix(np.array([key], np.uint64))[0]) / 2**64

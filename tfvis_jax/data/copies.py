"""Finds documents that are copies of each other, exactly or nearly.

A document's fingerprint is a hash of its normalised text and a min-hash signature of
the runs of five words in it (Broder 1997, "On the resemblance and containment of
documents"). Texts are near copies if their runs have a Jaccard similarity of at least
0.8, as in Lee et al. 2022 ("Deduplicating training data makes language models better"):
up to 2 in 100 words changed here and there. A text inside a longer one is none.
Candidates share a band of four components, so time and memory are linear in the number
of documents.
"""

import hashlib
import itertools
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tfvis_jax.data import characters

_SHINGLE = 5  # Words.
# A document of fewer runs is compared as a whole only: one changed word makes five runs
# differ, and an estimate of so few is coarse.
_MIN_SHINGLES = 20
# A band is four components of 16 bits, one number of 64.
_COMPONENTS = 64
# Of the estimate; its standard deviation is 0.05, so that 0.8 is rarely missed.
# Different articles of Wikipedia do not reach 0.4.
_SIMILARITY = 0.7
# Documents of a band's bucket that each one is compared with, in an order that puts
# the most alike next to each other. A bound keeps large buckets linear.
_NEIGHBOURS = 4
_PAIRS_AT_ONCE = 2**16
_CHARS_AT_ONCE = 1_000_000

FINGERPRINT = np.dtype(
    [
        ("text", "<u8"),
        ("num_shingles", "<u4"),
        ("signature", "<u2", _COMPONENTS),
        # Whether this is a further part of the document before; `fingerprints` leaves
        # it False.
        ("continues", "?"),
    ]
)

_RANDOM = np.random.default_rng(0)
_FACTORS = _RANDOM.integers(2**64, size=_COMPONENTS, dtype=np.uint64) | np.uint64(1)
_OFFSETS = _RANDOM.integers(2**64, size=_COMPONENTS, dtype=np.uint64)
_WORD_FACTORS = _RANDOM.integers(2**64, size=_SHINGLE, dtype=np.uint64) | np.uint64(1)


class Groups(NamedTuple):
    """Documents by groups of copies.

    Attributes:
      is_first: [n] bool, True for the first document of each group.
      key: [n] uint64, a random number of the group; the texts in it decide it, and not
        their order. Parts of a long document have that of its first.
      num_exact: documents that have the same words as an earlier one.
      num_near: other documents that are near copies of an earlier one.
    """

    is_first: np.ndarray
    key: np.ndarray
    num_exact: int
    num_near: int


def normalise(text: str) -> str:
    """Returns the words of a text, joined by spaces.

    Case, punctuation, spacing, invisible characters and the Unicode normal form do not
    matter. Letters of scripts without spaces between words stand alone. A text without
    letters or digits is returned with its marks.
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    # Folding may leave a letter and its accent apart.
    text = unicodedata.normalize("NFKC", text)
    return " ".join(text.translate(_CLEANED).split()) or " ".join(text.split())


def fingerprints(texts: Iterable[str]) -> np.ndarray:
    """Returns the fingerprints of n texts, [n] of `FINGERPRINT`."""
    parts = [_fingerprints(group) for group in _groups(texts)]
    return np.concatenate([np.empty(0, FINGERPRINT), *parts])


def is_exact_copy(prints: np.ndarray) -> np.ndarray:
    """Returns [n] bool, True for documents with the words of an earlier document."""
    is_copy = np.ones(len(prints), bool)
    is_copy[np.unique(prints["text"], return_index=True)[1]] = False
    return is_copy


def first_parts(continues: np.ndarray) -> np.ndarray:
    """Returns the number of the first part of each document, [n] int64."""
    return np.maximum.accumulate(np.where(continues, 0, np.arange(len(continues))))


def apart(num_documents: int) -> Groups:
    """Returns the groups where every document counts, copies included."""
    return Groups(
        is_first=np.ones(num_documents, bool),
        key=np.arange(num_documents, dtype=np.uint64),
        num_exact=0,
        num_near=0,
    )


def group(prints: np.ndarray, *, near: bool) -> Groups:
    """Groups documents that are copies of each other.

    Args:
      prints: [n] of `FINGERPRINT`, in the order of reading.
      near: If True, near copies belong to one group, and so do their near copies.
    """
    # Distinct texts in the order of their hashes, so that of the documents is nothing.
    texts, example, text_of = np.unique(
        prints["text"], return_index=True, return_inverse=True
    )
    group_of = np.arange(len(texts))
    if near:
        group_of = _components(len(texts), _near_pairs(prints[example]))
    _, first = np.unique(group_of[text_of], return_index=True)
    is_first = np.zeros(len(prints), bool)
    is_first[first] = True
    return Groups(
        is_first=is_first,
        key=mix(texts[group_of[text_of]])[first_parts(prints["continues"])],
        num_exact=len(prints) - len(texts),
        num_near=len(texts) - len(first),
    )


def mix(numbers: np.ndarray) -> np.ndarray:
    """Returns a hash of each number, uint64 (SplitMix64: Steele et al. 2014)."""
    mixed = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


class _Cleaned(dict[int, str | None]):
    """What `str.translate` puts in place of each character, found out when needed."""

    def __missing__(self, code: int) -> str | None:
        self[code] = found = _cleaned(chr(code))
        return found


def _cleaned(character: str) -> str | None:
    category = unicodedata.category(character)
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return None  # Soft hyphens, joiners, variation selectors.
    if category[0] not in "LNM":
        return " "
    return f" {character} " if characters.is_unspaced(character) else character


_CLEANED = _Cleaned()


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yields texts in groups large enough for NumPy, small enough for memory."""
    found, size = [], 0
    for text in texts:
        found.append(text)
        size += len(text)
        if size >= _CHARS_AT_ONCE:
            yield found
            found, size = [], 0
    if found:
        yield found


def _fingerprints(texts: Sequence[str]) -> np.ndarray:
    words = [normalise(text).encode() for text in texts]
    prints = np.zeros(len(texts), FINGERPRINT)
    prints["text"] = [
        int.from_bytes(hashlib.blake2b(each, digest_size=8).digest(), "little")
        for each in words
    ]
    num_words = np.array([each.count(b" ") + 1 for each in words], np.int64)
    num_shingles = np.maximum(num_words - _SHINGLE + 1, 0)
    prints["num_shingles"] = num_shingles
    signed = np.flatnonzero(num_shingles >= _MIN_SHINGLES)
    if not len(signed):
        return prints
    # The words of all these documents, one after the other.
    split = itertools.chain.from_iterable(words[i].split(b" ") for i in signed)
    hashes = mix(np.fromiter(map(zlib.crc32, split), np.uint64))
    runs = np.zeros(len(hashes) - _SHINGLE + 1, np.uint64)
    for place, factor in enumerate(_WORD_FACTORS):
        runs += hashes[place : place + len(runs)] * factor
    # Runs that reach into the next document are left out.
    before_end = np.repeat(np.cumsum(num_words[signed]), num_words[signed])
    inside = np.arange(len(runs)) + _SHINGLE <= before_end[: len(runs)]
    runs = mix(runs[inside])
    first = np.cumsum(num_shingles[signed]) - num_shingles[signed]
    for component, (factor, offset) in enumerate(zip(_FACTORS, _OFFSETS, strict=True)):
        smallest = np.minimum.reduceat(runs * factor + offset, first)
        prints["signature"][signed, component] = mix(smallest) >> np.uint64(48)
    return prints


def _near_pairs(prints: np.ndarray) -> np.ndarray:
    """Returns pairs of near copies, [n_pairs, 2]: not all, enough to connect them."""
    signed = np.flatnonzero(prints["num_shingles"] >= _MIN_SHINGLES)
    signatures = np.ascontiguousarray(prints["signature"][signed])
    bands = signatures.view("<u8").T
    pairs = [np.empty((0, 2), np.int64)]
    for number, band in enumerate(bands):
        # Those that share the next bands as well come to stand next to each other.
        further = [bands[(number + i) % len(bands)] for i in (2, 1)]
        order = np.lexsort((*further, band))
        for step in range(1, min(_NEIGHBOURS + 1, len(order))):
            near = np.stack([order[:-step], order[step:]], axis=1)
            near = near[band[near[:, 0]] == band[near[:, 1]]]
            for start in range(0, len(near), _PAIRS_AT_ONCE):
                part = near[start : start + _PAIRS_AT_ONCE]
                one, other = signatures[part.T]
                alike = (one == other).mean(axis=1) >= _SIMILARITY
                pairs.append(signed[part[alike]])
    return np.concatenate(pairs)


def _components(n: int, pairs: np.ndarray) -> np.ndarray:
    """Returns the smallest member of each member's connected component, [n]."""
    # Slow to import, and needed where text is read alone.
    from scipy import sparse
    from scipy.sparse import csgraph

    edges = sparse.coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(n, n))
    _, label = csgraph.connected_components(edges, directed=False)
    _, smallest = np.unique(label, return_index=True)
    return smallest[label]

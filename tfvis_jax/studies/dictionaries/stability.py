"""Does another training find the same factors? Pairs, meanings, and a consensus.

Factors of two dictionaries are matched one to one by cosine. Two matched factors mean
the same as far as the words that fire them most are the same: the words with the most
activation, Σ α over their tokens.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import matching

# Words of a factor that are compared.
TOP_WORDS = 10
# Shares of a factor's activation on its first word that bound the classes of factors.
_ONE_WORD, _SOME_WORDS = 0.5, 0.1
ONE_WORD, SOME_WORDS, NO_WORD = "one word", "some words", "no word"
WORD_CLASSES = (ONE_WORD, SOME_WORDS, NO_WORD)


def word_mass(codes: Any, word: np.ndarray) -> Any:
    """Returns Σ α over the tokens of each word, CSC [n_words, n_factors].

    Args:
      codes: `scipy.sparse.csr_array` [n, n_factors].
      word: [n] int, number of each row's word.
    """
    n = len(word)
    of_word: Any = scipy.sparse.csr_array(
        (np.ones(n, np.float32), (word, np.arange(n))),
        shape=(int(word.max(initial=-1)) + 1, n),
    )
    return (of_word @ codes).tocsc()


def top_words(mass: Any, *, n: int = TOP_WORDS) -> list[frozenset[int]]:
    """Returns the words that fire each factor most; none for a factor that is silent.

    Args:
      mass: from `word_mass`.
      n: words of a factor, at most; the lower number of equals comes first.
    """
    found = []
    for start, end in zip(mass.indptr[:-1], mass.indptr[1:], strict=True):
        words, values = mass.indices[start:end], mass.data[start:end]
        words, values = words[values > 0], values[values > 0]
        order = np.lexsort((words, -values))[:n]
        found.append(frozenset(words[order].tolist()))
    return found


def overlap(a: frozenset[int], b: frozenset[int]) -> float:
    """Returns |a ∩ b| / max(|a|, |b|); NaN if both are empty."""
    most = max(len(a), len(b))
    return len(a & b) / most if most else float("nan")


def word_class(mass: Any) -> np.ndarray:
    """Returns a class of each factor by the share of its first word, [n_factors] str.

    Args:
      mass: from `word_mass`; a silent factor is of the class `NO_WORD`.
    """
    total = np.asarray(mass.sum(axis=0)).ravel()
    most = np.zeros(mass.shape[1])
    filled = np.diff(mass.indptr) > 0
    most[filled] = np.maximum.reduceat(mass.data, mass.indptr[:-1][filled])
    share = np.divide(most, total, out=np.zeros_like(total), where=total > 0)
    return np.where(
        share >= _ONE_WORD,
        ONE_WORD,
        np.where(share >= _SOME_WORDS, SOME_WORDS, NO_WORD),
    )


def found_again(
    dictionaries: Sequence[np.ndarray], *, cosine: float = matching.SAME
) -> list[np.ndarray]:
    """Returns in how many of the dictionaries each factor is found, its own included.

    Args:
      dictionaries: each [n_factors, d_model].
      cosine: two matched factors are the same from this cosine on.

    Returns:
      For each dictionary [n_factors] int64, from 1 to the number of dictionaries.
    """
    counts = [np.ones(len(each), np.int64) for each in dictionaries]
    for i, first in enumerate(dictionaries):
        for j in range(i + 1, len(dictionaries)):
            pairs = matching.assign(first, dictionaries[j])
            same = pairs.cosine >= cosine
            counts[i][pairs.first[same]] += 1
            counts[j][pairs.second[same]] += 1
    return counts


def clusters(
    dictionaries: Sequence[np.ndarray],
    *,
    least: int,
    cosine: float = matching.SAME,
) -> list[list[tuple[int, int]]]:
    """Groups factors that are the same in several dictionaries.

    Each dictionary in turn is the reference: a factor of it that is in no group yet is
    joined with its matches in the others. No group has two factors of one dictionary,
    and no factor is in two groups.

    Args:
      dictionaries: each [n_factors, d_model].
      least: dictionaries that a group must have a factor of.
      cosine: two matched factors are the same from this cosine on.

    Returns:
      Groups of (number of the dictionary, number of the factor).

    Raises:
      InputError: ``least`` is below 2 or above the number of dictionaries.
    """
    n = len(dictionaries)
    if not 2 <= least <= n:
        raise InputError(
            f"Expected factors to be found in 2 to {n} dictionaries, got {least}."
        )
    partner: dict[tuple[int, int], np.ndarray] = {}
    for i in range(n):
        for j in range(i + 1, n):
            pairs = matching.assign(dictionaries[i], dictionaries[j])
            same = pairs.cosine >= cosine
            for a, b, mine, other in (
                (i, j, pairs.first, pairs.second),
                (j, i, pairs.second, pairs.first),
            ):
                found = np.full(len(dictionaries[a]), -1)
                found[mine[same]] = other[same]
                partner[a, b] = found
    used = [np.zeros(len(each), bool) for each in dictionaries]
    groups = []
    for i in range(n):
        for factor in range(len(dictionaries[i])):
            if used[i][factor]:
                continue
            members = [(i, factor)]
            for j in range(n):
                other = -1 if j == i else int(partner[i, j][factor])
                if other >= 0 and not used[j][other]:
                    members.append((j, other))
            if len(members) >= least:
                groups.append(members)
                for number, member in members:
                    used[number][member] = True
    return groups


def consensus(
    dictionaries: Sequence[np.ndarray], groups: Sequence[Sequence[tuple[int, int]]]
) -> np.ndarray:
    """Returns the mean direction of each group, [n_groups, d_model] float32.

    Args:
      dictionaries: each [n_factors, d_model], unit rows.
      groups: from `clusters`.
    """
    total = np.array(
        [
            np.sum([dictionaries[number][factor] for number, factor in group], axis=0)
            for group in groups
        ]
    ).reshape(len(groups), dictionaries[0].shape[1])
    unit = total / np.linalg.norm(total, axis=1, keepdims=True)
    return unit.astype(np.float32)


def fill(
    factors: np.ndarray,
    dictionary: np.ndarray,
    groups: Sequence[Sequence[tuple[int, int]]],
    *,
    number: int = 0,
) -> np.ndarray:
    """Adds the factors of one dictionary that are in no group, up to its size.

    Args:
      factors: [n_groups, d_model], the consensus.
      dictionary: [n_factors, d_model].
      groups: from `clusters`.
      number: of the dictionary among those of `clusters`.
    """
    taken = [factor for group in groups for owner, factor in group if owner == number]
    rest = np.setdiff1d(np.arange(len(dictionary)), taken)
    missing = max(len(dictionary) - len(factors), 0)
    return np.concatenate([factors[: len(dictionary)], dictionary[rest[:missing]]])

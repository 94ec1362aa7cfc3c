"""Keep the n entries of lowest rank per factor, exactly, from a stream in any order."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Keys hold the rank in the lowest RANK_BITS bits and the factor in the bits above.
RANK_BITS = 40
_RANK_MASK = np.uint64(2**RANK_BITS - 1)
_HIGHEST_ALPHA = np.uint64(2**31 - 1)
# Sorting pays off only once this many new entries are waiting.
_MIN_WAITING = 20_000


class Entries(NamedTuple):
    """Activations of m (factor, token) pairs.

    Attributes:
      key: [m] uint64, factor and rank; see `keys`.
      place: [m] int64, position of the token in the stream; breaks ties.
      activation: [m] float32, α.
      context: [m, context_length] float16, α of the tokens around it.
    """

    key: np.ndarray
    place: np.ndarray
    activation: np.ndarray
    context: np.ndarray


def keys(factor: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Returns [m] uint64 keys that sort by factor, then by rank.

    Args:
      factor: [m] integers below 2^24.
      rank: [m] uint64 below 2^`RANK_BITS`.
    """
    return (factor.astype(np.uint64) << np.uint64(RANK_BITS)) | rank


def rank_by_activation(activation: np.ndarray) -> np.ndarray:
    """Returns [m] uint64 ranks of activations [m] float32 > 0, the largest first.

    The ranks are exact, because the bit patterns of positive floating-point numbers are
    ordered as the numbers are.
    """
    return _HIGHEST_ALPHA - activation.view(np.uint32).astype(np.uint64)


def rank_in_group(sorted_groups: np.ndarray) -> np.ndarray:
    """Returns 0, 1, 2, … within each run of equal values."""
    starts = np.flatnonzero(np.diff(sorted_groups, prepend=sorted_groups[:1]) != 0)
    starts = np.concatenate([np.zeros(1, np.int64), starts])
    lengths = np.diff(starts, append=len(sorted_groups))
    return np.arange(len(sorted_groups)) - np.repeat(starts, lengths)


class RankedLists:
    """Keeps the n entries of lowest key and place for each factor.

    The result does not depend on the order of the entries, nor on the lists they went
    through before. Lists of parts of a stream therefore merge exactly.
    """

    def __init__(self, *, n_factors: int, n: int, context_length: int = 0):
        """Initialises ``n_factors`` empty lists of at most ``n`` entries."""
        self._n, self._n_factors = n, n_factors
        self._kept = Entries(
            np.zeros(0, np.uint64),
            np.zeros(0, np.int64),
            np.zeros(0, np.float32),
            np.zeros((0, context_length), np.float16),
        )
        # The last key of each full list; an entry above it is rejected at once.
        self._last = np.full(n_factors, np.iinfo(np.uint64).max)
        self._waiting: list[Entries] = []
        self._n_waiting = 0

    def offer(
        self,
        factor: np.ndarray,
        rank: np.ndarray,
        place: np.ndarray,
        activation: np.ndarray,
        *,
        context: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        """Adds those of the entries that may rank among the first n.

        Args:
          factor: [m] integers.
          rank: [m] uint64, see `keys`.
          place: [m] int64.
          activation: [m] float32.
          context: called with the indices of the entries that may be kept, [k];
            returns their contexts, [k, context_length].
        """
        key = keys(factor, rank)
        chosen = np.flatnonzero(key <= self._last[factor])
        if not len(chosen):
            return
        if context is not None:
            # Reading a context costs more than sorting out hopeless entries, and less
            # where those of a window are read together.
            chosen = np.sort(chosen[_best(key[chosen], place[chosen], n=self._n)])
            found = context(chosen)
        else:
            found = np.zeros((len(chosen), 0), np.float16)
        self.add(Entries(key[chosen], place[chosen], activation[chosen], found))

    def add(self, entries: Entries) -> None:
        """Adds entries, such as those of other lists."""
        self._waiting.append(entries)
        self._n_waiting += len(entries.key)
        # A quarter of what full lists hold bounds the memory, and sorts seldom.
        if self._n_waiting > max(_MIN_WAITING, self._n * self._n_factors // 4):
            self._merge()

    def entries(self) -> Entries:
        """Returns the entries that are kept, sorted by key and place."""
        self._merge()
        return self._kept

    def finish(self) -> Entries:
        """Returns the entries with the first axis split into [n_factors, n].

        Where a list is shorter, keys, activations and contexts are 0 and places −1.
        """
        kept = self.entries()
        factor = kept.key >> np.uint64(RANK_BITS)
        where = factor.astype(np.int64), rank_in_group(factor)
        result = Entries(
            *(
                np.zeros((self._n_factors, self._n, *array.shape[1:]), array.dtype)
                for array in kept
            )
        )
        result.place[:] = -1
        for whole, array in zip(result, kept, strict=True):
            whole[where] = array
        return result

    def _merge(self) -> None:
        if not self._waiting:
            return
        together = Entries(
            *(
                np.concatenate(arrays)
                for arrays in zip(self._kept, *self._waiting, strict=True)
            )
        )
        self._waiting, self._n_waiting = [], 0
        order = _best(together.key, together.place, n=self._n)
        self._kept = Entries(*(array[order] for array in together))
        factor = self._kept.key >> np.uint64(RANK_BITS)
        last = rank_in_group(factor) == self._n - 1
        self._last[factor[last].astype(np.int64)] = self._kept.key[last]


def _best(key: np.ndarray, place: np.ndarray, *, n: int) -> np.ndarray:
    """Returns the indices of the first n entries of each factor, sorted."""
    order = _order(key, place)
    factor = key[order] >> np.uint64(RANK_BITS)
    return order[rank_in_group(factor) < n]


def _order(key: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Returns the indices that sort by key, then by place."""
    # Much faster than lexsort: equal keys are rare, and only they are sorted twice.
    order = np.argsort(key)
    sorted_key = key[order]
    same = sorted_key[1:] == sorted_key[:-1]
    if same.any():
        # Each of two neighbours that are equal.
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        members = order[tied]
        order[tied] = members[np.lexsort((place[members], sorted_key[tied]))]
    return order

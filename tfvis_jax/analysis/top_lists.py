"""The n largest activations of every factor, exact, from a stream of codes."""

import numpy as np

# Entries that may wait before they are sorted in; bounds the memory of a list.
_MAX_WAITING = 2_000_000


class TopLists:
    """Keeps, for each factor, the n largest activations and where they were.

    Only activations above zero count. Of equal ones the earlier place is kept, so the
    lists equal a stable sort of the whole stream.
    """

    def __init__(self, *, n_factors: int, n: int):
        """Starts n_factors empty lists of at most n entries."""
        self._n = n
        self._n_factors = n_factors
        # The entries, sorted by factor, then by falling activation, then by place.
        self._factor = np.zeros(0, np.int32)
        self._activation = np.zeros(0, np.float32)
        self._place = np.zeros(0, np.int64)
        self._threshold = np.zeros(n_factors, np.float32)
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._n_waiting = 0

    def add(self, codes: np.ndarray, places: np.ndarray) -> None:
        """Offers the codes of more rows.

        Args:
          codes: [rows, n_factors].
          places: [rows] int64, rising from call to call: a row's place in the stream.
        """
        # Strictly above: an equal activation at a later place never gets in.
        row, factor = np.nonzero(codes > self._threshold[None])
        self._waiting.append((factor.astype(np.int32), codes[row, factor], places[row]))
        self._n_waiting += len(row)
        if self._n_waiting > _MAX_WAITING:
            self._merge()

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns activations and places, both [n_factors, n].

        The lists fall in activation; unused entries are 0 and place −1.
        """
        self._merge()
        activation = np.zeros((self._n_factors, self._n), np.float32)
        place = np.full((self._n_factors, self._n), -1, np.int64)
        rank = _rank_in_group(self._factor)
        activation[self._factor, rank] = self._activation
        place[self._factor, rank] = self._place
        return activation, place

    def _merge(self) -> None:
        waiting = self._waiting or [
            (self._factor[:0], self._activation[:0], self._place[:0])
        ]
        factor, activation, place = (
            np.concatenate([old, *new])
            for old, new in zip(
                (self._factor, self._activation, self._place),
                zip(*waiting, strict=True),
                strict=True,
            )
        )
        order = np.lexsort((place, -activation, factor))
        order = order[_rank_in_group(factor[order]) < self._n]
        self._factor, self._activation = factor[order], activation[order]
        self._place = place[order]
        last = _rank_in_group(self._factor) == self._n - 1
        self._threshold[self._factor[last]] = self._activation[last]
        self._waiting, self._n_waiting = [], 0


def _rank_in_group(sorted_groups: np.ndarray) -> np.ndarray:
    """Returns 0, 1, 2, … within each run of equal values."""
    starts = np.searchsorted(sorted_groups, sorted_groups, side="left")
    return np.arange(len(sorted_groups)) - starts

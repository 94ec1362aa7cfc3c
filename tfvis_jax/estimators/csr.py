"""Matrices that grow by rows, in memory that ends little above their own size."""

from typing import Any

import numpy as np
import scipy.sparse

# Room that is left when a buffer grows, beyond what the rows so far lead to expect.
_MARGIN = 1.02
_INT32_MAX = np.iinfo(np.int32).max


def from_dense(codes: np.ndarray) -> scipy.sparse.csr_array:
    """Returns the CSR form of a [rows, columns] float32 array."""
    # On the host: the same on the device costs five times as much on a CPU, and the way
    # of the dense codes from an accelerator is short beside the solve.
    is_used = codes != 0
    at = np.flatnonzero(is_used)
    starts = np.zeros(len(codes) + 1, np.int32)
    np.cumsum(np.count_nonzero(is_used, axis=1), out=starts[1:])
    columns = (at % codes.shape[1]).astype(np.int32)
    return scipy.sparse.csr_array(
        (codes.reshape(-1)[at], columns, starts), shape=codes.shape
    )


class CsrBuilder:
    """Appends rows to a CSR matrix of float32 values and int32 columns.

    Both buffers grow in place, which the system does by moving pages and not by
    copying, to what the rows so far lead to expect of all of them. Parts that are kept
    and stacked at the end would take the memory twice.
    """

    def __init__(self, *, n_rows: int, n_columns: int) -> None:
        """Starts without rows.

        Args:
          n_rows: rows that will be appended in all.
          n_columns: width of the matrix.
        """
        self._shape = (n_rows, n_columns)
        self._values = np.empty(0, np.float32)
        self._columns = np.empty(0, np.int32)
        self._starts = np.zeros(n_rows + 1, np.int64)
        self._done = 0

    def append(self, part: Any) -> None:
        """Appends rows: a [rows, n_columns] `csr_array` of float32."""
        used = int(self._starts[self._done])
        needed = used + len(part.data)
        ends = self._done + 1 + part.shape[0]
        self._starts[self._done + 1 : ends] = used + part.indptr[1:].astype(np.int64)
        self._done += part.shape[0]
        if needed > len(self._values):
            expected = needed / self._done * self._shape[0]
            self._resize(max(needed, int(_MARGIN * expected)))
        self._values[used:needed] = part.data
        self._columns[used:needed] = part.indices

    def finish(self) -> scipy.sparse.csr_array:
        """Returns the matrix, which takes over the buffers."""
        self._resize(int(self._starts[self._done]))
        starts = self._starts
        if starts[-1] <= _INT32_MAX:
            # SciPy wants rows and columns counted in one type; the smaller suffices.
            starts = starts.astype(np.int32)
        return scipy.sparse.csr_array(
            (self._values, self._columns, starts), shape=self._shape, copy=False
        )

    def _resize(self, size: int) -> None:
        for buffer in (self._values, self._columns):
            # Nobody else has seen the buffers, so nobody holds a view of them.
            buffer.resize(size, refcheck=False)


class DenseBuilder:
    """Fills a dense [n_rows, n_columns] array of float32 row by row."""

    def __init__(self, *, n_rows: int, n_columns: int) -> None:
        """Starts without rows."""
        self._array = np.empty((n_rows, n_columns), np.float32)
        self._done = 0

    def append(self, part: Any) -> None:
        """Appends [rows, n_columns] values."""
        self._array[self._done : self._done + len(part)] = part
        self._done += len(part)

    def finish(self) -> np.ndarray:
        """Returns the array."""
        return self._array

"""Which token ids fire each factor: exact counts and means, in bounded memory.

There are more pairs of factor and token id than memory holds. They gather in a table of
fixed size, which goes to a sorted file when it is full; files of one level are merged
into one of the next, piece by piece, and the last pass reads them factor by factor.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.examples import firing_statistics, ranked_lists

RECORD = np.dtype([("key", "<i8"), ("count", "<i8"), ("sum", "<i8")])
# Entries that wait in memory before they become a file: 16 MB, five times that sorted.
_MAX_WAITING = 1_000_000
# So many files of a level are merged into one of the next.
_FAN_IN = 12
# Records that are merged at a time: 12 MB.
_PIECE = 500_000
# A mean of fewer tokens than this is no property of the token id.
MIN_COUNT = 3


@dataclasses.dataclass(frozen=True)
class TopTokens:
    """Token ids of every factor of a layer, k each.

    Attributes:
      token_id: [n_factors, k] int32, −1 where fewer fire it.
      token_count: [n_factors, k] int64, how often the token id fires it.
      token_mean: [n_factors, k] float32, mean α of these.
    """

    token_id: np.ndarray
    token_count: np.ndarray
    token_mean: np.ndarray


def table(key: np.ndarray, activation: np.ndarray) -> np.ndarray:
    """Returns the sorted `RECORD`s of entries: number and sum of α for each key.

    Args:
      key: [m] int64.
      activation: [m] int64, α in units of `firing_statistics.FIXED_POINT`.
    """
    order = np.argsort(key)
    return _summed(key[order], np.ones_like(key), activation[order])


def merged(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the `RECORD`s of several tables as one."""
    together = np.concatenate([*tables, np.zeros(0, RECORD)])
    together = together[np.argsort(together["key"])]
    return _summed(together["key"], together["count"], together["sum"])


def _summed(key, count, total):
    first = np.flatnonzero(np.diff(key, prepend=-1))
    result = np.zeros(len(first), RECORD)
    if len(first):
        result["key"] = key[first]
        result["count"] = np.add.reduceat(count, first)
        result["sum"] = np.add.reduceat(total, first)
    return result


class TokenTables:
    """Gathers entries of a stream into sorted files."""

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        prefix: str,
        names: Sequence[str] = (),
        max_waiting: int = _MAX_WAITING,
    ):
        """Starts, or goes on with the files of a saved state.

        Args:
          folder: where the files lie.
          prefix: of the names of files that are written here.
          names: the files that hold what was added before.
          max_waiting: entries in memory.
        """
        self._folder, self._prefix, self._max_waiting = folder, prefix, max_waiting
        self.names = list(names)
        self._next = 1 + max((_number(name) for name in self.names), default=-1)
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._n_waiting = 0

    def add(self, key: np.ndarray, activation: np.ndarray) -> None:
        """Adds entries, as `table` takes them."""
        self._waiting.append((key, activation))
        self._n_waiting += len(key)
        if self._n_waiting > self._max_waiting:
            self.flush()

    def flush(self) -> None:
        """Writes what waits. Files that are merged stay until `remove_others`."""
        if self._n_waiting:
            keys, activations = zip(*self._waiting, strict=True)
            self._waiting, self._n_waiting = [], 0
            self._write(
                [table(np.concatenate(keys), np.concatenate(activations))], level=0
            )
        level = 0
        while len(full := [n for n in self.names if _level(n) == level]) >= _FAN_IN:
            self._write(merge_pieces(self._folder, full), level=level + 1)
            self.names = [name for name in self.names if name not in full]
            level += 1

    def remove_others(self) -> None:
        """Removes the files of this prefix that are no longer needed."""
        for path in self._folder.glob(f"{self._prefix}-*.tokens"):
            if path.name not in self.names:
                path.unlink()

    def _write(self, tables, *, level):
        name = f"{self._prefix}-{level}-{self._next}.tokens"
        self._next += 1
        with files.write_atomically(self._folder / name) as file:
            for records in tables:
                file.write(records.tobytes())
        self.names.append(name)


def merge_pieces(
    folder: pathlib.Path, names: Sequence[str], *, piece: int = _PIECE
) -> Iterator[np.ndarray]:
    """Yields the `RECORD`s of several files as one table, piece by piece."""
    paths = [folder / name for name in names]
    # Bounds at equal distances in each file: no piece is much larger than asked for.
    step = max(1, piece // len(paths))
    bounds = np.unique(np.concatenate([_map(path)["key"][::step] for path in paths]))
    ends = np.append(bounds[1:], np.iinfo(np.int64).max)
    for first, stop in zip(bounds.tolist(), ends.tolist(), strict=True):
        yield merged([_between(path, first, stop) for path in paths])


def top_tokens(
    paths: Sequence[pathlib.Path],
    *,
    row: int,
    n_factors: int,
    vocab_size: int,
    k: int,
) -> tuple[TopTokens, TopTokens]:
    """Returns the token ids that fire each factor of a layer most often, and most.

    Args:
      paths: files whose keys are ``(row * n_factors + factor) * vocab_size + id``.
      row: place of the layer among the layers.
      n_factors: factors in the dictionary.
      vocab_size: ids of the tokeniser.
      k: token ids for each factor.

    Returns:
      Those of the highest count (equal ones by sum of α, then by id), and those of the
      highest mean among the ids that fire it `MIN_COUNT` times or more (equal ones by
      count, then by id).
    """
    common, strong = _empty(n_factors, k), _empty(n_factors, k)
    # Factors are taken by the hundred: no more of the files than that is in memory.
    for begin in range(0, n_factors, 128):
        end = min(begin + 128, n_factors)
        first, stop = ((row * n_factors + f) * vocab_size for f in (begin, end))
        found = merged([_between(path, first, stop) for path in paths])
        factor, token = np.divmod(found["key"], vocab_size)
        factor -= row * n_factors
        mean = found["sum"] / np.maximum(found["count"], 1)
        order = np.lexsort((token, -found["sum"], -found["count"], factor))
        _fill(common, order, factor, token, found["count"], mean)
        order = np.lexsort((token, -found["count"], -mean, factor))
        order = order[found["count"][order] >= MIN_COUNT]
        _fill(strong, order, factor, token, found["count"], mean)
    return common, strong


def _empty(n_factors, k):
    return TopTokens(
        np.full((n_factors, k), -1, np.int32),
        np.zeros((n_factors, k), np.int64),
        np.zeros((n_factors, k), np.float32),
    )


def _fill(top, order, factor, token, count, mean):
    rank = ranked_lists.rank_in_group(factor[order])
    chosen = rank < top.token_id.shape[1]
    order, where = order[chosen], (factor[order][chosen], rank[chosen])
    top.token_id[where] = token[order]
    top.token_count[where] = count[order]
    top.token_mean[where] = mean[order] * firing_statistics.FIXED_POINT


def _between(path, first, stop):
    """Reads the records with keys from first to stop; the map is for the search."""
    low, high = np.searchsorted(_map(path)["key"], [first, stop]).tolist()
    return np.fromfile(path, RECORD, high - low, offset=low * RECORD.itemsize)


def _map(path):
    try:
        return np.memmap(path, RECORD, mode="r")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is damaged ({error}). Remove {path.parent}; `tfvis examples "
            f"{path.parent.parent}` begins anew."
        ) from error


def _level(name):
    return int(name.rsplit("-", 2)[1])


def _number(name):
    return int(name.rsplit("-", 1)[1].removesuffix(".tokens"))

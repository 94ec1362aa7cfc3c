"""Count which token ids fire each factor, exactly and in bounded memory.

All pairs of factor and token id may not fit in memory. They are collected in a table of
fixed size, which is written to a sorted file when it is full. Files of one level are
merged into a file of the next, piece by piece (a log-structured merge tree). The final
pass reads the files factor by factor.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tfvis_jax import files
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.examples import firing_statistics, ranked_lists

RECORD = np.dtype([("key", "<i8"), ("count", "<i8"), ("sum", "<i8")])
# Entries kept in memory before they are written: 16 MB, five times that while sorting.
_MAX_WAITING = 1_000_000
# Number of files of a level that are merged into one of the next.
_FAN_IN = 12
# Records merged at a time: 12 MB.
_PIECE = 500_000
# A mean over fewer tokens says little about the token id.
MIN_COUNT = 3


@dataclasses.dataclass(frozen=True)
class TopTokens:
    """The k first token ids of every factor at a layer.

    Attributes:
      token_id: [n_factors, k] int32, padded with −1.
      token_count: [n_factors, k] int64, how often the token id fires the factor.
      token_mean: [n_factors, k] float32, mean α when it does.
    """

    token_id: np.ndarray
    token_count: np.ndarray
    token_mean: np.ndarray


def table(key: np.ndarray, activation: np.ndarray) -> np.ndarray:
    """Returns the sorted `RECORD`s of entries: count and sum of α for each key.

    Args:
      key: [m] int64, keys in any order.
      activation: [m] int64, α in units of `firing_statistics.FIXED_POINT`.
    """
    order = np.argsort(key)
    return _summed(key[order], np.ones_like(key), activation[order])


def merged(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Merges the `RECORD`s of several tables into one sorted table."""
    together = np.concatenate([*tables, np.zeros(0, RECORD)])
    together = together[np.argsort(together["key"])]
    return _summed(together["key"], together["count"], together["sum"])


def _summed(key: np.ndarray, count: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Returns one record per distinct key, given ascending keys."""
    first = np.flatnonzero(np.diff(key, prepend=-1))
    result = np.zeros(len(first), RECORD)
    if len(first):
        result["key"] = key[first]
        result["count"] = np.add.reduceat(count, first)
        result["sum"] = np.add.reduceat(total, first)
    return result


class TokenTables:
    """Collects the entries of a stream in sorted files."""

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        prefix: str,
        names: Sequence[str] = (),
        max_waiting: int = _MAX_WAITING,
    ):
        """Initialises empty tables, or resumes with the files of a saved state.

        Args:
          folder: folder of the files.
          prefix: prefix of the names of new files.
          names: names of the files that hold the entries added so far.
          max_waiting: maximum number of entries in memory.
        """
        self._folder, self._prefix, self._max_waiting = folder, prefix, max_waiting
        self.names = list(names)
        # A new file never replaces one that a saved state needs.
        self._next = 1 + max((_number(name) for name in self.names), default=-1)
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._n_waiting = 0

    def add(self, key: np.ndarray, activation: np.ndarray) -> None:
        """Adds entries; arguments are those of `table`."""
        self._waiting.append((key, activation))
        self._n_waiting += len(key)
        if self._n_waiting > self._max_waiting:
            self.flush()

    def flush(self) -> None:
        """Writes the entries in memory. Merged files stay until `remove_others`."""
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
        """Removes files with this prefix whose entries are in newer files."""
        for path in self._folder.glob(f"{self._prefix}-*.tokens"):
            if path.name not in self.names:
                path.unlink()

    def _write(self, tables: Iterable[np.ndarray], *, level: int) -> None:
        name = f"{self._prefix}-{level}-{self._next}.tokens"
        self._next += 1
        with files.write_atomically(self._folder / name) as file:
            for records in tables:
                file.write(records.tobytes())
        self.names.append(name)


def merge_pieces(
    folder: pathlib.Path, names: Sequence[str], *, piece: int = _PIECE
) -> Iterator[np.ndarray]:
    """Yields the merged `RECORD`s of several files, piece by piece."""
    paths = [folder / name for name in names]
    # Bounds are evenly spaced in each file, so no piece is much larger than asked for.
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
    """Returns the token ids that fire each factor most often and most strongly.

    Args:
      paths: files whose keys are ``(row * n_factors + factor) * vocab_size + id``.
      row: index of the layer among the layers.
      n_factors: number of factors in the dictionary.
      vocab_size: number of token ids.
      k: number of token ids per factor.

    Returns:
      The ids with the highest counts (ties broken by sum of α, then by id), and the ids
      with the highest means among those that fire the factor at least `MIN_COUNT` times
      (ties broken by count, then by id).
    """
    common, strong = _empty(n_factors, k), _empty(n_factors, k)
    # Only the records of this many factors are in memory at a time.
    for begin in range(0, n_factors, 128):
        end = min(begin + 128, n_factors)
        first, stop = ((row * n_factors + f) * vocab_size for f in (begin, end))
        found = merged([_between(path, first, stop) for path in paths])
        # By factor, then by token id: stable sorts keep that order among equals.
        factor, token = np.divmod(found["key"], vocab_size)
        factor -= row * n_factors
        records = _Records(factor, token, found["count"], found["sum"])
        # Most ids fire a factor once. Where k others do so more often, none of these
        # is among the first.
        repeated = records.count > 1
        n_repeated = np.bincount(factor[repeated], minlength=n_factors)
        often = records.where(repeated | (n_repeated < k)[factor])
        _fill(common, often, np.lexsort((-often.sum, -often.count, often.factor)))
        steady = records.where(records.count >= MIN_COUNT)
        _fill(strong, steady, np.lexsort((-steady.count, -steady.mean, steady.factor)))
    return common, strong


def _empty(n_factors: int, k: int) -> TopTokens:
    return TopTokens(
        np.full((n_factors, k), -1, np.int32),
        np.zeros((n_factors, k), np.int64),
        np.zeros((n_factors, k), np.float32),
    )


@dataclasses.dataclass(frozen=True)
class _Records:
    """Pairs of factor and token id, sorted; count and sum of α of each, all [m]."""

    factor: np.ndarray
    token: np.ndarray
    count: np.ndarray
    sum: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        return self.sum / np.maximum(self.count, 1)

    def where(self, kept: np.ndarray) -> "_Records":
        return _Records(*(each[kept] for each in vars(self).values()))


def _fill(top: TopTokens, records: _Records, order: np.ndarray) -> None:
    """Writes the first k token ids of each factor, in this order, into ``top``."""
    rank = ranked_lists.rank_in_group(records.factor[order])
    chosen = rank < top.token_id.shape[1]
    order = order[chosen]
    where = records.factor[order], rank[chosen]
    top.token_id[where] = records.token[order]
    top.token_count[where] = records.count[order]
    top.token_mean[where] = records.mean[order] * firing_statistics.FIXED_POINT


def _between(path: pathlib.Path, first: int, stop: int) -> np.ndarray:
    """Reads the records with first ≤ key < stop."""
    # The map serves the binary search alone: reading is faster, and frees its pages.
    low, high = np.searchsorted(_map(path)["key"], [first, stop]).tolist()
    found = np.fromfile(path, RECORD, max(high - low, 0), offset=low * RECORD.itemsize)
    # They are sorted, unless the file is damaged.
    if not np.all((found["key"] >= first) & (found["key"] < stop)):
        raise _damaged(path, "its keys are not sorted")
    return found


def _map(path: pathlib.Path) -> np.ndarray:
    try:
        return np.memmap(path, RECORD, mode="r")
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: pathlib.Path, why: object) -> InputError:
    return InputError(
        f"{path} is damaged ({why}). Remove {path.parent}; "
        f"`{command_line('examples', path.parent.parent)}` then starts again."
    )


def _level(name: str) -> int:
    return int(name.rsplit("-", 2)[1])


def _number(name: str) -> int:
    return int(name.rsplit("-", 1)[1].removesuffix(".tokens"))

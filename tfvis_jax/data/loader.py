"""Batches of windows in training order or as they lie, for one process of many.

The order of an epoch is Grain's global index shuffle: a pure function of seed and
epoch. A batch is the same whatever the number of processes; each reads its part. So a
batch number is all that a resumed run needs.
"""

import dataclasses
import math
from collections.abc import Iterator

import grain
import numpy as np

from tfvis_jax import errors
from tfvis_jax.data import windows as windows_lib

# Reading a batch takes milliseconds: two threads stay ahead of any device.
_READ_OPTIONS = grain.ReadOptions(num_threads=2, prefetch_buffer_size=8)


@dataclasses.dataclass(frozen=True)
class Batch:
    """This process's part of a batch; b = batch_size / process_count.

    Attributes:
      window_ids: [b] int32, -1 for the empty windows that fill the last batch.
      token_ids: [b, length] int32.
      token_mask: [b, length] bool, false for padding.
      row_mask: [b, length] bool, false for padding and special tokens.
    """

    window_ids: np.ndarray
    token_ids: np.ndarray
    token_mask: np.ndarray
    row_mask: np.ndarray


def num_batches(num_rows: int, *, batch_size: int, num_epochs: int = 1) -> int:
    """Returns how many batches `batches` gives; every epoch ends with its own."""
    return num_epochs * math.ceil(num_rows / batch_size)


def batches(
    windows: windows_lib.Windows,
    rows: np.ndarray,
    *,
    batch_size: int,
    seed: int = 0,
    shuffle: bool = True,
    start: int = 0,
    num_epochs: int = 1,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """Yields every window of ``rows`` once an epoch.

    Shapes are the same throughout: the last batch of an epoch is filled up with
    windows whose masks are all false.

    Args:
      windows: where to read.
      rows: [n] window numbers, such as ``windows.train``.
      batch_size: windows in a batch, over all processes.
      seed: of the order.
      shuffle: false gives the order of ``rows``.
      start: number of batches to leave out; they are not read.
      num_epochs: times that all windows are given.
      process_index, process_count: which part of every batch to read.

    Raises:
      InputError: ``batch_size`` cannot be shared equally by the processes.
    """
    if batch_size < 1 or batch_size % process_count:
        raise errors.InputError(
            f"Expected a batch size that {process_count} processes can share equally, "
            f"got {batch_size}."
        )
    rows = np.asarray(rows)
    per_epoch = num_batches(len(rows), batch_size=batch_size)
    total = per_epoch * num_epochs
    if start >= total:
        return
    order = grain.MapDataset.source(rows)
    if shuffle:
        order = order.shuffle(_shuffle_seed(seed))
    size = batch_size // process_count

    def read(number: int) -> Batch:
        epoch, batch = divmod(number, per_epoch)
        first = batch * batch_size + process_index * size
        last = min(first + size, len(rows))
        # Beyond its length a MapDataset goes on with the next epoch.
        chosen = [order[epoch * len(rows) + place] for place in range(first, last)]
        return _read_batch(windows, np.asarray(chosen, np.int64), size=size)

    dataset = grain.MapDataset.range(start, total).map(read)
    iterator = iter(dataset.to_iter_dataset(_READ_OPTIONS))
    try:
        yield from iterator
    finally:
        iterator.close()


def _shuffle_seed(seed: int) -> int:
    """Spreads seeds out: Grain takes seed + epoch, which would meet seed + 1."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def _read_batch(
    windows: windows_lib.Windows, chosen: np.ndarray, *, size: int
) -> Batch:
    window_ids = np.full(size, -1, np.int32)
    window_ids[: len(chosen)] = chosen
    shape = (size, windows.window_length)
    token_ids = np.full(shape, windows.pad_id, np.int32)
    token_mask, row_mask = np.zeros(shape, bool), np.zeros(shape, bool)
    token_ids[: len(chosen)] = windows.token_ids(chosen)
    token_mask[: len(chosen)] = windows.token_mask(chosen)
    row_mask[: len(chosen)] = windows.row_mask(chosen)
    return Batch(window_ids, token_ids, token_mask, row_mask)

"""Batches of windows in training order or as they lie, for one process of many.

The order of an epoch is Grain's global index shuffle: a pure function of seed and
epoch. A batch is the same whatever the number of processes; each reads its places. So a
batch number is all that a resumed run needs.

A batch consists of parts, and a training step draws the same number of rows from each.
What a step is made of therefore does not depend on how many devices share the parts,
and no row has to travel to be shuffled.
"""

import dataclasses
import math
from collections.abc import Iterator

import grain
import numpy as np

from tfvis_jax import errors
from tfvis_jax.data import hidden_states_folder
from tfvis_jax.data import windows as windows_lib

# Enough for all parts to have about as many rows.
WINDOWS_PER_PART = 8
# Reading a batch takes milliseconds: two threads stay ahead of any device.
_READ_OPTIONS = grain.ReadOptions(num_threads=2, prefetch_buffer_size=8)
# Hidden states of a batch are tens of megabytes.
_READ_STATES = grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)


@dataclasses.dataclass(frozen=True)
class Batch:
    """This process's places of a batch, b of them.

    Attributes:
      window_ids: [b] int32, -1 for the empty windows that fill the last batch.
      token_ids: [b, length] int32.
      token_mask: [b, length] bool, false for padding.
      row_mask: [b, length] bool, false for padding and special tokens.
      rows_in_part: [num_parts] int64, how many tokens of each part of the whole batch,
        over all processes, have a true ``row_mask``.
      hidden_states: [b, n_layers, length, d_model] float32, unscaled, where they were
        stored before.
    """

    window_ids: np.ndarray
    token_ids: np.ndarray
    token_mask: np.ndarray
    row_mask: np.ndarray
    rows_in_part: np.ndarray
    hidden_states: np.ndarray | None = None


def num_parts(batch_size: int) -> int:
    """Returns how many parts of `WINDOWS_PER_PART` a batch has; 1 if it has none."""
    return 1 if batch_size % WINDOWS_PER_PART else batch_size // WINDOWS_PER_PART


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
    places: np.ndarray | None = None,
    stored: hidden_states_folder.StoredHiddenStates | None = None,
) -> Iterator[Batch]:
    """Yields every window of ``rows`` once an epoch.

    Shapes are the same throughout: the last batch of an epoch is filled up with
    windows whose masks are all false; in a shuffled one, all parts have about as many.

    Args:
      windows: where to read.
      rows: [n] window numbers, such as ``windows.train``.
      batch_size: windows in a batch, over all processes.
      seed: of the order.
      shuffle: false gives the order of ``rows``.
      start: number of batches to leave out; they are not read.
      num_epochs: times that all windows are given.
      places: which places of every batch to read, from 0; all if None.
      stored: where to read hidden states too.

    Raises:
      InputError: ``batch_size`` is not positive.
    """
    if batch_size < 1:
        raise errors.InputError(f"Expected a batch size >= 1, got {batch_size}.")
    places = np.arange(batch_size) if places is None else np.asarray(places)
    rows = np.asarray(rows)
    per_epoch = num_batches(len(rows), batch_size=batch_size)
    total = per_epoch * num_epochs
    if start >= total:
        return
    order = grain.MapDataset.source(rows)
    if shuffle:
        order = order.shuffle(_shuffle_seed(seed))
    parts = num_parts(batch_size)
    # Dealt out like cards, so that the last batch's windows are spread over the parts.
    dealt = np.arange(batch_size)
    dealt = dealt.reshape(-1, parts).T.reshape(-1) if shuffle else dealt

    def read(number: int) -> Batch:
        epoch, batch = divmod(number, per_epoch)
        turns = batch * batch_size + dealt
        # Beyond its length a MapDataset goes on with the next epoch.
        chosen = [
            order[epoch * len(rows) + turn] if turn < len(rows) else -1
            for turn in turns.tolist()
        ]
        return _read_batch(
            windows,
            np.asarray(chosen, np.int64),
            places=places,
            parts=parts,
            stored=stored,
        )

    dataset = grain.MapDataset.range(start, total).map(read)
    options = _READ_OPTIONS if stored is None else _READ_STATES
    iterator = iter(dataset.to_iter_dataset(options))
    try:
        yield from iterator
    finally:
        iterator.close()


def _shuffle_seed(seed: int) -> int:
    """Spreads seeds out: Grain takes seed + epoch, which would meet seed + 1."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def _read_batch(
    windows: windows_lib.Windows,
    chosen: np.ndarray,
    *,
    places: np.ndarray,
    parts: int,
    stored: hidden_states_folder.StoredHiddenStates | None,
) -> Batch:
    """Reads the windows at some places of a batch; -1 stands for an empty one."""
    ours = chosen[places]
    real = ours >= 0
    shape = (len(ours), windows.window_length)
    token_ids = np.full(shape, windows.pad_id, np.int32)
    token_mask, row_mask = np.zeros(shape, bool), np.zeros(shape, bool)
    token_ids[real] = windows.token_ids(ours[real])
    token_mask[real] = windows.token_mask(ours[real])
    row_mask[real] = windows.row_mask(ours[real])
    hidden_states = None
    if stored is not None:
        hidden_states = np.zeros((len(ours), *stored.shape[1:]), np.float32)
        hidden_states[real] = stored.read(ours[real])
    num_rows = np.zeros(len(chosen), np.int64)
    num_rows[chosen >= 0] = windows.num_rows(chosen[chosen >= 0])
    return Batch(
        window_ids=ours.astype(np.int32),
        token_ids=token_ids,
        token_mask=token_mask,
        row_mask=row_mask,
        rows_in_part=num_rows.reshape(parts, -1).sum(axis=1),
        hidden_states=hidden_states,
    )

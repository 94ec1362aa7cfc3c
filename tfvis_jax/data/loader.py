"""Loads batches of windows, shuffled or in order, for one of several processes.

The order of an epoch is Grain's global index shuffle: a pure function of seed and
epoch. A batch does not depend on the number of processes; each process reads its own
places of it. A resumed run therefore needs no more than a batch number.

A batch consists of parts, and a training step draws the same number of rows from each
part. The rows of a step therefore do not depend on how many devices share the parts,
and shuffling moves no row between devices.
"""

import dataclasses
import math
from collections.abc import Generator

import numpy as np

from tfvis_jax.data import hidden_states_folder
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError

# Enough for all parts to have about the same number of rows.
WINDOWS_PER_PART = 8
# Reading a batch takes milliseconds, so two threads stay ahead of any device.
_BATCHES_AHEAD = 8
# The hidden states of a batch take tens of megabytes, so fewer are kept in memory.
_STATES_AHEAD = 2
_THREADS = 2


@dataclasses.dataclass(frozen=True)
class Batch:
    """The b windows of a batch that this process reads.

    Attributes:
      window_ids: [b] int32, window indices; -1 for the empty windows that fill the last
        batch.
      token_ids: [b, length] int32.
      token_mask: [b, length] bool, False for padding.
      row_mask: [b, length] bool, False for padding and special tokens.
      rows_in_part: [num_parts] int64, number of tokens with a true ``row_mask`` in each
        part of the whole batch, over all processes.
      hidden_states: [b, n_layers, length, d_model] float32, unscaled; None unless they
        are read from disk.
    """

    window_ids: np.ndarray
    token_ids: np.ndarray
    token_mask: np.ndarray
    row_mask: np.ndarray
    rows_in_part: np.ndarray
    hidden_states: np.ndarray | None = None


def num_parts(batch_size: int) -> int:
    """Returns the number of parts in a batch.

    It is 1 if `WINDOWS_PER_PART` does not divide the size.
    """
    return 1 if batch_size % WINDOWS_PER_PART else batch_size // WINDOWS_PER_PART


def num_batches(num_rows: int, *, batch_size: int, num_epochs: int = 1) -> int:
    """Returns the number of batches `batches` yields; every epoch begins a new one."""
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
) -> Generator[Batch, None, None]:
    """Yields batches that hold every window of ``rows`` once per epoch.

    All batches have the same shapes: the last one of an epoch is filled up with windows
    whose masks are all False. If shuffled, these are spread evenly over the parts.

    Args:
      windows: where to read.
      rows: [n] window indices, such as ``windows.train``.
      batch_size: windows in a batch, over all processes.
      seed: seed of the shuffle.
      shuffle: If False, keep the order of ``rows``.
      start: number of batches to skip; they are not read.
      num_epochs: how often all windows are yielded.
      places: which places of every batch this process reads, from 0; all if None.
      stored: stored hidden states to read along with the windows, if any.

    Raises:
      InputError: ``batch_size`` is not positive.
    """
    if batch_size < 1:
        raise InputError(
            f"Expected a batch size of at least 1, got {batch_size}; increase it."
        )
    places = np.arange(batch_size) if places is None else np.asarray(places)
    rows = np.asarray(rows)
    per_epoch = num_batches(len(rows), batch_size=batch_size)
    total = per_epoch * num_epochs
    if start >= total:
        return
    # Slow to import, and who encodes one sentence reads no batch.
    import grain

    order = grain.MapDataset.range(len(rows))
    if shuffle:
        order = order.shuffle(_shuffle_seed(seed))
    parts = num_parts(batch_size)
    # Dealt out like cards, so that the windows of an incomplete batch are spread evenly
    # over the parts.
    dealt = np.arange(batch_size)
    dealt = dealt.reshape(-1, parts).T.reshape(-1) if shuffle else dealt

    def read(number: int) -> Batch:
        epoch, batch = divmod(number, per_epoch)
        turns = batch * batch_size + dealt
        # Beyond its length a MapDataset continues with the next epoch.
        chosen = [
            rows[order[epoch * len(rows) + turn]] if turn < len(rows) else -1
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
    ahead = _BATCHES_AHEAD if stored is None else _STATES_AHEAD
    options = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=ahead)
    iterator = iter(dataset.to_iter_dataset(options))
    try:
        yield from iterator
    finally:
        iterator.close()


def _shuffle_seed(seed: int) -> int:
    """Spreads seeds out, since Grain uses seed + epoch and neighbours would overlap."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def _read_batch(
    windows: windows_lib.Windows,
    chosen: np.ndarray,
    *,
    places: np.ndarray,
    parts: int,
    stored: hidden_states_folder.StoredHiddenStates | None,
) -> Batch:
    """Reads the windows at some places of a batch; index -1 is an empty window."""
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

"""Encodes windows block by block: a block of codes is all that is kept in memory.

Blocks are whole numbers of batches, so that the codes of a block do not depend on which
others are computed in the same call, in which process, or on how many devices.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
import scipy.sparse

from tfvis_jax.codes import tables
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.estimators import csr
from tfvis_jax.runs import parallel_encoding, setup, trained_dictionary

# Tokens of a block, about; codes of seven layers of 32 factors each take 60 MB.
_BLOCK_TOKENS = 2**15
# With hidden states and residuals a row takes a dozen times as much.
_BLOCK_TOKENS_WITH_ROWS = 2**12


class Block(NamedTuple):
    """The codes of consecutive windows; rows are the tokens of the table.

    Attributes:
      number: of the block.
      tokens: [rows], the tokens.
      codes: [rows, n_factors] `csr_array` of float32, one for each layer.
      gap: [n_layers, rows] float32, relative duality gaps.
      x: [n_layers, rows, d_model] float32, hidden states divided by the layer's scale;
        None unless asked for.
      residual: [n_layers, rows, d_model] float32, x − αD; None unless asked for.
    """

    number: int
    tokens: tables.TokenTable
    codes: list[scipy.sparse.csr_array]
    gap: np.ndarray
    x: np.ndarray | None
    residual: np.ndarray | None


class Layout(NamedTuple):
    """How the windows of a text are divided into blocks.

    Attributes:
      windows: [n] numbers of the windows that are encoded.
      n_rows: tokens of them that have a row.
      windows_per_batch: of the run.
      batches_per_block: of all blocks but the last.
    """

    windows: np.ndarray
    n_rows: int
    windows_per_batch: int
    batches_per_block: int

    @property
    def n_blocks(self) -> int:
        return math.ceil(len(self.windows) / self._windows_per_block)

    def of_block(self, number: int) -> np.ndarray:
        """Returns the windows of a block."""
        first = number * self._windows_per_block
        return self.windows[first : first + self._windows_per_block]

    def n_batches(self, number: int) -> int:
        """Returns how many batches a block consists of."""
        return loader.num_batches(
            len(self.of_block(number)), batch_size=self.windows_per_batch
        )

    @property
    def _windows_per_block(self) -> int:
        return self.windows_per_batch * self.batches_per_block


def layout(
    opened: setup.Setup,
    windows: windows_lib.Windows,
    *,
    words: Collection[str] | None,
    with_rows: bool,
) -> Layout:
    """Divides a text into blocks.

    Args:
      opened: model and settings of the run.
      windows: the text.
      words: if given, only windows that hold one of them are encoded.
      with_rows: whether hidden states and residuals are kept.
    """
    chosen = np.arange(len(windows))
    n_rows = windows.num_rows(chosen)
    if words is not None:
        one_by_one = (tables.of_windows(windows, [int(window)]) for window in chosen)
        n_rows = np.array([table.is_any_of(words).sum() for table in one_by_one])
        chosen = np.flatnonzero(n_rows)
    size = opened.config.windows_per_batch
    tokens = _BLOCK_TOKENS_WITH_ROWS if with_rows else _BLOCK_TOKENS
    per_block = max(1, tokens // (size * windows.window_length))
    return Layout(chosen, int(n_rows.sum()), size, per_block)


def encode(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    division: Layout,
    *,
    todo: Sequence[int],
    words: Collection[str] | None = None,
    with_rows: bool = False,
    devices: parallel_encoding.Devices | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[Block]:
    """Yields blocks of codes, in order; computes the next while the caller has one.

    Args:
      opened: model and settings of the run.
      trained: its dictionary, of the layers that are wanted.
      windows: the text.
      division: of the text into blocks.
      todo: numbers of the blocks to compute, ascending.
      words: if given, only their tokens have rows.
      with_rows: If True, also keep hidden states and residuals.
      devices: devices of this process; all if None.
      progress: called with the number of windows done.

    Raises:
      InputError: if hidden states are not finite; names the layer and the windows.
    """
    chosen = [division.of_block(number) for number in todo]
    remaining, parts, group = list(todo), [], []
    n_done = 0
    for index, found in parallel_encoding.encode(
        opened,
        trained,
        windows,
        np.concatenate([np.zeros(0, np.int64), *chosen]),
        devices=jax.local_devices() if devices is None else devices,
        with_x=with_rows,
        with_residual=with_rows,
    ):
        if index == 0:
            group = [_Part(windows, each.batch, words) for each in found]
        for part, each in zip(group, found, strict=True):
            part.add(each)
        if index < len(trained.layers) - 1:
            continue
        parts += group
        n_done += sum(part.n_windows for part in group)
        progress(n_done)
        # Several devices may finish more than one block at once.
        while remaining and len(parts) >= division.n_batches(remaining[0]):
            number = remaining.pop(0)
            n_batches = division.n_batches(number)
            yield _block(number, parts[:n_batches])
            parts = parts[n_batches:]


class _Part:
    """The chosen rows of one batch, layer by layer."""

    def __init__(
        self,
        windows: windows_lib.Windows,
        batch: loader.Batch,
        words: Collection[str] | None,
    ) -> None:
        real = batch.window_ids[batch.window_ids >= 0]
        self.n_windows = len(real)
        self.tokens = tables.of_windows(windows, real)
        self._rows = np.flatnonzero(batch.row_mask)
        if words is not None:
            kept = self.tokens.is_any_of(words)
            self.tokens, self._rows = self.tokens.take(kept), self._rows[kept]
        self.codes: list[scipy.sparse.csr_array] = []
        self.gap: list[np.ndarray] = []
        self.x: list[np.ndarray] = []
        self.residual: list[np.ndarray] = []

    def add(self, layer: parallel_encoding.EncodedLayer) -> None:
        self.codes.append(csr.from_dense(layer.codes[self._rows]))
        self.gap.append(layer.gap[self._rows])
        if layer.x is not None and layer.residual is not None:
            self.x.append(layer.x[self._rows])
            self.residual.append(layer.residual[self._rows])


def _block(number: int, parts: Sequence[_Part]) -> Block:
    def rows(name: str) -> np.ndarray:
        return np.concatenate([np.stack(getattr(part, name)) for part in parts], axis=1)

    with_rows = bool(parts[0].x)
    return Block(
        number=number,
        tokens=tables.joined([part.tokens for part in parts]),
        codes=[
            scipy.sparse.csr_array(scipy.sparse.vstack(layer, format="csr"))
            for layer in zip(*(part.codes for part in parts), strict=True)
        ],
        gap=rows("gap"),
        x=rows("x") if with_rows else None,
        residual=rows("residual") if with_rows else None,
    )

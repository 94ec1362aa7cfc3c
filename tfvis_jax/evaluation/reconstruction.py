"""How much of unseen hidden states a dictionary explains, layer by layer."""

import dataclasses
import functools
import operator
from collections.abc import Callable

import jax
import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.sparse_coding import metrics
from tfvis_jax.training import dictionary_file, encoding, setup


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """Figures over held-out windows; per-layer lists follow the dictionary's layers.

    All are NaN where nothing is held out, as with a text of one window.

    Attributes:
      n_rows: rows that were encoded, all layers together.
      fvu: fraction of variance unexplained, of all layers pooled.
      fvu_per_layer: the same within each layer.
      l0: mean number of active factors in a row.
      l0_per_layer: the same within each layer.
      alive: fraction of factors that fired at least once.
      gap_mean: mean relative duality gap.
      gap_max: its maximum.
    """

    n_rows: int
    fvu: float
    fvu_per_layer: list[float]
    l0: float
    l0_per_layer: list[float]
    alive: float
    gap_mean: float
    gap_max: float


_row_sums = jax.jit(metrics.row_sums)


def evaluate(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    progress: Callable[[int, int], None],
) -> Reconstruction:
    """Encodes the held-out windows and measures the reconstruction.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens; only `held_out` is read.
      progress: called with (windows done, windows in all).
    """
    n_factors, d_model = trained.factors.shape
    zero = metrics.ReconstructionTotals.zeros(d_model=d_model, n_factors=n_factors)
    per_layer = [zero for _ in trained.layers]
    gap_sum, gap_max, done = 0.0, 0.0, 0
    for batch, layers in encoding.encode_windows(
        opened, trained, windows, windows.held_out
    ):
        for index, rows in enumerate(layers):
            sums = _row_sums(rows.x, rows.codes, rows.residual, valid=rows.valid)
            per_layer[index] += jax.device_get(sums)
            gap = np.asarray(rows.gap)[np.asarray(rows.valid)]
            gap_sum += float(gap.sum(dtype=np.float64))
            gap_max = max(gap_max, float(gap.max(initial=0.0)))
        done += int(np.sum(batch.window_ids >= 0))
        progress(done, len(windows.held_out))
    pooled = functools.reduce(operator.add, per_layer)
    return Reconstruction(
        n_rows=int(pooled.n_rows),
        fvu=pooled.fvu(),
        fvu_per_layer=[totals.fvu() for totals in per_layer],
        l0=pooled.l0(),
        l0_per_layer=[totals.l0() for totals in per_layer],
        alive=pooled.alive(),
        gap_mean=gap_sum / pooled.n_rows if pooled.n_rows else float("nan"),
        gap_max=gap_max if pooled.n_rows else float("nan"),
    )

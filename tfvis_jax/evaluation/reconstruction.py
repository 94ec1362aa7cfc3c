"""How much of unseen hidden states a dictionary explains, layer by layer."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import sharding
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.evaluation import intervals as intervals_lib
from tfvis_jax.evaluation import refitted
from tfvis_jax.learning import whitening
from tfvis_jax.runs import parallel_encoding, setup, trained_dictionary
from tfvis_jax.sparse_coding import metrics, objective


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """Metrics of one kind of codes.

    Attributes:
      all: metrics of all layers pooled.
      per_layer: metrics of each layer, in the dictionary's order.
      intervals: 95 % intervals over documents, by the name of the metric ("fvu",
        "l0"); None if there are too few documents.
    """

    all: metrics.Figures
    per_layer: list[metrics.Figures]
    intervals: Mapping[str, intervals_lib.Intervals] | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Metrics on windows, such as those held out; NaN if there are none.

    Padding is never counted, special tokens only in `special_tokens`.

    Attributes:
      n_documents: documents that the windows are of.
      codes: metrics of each kind of codes, by the names of `refitted`.
      special_tokens: lasso codes of the special tokens alone, all layers pooled; None
        where windows have none.
      density: how often factors fire, of the lasso codes.
      gap_mean: mean relative duality gap of the lasso codes; NaN where they are those
        of an encoder, which are called lasso codes here all the same.
      gap_max: its maximum.
    """

    n_documents: int
    codes: dict[str, Reconstruction]
    special_tokens: metrics.Figures | None
    density: metrics.DensityHistogram
    gap_mean: float
    gap_max: float

    @property
    def lasso(self) -> Reconstruction:
        """Metrics of the codes as inferred."""
        return self.codes[refitted.LASSO]

    @property
    def debiased(self) -> Reconstruction:
        """Metrics of the codes refitted on their support."""
        return self.codes[refitted.DEBIASED]


def evaluate(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    chosen: np.ndarray | None = None,
    k: int | None = None,
    devices: sharding.Devices | None = None,
    progress: Callable[[int, int], None],
) -> Evaluation:
    """Encodes windows once and measures the reconstructions.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens, or those of another text.
      chosen: [n] numbers of the windows to measure on; `measured` if None.
      k: also measure the k largest codes of each row, refitted.
      devices: that encode; all of this process if None.
      progress: called with (windows done, windows in all).

    Raises:
      InputError: hidden states that are not finite.
    """
    names = [refitted.LASSO, refitted.DEBIASED, *([refitted.K_LARGEST] if k else [])]
    totals = {name: _zeros(trained) for name in names}
    special = _zeros(trained)
    # Errors are those of hidden states, not of what was whitened.
    dictionary = jnp.asarray(trained.directions)
    # By layer: the order of all rows depends on the number of devices.
    gap_sum, gap_max, done = np.zeros(len(trained.layers)), 0.0, 0
    chosen = windows.measured if chosen is None else chosen
    documents = windows.documents[chosen]
    group_of_window = intervals_lib.groups(documents)
    by_document = [
        intervals_lib.DocumentSums.zeros(
            names,
            n_documents=int(group_of_window.max(initial=-1)) + 1,
            d_model=trained.factors.shape[1],
        )
        for _ in trained.layers
    ]
    for index, layer in parallel_encoding.encode(
        opened,
        trained,
        windows,
        chosen,
        devices=jax.local_devices() if devices is None else devices,
        # Encoded along with the others, and told apart after it.
        with_special=True,
        with_x=True,
    ):
        begin = done
        for rows in layer:
            batch = rows.batch
            end = begin + int(np.sum(batch.window_ids >= 0))
            group, begin = group_of_window[begin:end], end
            is_text = batch.row_mask.reshape(-1)
            is_special = batch.token_mask.reshape(-1) & ~is_text
            x = whitening.unwhiten(jnp.asarray(rows.x), trained.whitening)
            lasso = jnp.asarray(rows.codes)
            kinds = refitted.refitted(x, dictionary, lasso, k=k)
            for name, codes in kinds.items():
                sums, of_windows = jax.device_get(
                    _sums(
                        x,
                        codes,
                        dictionary,
                        is_text,
                        n_windows=len(batch.token_ids),
                    )
                )
                totals[name][index] += sums
                _add(by_document[index], group, of_windows, kind=name)
            sums, _ = _sums(
                x,
                lasso,
                dictionary,
                is_special,
                n_windows=len(batch.token_ids),
            )
            special[index] += jax.device_get(sums)
            gap = rows.gap[is_text]
            gap_sum[index] += gap.sum(dtype=np.float64)
            # Not Python's maximum, which drops the NaN of an encoder's codes.
            gap_max = float(np.maximum(gap_max, gap.max(initial=0.0)))
        if index == len(trained.layers) - 1:
            done = begin
            progress(done, len(chosen))
    codes = {
        name: Reconstruction(
            metrics.figures(layers),
            [metrics.figures([layer]) for layer in layers],
            intervals_lib.of_kind(by_document, name),
        )
        for name, layers in totals.items()
    }
    n_rows = codes[refitted.LASSO].all.n_rows
    return Evaluation(
        n_documents=len(np.unique(documents)),
        codes=codes,
        special_tokens=(
            metrics.figures(special) if windows.prefix or windows.suffix else None
        ),
        density=metrics.density_histogram(
            np.sum([layer.firing for layer in totals[refitted.LASSO]], axis=0),
            n_rows=n_rows,
        ),
        gap_mean=float(gap_sum.sum()) / n_rows if n_rows else float("nan"),
        gap_max=gap_max if n_rows else float("nan"),
    )


def _zeros(
    trained: trained_dictionary.TrainedDictionary,
) -> list[metrics.ReconstructionTotals]:
    n_factors, d_model = trained.factors.shape
    return [
        metrics.ReconstructionTotals.zeros(d_model=d_model, n_factors=n_factors)
        for _ in trained.layers
    ]


class _WindowSums(NamedTuple):
    """Sums over the valid rows of each window; `intervals.DocumentSums`, by window."""

    n_rows: jax.Array
    x: jax.Array
    squared_norm: jax.Array
    squared_error: jax.Array
    n_active: jax.Array


@functools.partial(jax.jit, static_argnames=("n_windows",))
def _sums(
    x: jax.Array,
    codes: jax.Array,
    dictionary: jax.Array,
    valid: jax.Array,
    *,
    n_windows: int,
) -> tuple[metrics.RowSums, _WindowSums]:
    residual = x - objective.decode(codes, dictionary, like=x)
    sums = metrics.row_sums(x, codes, residual, valid=valid)

    def by_window(rows: jax.Array) -> jax.Array:
        return jnp.sum(rows.reshape(n_windows, -1, *rows.shape[1:]), axis=1)

    return sums, _WindowSums(
        n_rows=by_window(valid),
        x=by_window(jnp.where(valid[:, None], x, 0)),
        squared_norm=by_window(sums.squared_norm),
        squared_error=by_window(sums.squared_error),
        n_active=by_window(jnp.where(valid, jnp.sum(codes != 0, axis=1), 0)),
    )


def _add(
    totals: intervals_lib.DocumentSums,
    group: np.ndarray,
    sums: _WindowSums,
    *,
    kind: str,
) -> None:
    """Adds the windows of a batch to their documents, in float64."""

    def add(total: np.ndarray, windows: jax.Array) -> None:
        # Windows that fill up the last batch have no document.
        np.add.at(total, group, np.asarray(windows, np.float64)[: len(group)])

    add(totals.squared_error[kind], sums.squared_error)
    add(totals.n_active[kind], sums.n_active)
    # The same rows for every kind of codes, counted with the first.
    if kind == refitted.LASSO:
        add(totals.n_rows, sums.n_rows)
        add(totals.x, sums.x)
        add(totals.squared_norm, sums.squared_norm)

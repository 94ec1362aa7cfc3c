"""How much of unseen hidden states a dictionary explains, layer by layer."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

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

Sums = TypeVar("Sums")


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
    devices = jax.local_devices() if devices is None else devices
    of_layer = _layer_measure(trained, devices=devices)
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
    for layer in parallel_encoding.encode_in_place(
        opened,
        trained,
        windows,
        chosen,
        devices=devices,
        # Encoded along with the others, and told apart after it.
        with_special=True,
    ):
        found = of_layer(layer, k=k)
        index, begin = layer.number, done
        for place, batch in enumerate(layer.batches):
            end = begin + int(np.sum(batch.window_ids >= 0))
            group, begin = group_of_window[begin:end], end
            for name, (sums, of_windows) in found.codes.items():
                totals[name][index] += _part(sums, place)
                _add(by_document[index], group, _part(of_windows, place), kind=name)
            special[index] += _part(found.special_tokens, place)
            gap = found.gap[place][batch.row_mask.reshape(-1)]
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


class _LayerSums(NamedTuple):
    """What is summed of a layer, on the host; a leading axis of devices everywhere."""

    codes: dict[str, tuple[metrics.RowSums, _WindowSums]]
    special_tokens: metrics.RowSums
    gap: np.ndarray


def _layer_measure(
    trained: trained_dictionary.TrainedDictionary, *, devices: sharding.Devices
) -> Callable[..., _LayerSums]:
    """Returns the function that measures a layer where it was encoded."""
    # Errors are those of hidden states, not of what was whitened.
    refitter = refitted.Refitter(trained.directions, devices=devices)
    mesh, dictionary = refitter.mesh, refitter.dictionary
    whitened_with = sharding.place_copies(mesh, trained.whitening)
    sums, unwhiten = _programs(mesh)

    def measure(layer: parallel_encoding.PlacedLayer, *, k: int | None) -> _LayerSums:
        empty = [np.zeros_like(layer.batches[0].row_mask)] * (
            mesh.size - len(layer.batches)
        )
        is_text, is_token = (
            sharding.place_apart(
                mesh,
                np.stack([getattr(batch, name) for batch in layer.batches] + empty),
            )
            for name in ("row_mask", "token_mask")
        )
        x = layer.x
        if whitened_with is not None:
            x = unwhiten(whitened_with, x)
        kinds = refitter.refitted(x, layer.codes, k=k)
        found = {
            name: sums(dictionary, x, codes, is_text, is_token)
            for name, codes in kinds.items()
        }
        of_text, of_special, gap = jax.device_get(
            (
                {name: each[:2] for name, each in found.items()},
                found[refitted.LASSO][2],
                layer.gap,
            )
        )
        return _LayerSums(of_text, of_special, gap)

    return measure


# Cached, because jit compiles each new function object.
@functools.lru_cache(maxsize=4)
def _programs(mesh: jax.sharding.Mesh) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def unwhiten(with_: whitening.Whitening, x: jax.Array) -> jax.Array:
        return whitening.unwhiten(x, with_)

    return (
        sharding.on_each(mesh, _sums, n_shared=1),
        sharding.on_each(mesh, unwhiten, n_shared=1),
    )


def _sums(
    dictionary: jax.Array,
    x: jax.Array,
    codes: jax.Array,
    is_text: jax.Array,
    is_token: jax.Array,
) -> tuple[metrics.RowSums, _WindowSums, metrics.RowSums]:
    """Returns the sums over text, by window as well, and those over special tokens.

    Args:
      dictionary: [n_factors, d_model].
      x: [windows * length, d_model].
      codes: [windows * length, n_factors].
      is_text: [windows, length] bool.
      is_token: [windows, length] bool, of special tokens too.
    """
    residual = x - objective.decode(codes, dictionary, like=x)
    valid = is_text.reshape(-1)
    sums = metrics.row_sums(x, codes, residual, valid=valid)
    special = metrics.row_sums(x, codes, residual, valid=is_token.reshape(-1) & ~valid)

    def by_window(rows: jax.Array) -> jax.Array:
        return jnp.sum(rows.reshape(len(is_text), -1, *rows.shape[1:]), axis=1)

    of_windows = _WindowSums(
        n_rows=by_window(valid),
        x=by_window(jnp.where(valid[:, None], x, 0)),
        squared_norm=by_window(sums.squared_norm),
        squared_error=by_window(sums.squared_error),
        n_active=by_window(jnp.where(valid, jnp.sum(codes != 0, axis=1), 0)),
    )
    return sums, of_windows, special


def _part(sums: Sums, place: int) -> Sums:
    """Returns what one device has summed."""
    return jax.tree.map(lambda array: array[place], sums)


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

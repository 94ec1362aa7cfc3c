"""How much of unseen hidden states a dictionary explains, layer by layer."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.evaluation import refitted
from tfvis_jax.runs import dictionary_file, encoding, setup
from tfvis_jax.sparse_coding import metrics, objective


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """Metrics of one kind of codes.

    Attributes:
      all: metrics of all layers pooled.
      per_layer: metrics of each layer, in the dictionary's order.
    """

    all: metrics.Figures
    per_layer: list[metrics.Figures]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Metrics on held-out windows; NaN if nothing is held out.

    Padding is never counted, special tokens only in `special_tokens`.

    Attributes:
      codes: metrics of each kind of codes, by the names of `refitted`.
      special_tokens: lasso codes of [CLS] and [SEP] alone, all layers pooled; None
        where windows have none.
      density: how often factors fire, of the lasso codes.
      gap_mean: mean relative duality gap of the lasso codes.
      gap_max: its maximum.
    """

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
    trained: dictionary_file.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    k: int | None = None,
    progress: Callable[[int, int], None],
) -> Evaluation:
    """Encodes the held-out windows once and measures the reconstructions.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens; only those `measured` are read.
      k: also measure the k largest codes of each row, refitted.
      progress: called with (windows done, windows in all).

    Raises:
      InputError: hidden states that are not finite.
    """
    names = [refitted.LASSO, refitted.DEBIASED, *([refitted.K_LARGEST] if k else [])]
    totals = {name: _zeros(trained) for name in names}
    special = _zeros(trained)
    dictionary = jnp.asarray(trained.factors)
    gap_sum, gap_max, done = 0.0, 0.0, 0
    for batch, hidden_states in encoding.scaled_windows(
        opened, trained, windows, windows.measured
    ):
        is_text = batch.row_mask.reshape(-1)
        is_special = batch.token_mask.reshape(-1) & ~is_text
        # Special tokens are encoded along with the others, and told apart after it.
        every = dataclasses.replace(batch, row_mask=batch.token_mask)
        layers = encoding.encode_layers(opened, trained, every, hidden_states)
        for index, rows in enumerate(layers):
            kinds = refitted.refitted(rows.x, dictionary, rows.codes, k=k)
            for name, codes in kinds.items():
                sums = _sums(rows.x, codes, dictionary, is_text)
                totals[name][index] += jax.device_get(sums)
            sums = _sums(rows.x, rows.codes, dictionary, is_special)
            special[index] += jax.device_get(sums)
            gap = np.asarray(rows.gap)[is_text]
            gap_sum += float(gap.sum(dtype=np.float64))
            gap_max = max(gap_max, float(gap.max(initial=0.0)))
        done += int(np.sum(batch.window_ids >= 0))
        progress(done, len(windows.measured))
    codes = {
        name: Reconstruction(
            metrics.figures(layers), [metrics.figures([layer]) for layer in layers]
        )
        for name, layers in totals.items()
    }
    n_rows = codes[refitted.LASSO].all.n_rows
    return Evaluation(
        codes=codes,
        special_tokens=metrics.figures(special) if windows.special_tokens else None,
        density=metrics.density_histogram(
            np.sum([layer.firing for layer in totals[refitted.LASSO]], axis=0),
            n_rows=n_rows,
        ),
        gap_mean=gap_sum / n_rows if n_rows else float("nan"),
        gap_max=gap_max if n_rows else float("nan"),
    )


def _zeros(
    trained: dictionary_file.TrainedDictionary,
) -> list[metrics.ReconstructionTotals]:
    n_factors, d_model = trained.factors.shape
    return [
        metrics.ReconstructionTotals.zeros(d_model=d_model, n_factors=n_factors)
        for _ in trained.layers
    ]


@jax.jit
def _sums(
    x: jax.Array, codes: jax.Array, dictionary: jax.Array, valid: jax.Array
) -> metrics.RowSums:
    residual = x - objective.decode(codes, dictionary, like=x)
    return metrics.row_sums(x, codes, residual, valid=valid)

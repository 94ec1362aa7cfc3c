"""How much of the rows' variance a dictionary explains, in bounded memory."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.estimators import batches
from tfvis_jax.sparse_coding import metrics, objective


def explained_variance(
    rows: np.ndarray, dictionary: np.ndarray, **settings: Any
) -> float:
    """Returns 1 − Σ ‖x − x̂‖² / Σ ‖x − μ‖², μ the mean row; NaN without variance.

    Args:
      rows: [rows, d_model], any number; may be memory-mapped.
      dictionary: [n_factors, d_model].
      **settings: of `batches.device_batches`.
    """
    n_factors, d_model = dictionary.shape
    on_device = jnp.asarray(dictionary)
    totals = metrics.ReconstructionTotals.zeros(d_model=d_model, n_factors=n_factors)
    for batch in batches.device_batches(rows, on_device, **settings):
        valid = np.arange(len(batch.x)) < batch.n_rows
        totals += _sums(batch.x, batch.encoding.codes, on_device, valid)
    return 1 - totals.fvu()


@jax.jit
def _sums(
    x: jax.Array, codes: jax.Array, dictionary: jax.Array, valid: jax.Array
) -> metrics.RowSums:
    residual = x - objective.decode(codes, dictionary, like=x)
    return metrics.row_sums(x, codes, residual, valid=valid)

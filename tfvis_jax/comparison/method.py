"""The interface of every compared method, and how it is measured.

All reconstruct linearly: x̂ = offset + codes @ factors. Codes may therefore be refitted
on their support for any of them.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import matching
from tfvis_jax.sparse_coding import metrics

# More rows would not move a threshold.
CALIBRATION_ROWS = 16_384
_KEPT_SHARE = 1 / 32
# A smaller sample would miss the target by more than training rows do.
_LEAST_KEPT = 512


class Method(Protocol):
    """A dictionary with a way to infer codes."""

    @property
    def factors(self) -> jax.Array:
        """[n_factors, d_model], unit rows."""
        ...

    @property
    def offset(self) -> jax.Array:
        """[d_model], added to what the codes give."""
        ...

    def codes(self, x: jax.Array) -> jax.Array:
        """Returns the codes [rows, n_factors] of ``x`` [rows, d_model]."""
        ...

    def reconstruct(self, x: jax.Array) -> jax.Array:
        """Returns ``offset + codes(x) @ factors``, [rows, d_model]."""
        ...


def measure(
    method: Method, x: jax.Array | np.ndarray, *, batch_size: int = 4096
) -> metrics.Figures:
    """Measures a method on rows that it was not trained on.

    Args:
      method: what to measure.
      x: [rows, d_model].
      batch_size: rows encoded at once; bounds memory and does not change the result.
    """
    n_factors, d_model = method.factors.shape
    totals = metrics.ReconstructionTotals.zeros(d_model=d_model, n_factors=n_factors)
    for start in range(0, x.shape[0], batch_size):
        rows = jnp.asarray(x[start : start + batch_size])
        codes = method.codes(rows)
        residual = rows - method.offset[None, :] - codes @ method.factors
        valid = jnp.ones(rows.shape[0], bool)
        totals += jax.device_get(_row_sums(rows, codes, residual, valid=valid))
    return metrics.figures([totals])


def keep_back(x: np.ndarray | jax.Array) -> tuple[Any, Any]:
    """Splits rows into a training part and a calibration part.

    Thresholds that decide L0 are set on rows held out of training, since more factors
    fire on new rows than on training rows (5 % more, after ten passes over 60,000).
    Where rows are few, all of them serve both purposes.

    Args:
      x: [rows, d_model], in random order; the last thirty-second is kept back.

    Returns:
      The rows to learn from and those to calibrate on.
    """
    kept = min(int(_KEPT_SHARE * x.shape[0]), CALIBRATION_ROWS)
    if kept < _LEAST_KEPT:
        return x, x
    return x[:-kept], x[-kept:]


def centre_and_scale(x: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """Returns the mean of rows [rows, d_model] and their rms distance from it.

    Raises:
      InputError: the rows are all the same.
    """
    centre = np.asarray(np.mean(x, axis=0, dtype=np.float64), np.float32)
    squares = np.sum((x - centre).astype(np.float64) ** 2, axis=1)
    scale = np.sqrt(np.mean(squares))
    if not scale > 0:
        raise InputError("Expected rows that differ from each other, got equal ones.")
    return centre, np.float32(scale)


def match_factors(a: jax.Array | np.ndarray, b: jax.Array | np.ndarray) -> float:
    """Returns the mean cosine of two dictionaries' factors, matched one to one.

    The assignment maximises it (Hungarian algorithm); 1 if one is a permutation of the
    other. Where the numbers of factors differ, the factors left over are ignored.

    Args:
      a: [n_factors, d_model].
      b: [another number of factors, d_model].

    Raises:
      InputError: if the widths differ.
    """
    return float(matching.assign(np.asarray(a), np.asarray(b)).cosine.mean())


_row_sums = jax.jit(metrics.row_sums)

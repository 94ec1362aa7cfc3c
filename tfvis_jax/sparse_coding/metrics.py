"""How well codes describe hidden states; each number is defined here, once.

Sums are added over batches in float64 NumPy on the host, so that a corpus of any size
gives the same figures as one large array.

    FVU = Σ ‖x − x̂‖² / Σ ‖x − mean(x)‖²      fraction of variance unexplained
    L0  = mean number of factors with α ≠ 0 in a row
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class RowSums(NamedTuple):
    """Sums over the valid rows of a batch, on the device.

    Attributes:
      n_rows: scalar.
      x: [d_model], Σ x.
      squared_norm: scalar, Σ ‖x‖².
      squared_error: scalar, Σ ‖x − x̂‖².
      n_active: scalar, number of non-zero codes.
      firing: [n_factors], number of rows in which each factor fires.
    """

    n_rows: jax.Array
    x: jax.Array
    squared_norm: jax.Array
    squared_error: jax.Array
    n_active: jax.Array
    firing: jax.Array


def row_sums(
    x: jax.Array, codes: jax.Array, residual: jax.Array, *, valid: jax.Array
) -> RowSums:
    """Returns the sums of one batch.

    Args:
      x: [batch, d_model].
      codes: [batch, n_factors].
      residual: [batch, d_model], ``x − codes @ dictionary``.
      valid: [batch] bool, false for padding.
    """
    weight = valid.astype(x.dtype)
    fires = jnp.where(valid[:, None], codes != 0, False)
    firing = jnp.sum(fires, axis=0)
    return RowSums(
        n_rows=jnp.sum(valid),
        x=jnp.sum(x * weight[:, None], axis=0),
        squared_norm=jnp.sum(jnp.sum(x**2, axis=1) * weight),
        squared_error=jnp.sum(jnp.sum(residual**2, axis=1) * weight),
        n_active=jnp.sum(firing),
        firing=firing,
    )


@dataclasses.dataclass
class ReconstructionTotals:
    """Adds `RowSums` of many batches, in float64 on the host."""

    n_rows: float
    x: np.ndarray
    squared_norm: float
    squared_error: float
    n_active: float
    firing: np.ndarray

    @classmethod
    def zeros(cls, *, d_model: int, n_factors: int) -> "ReconstructionTotals":
        """Returns totals of no rows at all."""
        return cls(0.0, np.zeros(d_model), 0.0, 0.0, 0.0, np.zeros(n_factors))

    def __add__(self, sums: "RowSums | ReconstructionTotals"):
        return ReconstructionTotals(
            *(
                getattr(self, field.name)
                + np.asarray(getattr(sums, field.name), np.float64)
                for field in dataclasses.fields(self)
            )
        )

    def fvu(self) -> float:
        """Returns the fraction of variance unexplained, about the mean row."""
        variance = self.squared_norm - np.sum(self.x**2) / max(self.n_rows, 1)
        return float(self.squared_error / variance) if variance > 0 else float("nan")

    def l0(self) -> float:
        """Returns the mean number of active factors in a row; NaN without rows."""
        return float(self.n_active / self.n_rows) if self.n_rows else float("nan")

    def alive(self) -> float:
        """Returns the fraction of factors that fired at all; NaN without rows."""
        return float(np.mean(self.firing > 0)) if self.n_rows else float("nan")

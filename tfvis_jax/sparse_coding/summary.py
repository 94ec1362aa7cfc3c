"""How a solve of many rows went, in a few numbers."""

from typing import NamedTuple

import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import encoding as encoding_lib


class Summary(NamedTuple):
    """Steps and gaps over the rows of an encoding; `str` makes a line of it.

    Attributes:
      solver: name of the solver.
      num_rows: number of rows.
      num_converged: rows whose gap is within the tolerance.
      mean_steps: mean number of steps of a row.
      max_steps: largest number of steps of a row.
      median_gap: median of the relative duality gaps.
      gap_90: gap that 90 % of the rows do not exceed.
      gap_99: gap that 99 % of the rows do not exceed.
      max_gap: largest gap.
    """

    solver: str
    num_rows: int
    num_converged: int
    mean_steps: float
    max_steps: int
    median_gap: float
    gap_90: float
    gap_99: float
    max_gap: float

    def __str__(self) -> str:
        return (
            f"{self.solver}: {self.num_converged:,} of {self.num_rows:,} rows "
            f"converged in {self.mean_steps:.1f} steps (at most {self.max_steps}); gap "
            f"{self.median_gap:.1e} in the median, {self.gap_90:.1e} for 90 %, "
            f"{self.gap_99:.1e} for 99 %, {self.max_gap:.1e} at worst"
        )


def summarise(
    encoding: encoding_lib.Encoding, *, solver: str, valid: np.ndarray | None = None
) -> Summary:
    """Summarises an encoding on the host; arrays may have any leading shape.

    Args:
      encoding: of `encode`; a gap that is no number counts as infinite.
      solver: the name of the solver that was used; `choose_solver` gives the one
        that "auto" means.
      valid: bool, of the shape of the gaps: which rows count; all if None.

    Raises:
      InputError: if ``valid`` is no mask of that shape.
    """
    gap, num_steps, converged = (np.asarray(a) for a in encoding[1:])
    valid = np.ones(gap.shape, bool) if valid is None else np.asarray(valid)
    if valid.dtype != bool or valid.shape != gap.shape:
        raise InputError(
            f"Expected `valid` to be bool of shape {gap.shape}, got {valid.dtype} of "
            f"{valid.shape}."
        )
    gap = np.where(np.isnan(gap), np.inf, gap)[valid]
    num_steps, converged = num_steps[valid], converged[valid]
    if not gap.size:
        return Summary(solver, 0, 0, 0.0, 0, 0.0, 0.0, 0.0, 0.0)
    # A gap that some row has, so that infinity is met as such.
    levels = np.quantile(gap, [0.5, 0.9, 0.99, 1], method="higher").tolist()
    return Summary(
        solver,
        gap.size,
        int(converged.sum()),
        float(num_steps.mean()),
        int(num_steps.max()),
        *levels,
    )

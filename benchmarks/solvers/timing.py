"""Runs candidates in turn on the same rows, certifies what they return, keeps the best.

Each runs once beforehand, which is not timed: its codes are judged then. The timed runs
go round all candidates, one at a time, so that a disturbance slows all of them alike;
every time is kept.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import sparse_coding


class Solved(NamedTuple):
    """What one run gives.

    Attributes:
      codes: [batch, n_factors].
      num_steps: [batch], or None where a method does not count them.
      seconds: from prepared inputs to the last code.
      memory_mb: most memory in use beyond the inputs; None where it is unknown.
    """

    codes: jax.Array | np.ndarray
    num_steps: jax.Array | np.ndarray | None
    seconds: float
    memory_mb: float | None


@dataclasses.dataclass(frozen=True)
class TimedSolver:
    """One method at one setting.

    Attributes:
      solver: its name.
      batch: rows that it is given, from the first one on.
      setting: what else identifies it; goes into the JSON as it is.
      solve: does it once.
      device: what it runs on.
      compile_s: seconds that compiling took; 0 where nothing is compiled.
      step_flop: floating point operations of a row's step, where steps are dense.
    """

    solver: str
    batch: int
    setting: dict[str, Any]
    solve: Callable[[], Solved]
    device: str
    compile_s: float = 0.0
    step_flop: float | None = None


def measure(
    candidates: Sequence[TimedSolver],
    x: np.ndarray,
    dictionary: np.ndarray,
    *,
    l1_penalty: float,
    repeats: int,
    progress: Callable[[str], None],
    peak_tflops: float | None = None,
) -> list[dict[str, Any]]:
    """Returns one row of the JSON for each candidate.

    ``error`` is Σ‖x − αD‖² / Σ‖x‖², ``l0`` the mean number of codes that are not zero,
    and ``seconds`` holds every timed run.

    Args:
      candidates: what to run.
      x: [rows, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ of the certificate.
      repeats: timed runs of each candidate.
      progress: called with a line of text before each piece of work.
      peak_tflops: of the device's matrix products; adds ``peak_fraction`` to the rows.
    """
    rows = []
    for candidate in candidates:
        setting = [f"{k} {v}" for k, v in candidate.setting.items() if v is not None]
        progress(f"first run: {', '.join([candidate.solver, *setting])}")
        rows.append(_judge(candidate, x, dictionary, l1_penalty=l1_penalty))
    for repeat in range(repeats):
        progress(f"timed run {repeat + 1} of {repeats}, {len(candidates)} settings")
        for candidate, row in zip(candidates, rows, strict=True):
            row["seconds"].append(candidate.solve().seconds)
    for candidate, row in zip(candidates, rows, strict=True):
        row["rows_per_s"] = candidate.batch / min(row["seconds"])
        if peak_tflops and candidate.step_flop:
            flops = candidate.step_flop * row["steps_mean"] * row["rows_per_s"]
            row["peak_fraction"] = flops / (peak_tflops * 1e12)
    return rows


@jax.jit
def certify(
    x: jax.Array, dictionary: jax.Array, codes: jax.Array, l1_penalty: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns the relative duality gap and the squared error of each row, [batch]."""
    gap = sparse_coding.duality_gap(x, dictionary, codes, l1_penalty=l1_penalty)
    residual = x - sparse_coding.decode(codes, dictionary)
    return gap, jnp.sum(residual**2, axis=1)


def _judge(
    candidate: TimedSolver, x: np.ndarray, dictionary: np.ndarray, *, l1_penalty: float
) -> dict[str, Any]:
    solved = candidate.solve()
    codes = np.asarray(solved.codes)
    x = x[: candidate.batch]
    # One certificate for all, whatever a solver computes in.
    gap, error = certify(
        x, dictionary, codes.astype(np.float32), np.float32(l1_penalty)
    )
    gap, error = np.asarray(gap), np.asarray(error)
    energy = float(np.sum(x**2, dtype=np.float64))
    steps = solved.num_steps
    return {
        "solver": candidate.solver,
        "device": candidate.device,
        "dtype": str(codes.dtype),
        "batch": candidate.batch,
        "rows_per_s": None,
        "gap_mean": float(np.mean(gap)),
        "gap_max": float(np.max(gap)),
        "steps_mean": None if steps is None else float(np.mean(np.asarray(steps))),
        "l0": float(np.mean(np.sum(codes != 0, axis=1))),
        "compile_s": candidate.compile_s,
        "peak_memory_mb": solved.memory_mb,
        "l1_penalty": l1_penalty,
        "error": float(np.sum(error, dtype=np.float64)) / energy if energy else None,
        "seconds": [],
        **candidate.setting,
    }

"""Learns a dictionary from rows in memory or on disk, without a model or a run.

The steps are those of a run (`step.train_step`); this is the loop for people who have
hidden states already, and for comparisons on equal rows.
"""

import math
import numbers
import warnings
from collections.abc import Callable, Iterator

import jax
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax.errors import InputError
from tfvis_jax.learning import first_state, step
from tfvis_jax.learning import state as state_lib
from tfvis_jax.sparse_coding import checks

# Rows that first factors and first λ are chosen from, as a multiple of the factors.
_SAMPLE = 8
# Gradients have the size of squares of rows, and updates square them once more.
_LARGEST = 1e8
# Kinds of NumPy types that hold no real numbers: NumPy would read text and objects as
# numbers where it can.
_NOT_REAL = frozenset("cOSUMm")


def learn(
    x: np.ndarray,
    *,
    solver: config_lib.SolverConfig,
    dictionary: config_lib.DictionaryConfig,
    sparsity: config_lib.SparsityConfig = step.FIXED_PENALTY,
    rows_per_step: int = 2048,
    num_passes: int = 1,
    seed: int = 0,
    scale: float = 1.0,
    state: state_lib.TrainState | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> state_lib.TrainState:
    """Learns a dictionary.

    Args:
      x: [rows, d_model], float16 or float32, finite; may be memory-mapped, since only
        the rows of one step are read at a time. Scale them as a run does, to a
        root-mean-square norm of 1, for the default λ and step size to fit.
      solver: how codes are inferred.
      dictionary: how factors are chosen and moved.
      sparsity: how λ moves; by default it stays.
      rows_per_step: rows in one dictionary step, at most.
      num_passes: how often every row is used.
      seed: decides first factors and order of rows.
      scale: rows are divided by it.
      state: what to go on from, donated; made from a sample of the rows if None.
      progress: called with (steps done, steps in all).

    Returns:
      The last state; `dictionary` [n_factors, d_model] and `l1_penalty` are what was
      learnt.

    Raises:
      InputError: there are no rows, they are no real numbers, or some are not finite.
    """
    shape = getattr(x, "shape", None)
    kind = getattr(getattr(x, "dtype", None), "kind", "f")
    if shape is None or len(shape) != 2 or not len(x) or kind in _NOT_REAL:
        got = type(x).__name__ if shape is None else f"{x.dtype} of shape {shape}"
        raise InputError(
            f"Expected an array of real rows, of shape [rows, d_model], got {got}."
        )
    checks.check_not_masked("x", x)
    checks.check_count("rows_per_step", rows_per_step)
    checks.check_count("num_passes", num_passes)
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise InputError(f"Expected `seed` a whole number of 0 or more, got {seed!r}.")
    if not (isinstance(scale, numbers.Real) and 0 < scale < math.inf):
        raise InputError(f"Expected `scale` positive and finite, got {scale!r}.")
    # Padded to a power of two, so that few programs are compiled for few rows.
    rows_per_step = min(rows_per_step, 1 << (len(x) - 1).bit_length())
    rng = np.random.default_rng(seed)
    learnt = state
    if learnt is None:
        if len(x) < dictionary.n_factors:
            warnings.warn(
                f"Got {len(x):,} rows for {dictionary.n_factors:,} factors: most "
                "factors will be copies of single rows, or stay unused. Give more "
                "rows, or learn fewer factors.",
                stacklevel=2,
            )
        sample = rng.permutation(len(x))[: _SAMPLE * dictionary.n_factors]
        rows = _finite(x, np.sort(sample), scale=scale)
        learnt = first_state.from_sample(
            rows[rng.permutation(len(sample))],
            np.full((1,), scale, np.float32),
            solver=solver,
            dictionary=dictionary,
            sparsity=sparsity,
            key=jax.random.key(seed),
        )
    total = num_passes * math.ceil(len(x) / rows_per_step)
    weights = jax.device_put(np.ones(rows_per_step, np.float32))
    batches = _batches(
        x, rng, rows_per_step=rows_per_step, num_passes=num_passes, scale=scale
    )
    for done, (rows, valid) in enumerate(batches):
        learnt, _ = step.train_step(
            learnt,
            rows,
            weights,
            valid,
            progress=np.float32(done / total),
            solver=solver,
            dictionary=dictionary,
            sparsity=sparsity,
        )
        progress(done + 1, total)
    if int(learnt.idle.min()) >= total:
        warnings.warn(
            f"No factor fired on any row, so nothing was learnt: λ = "
            f"{float(learnt.l1_penalty):.3g} is above what these rows reach. Give "
            "their root-mean-square norm as `scale`, or a smaller λ.",
            stacklevel=2,
        )
    return learnt


def _batches(
    x: np.ndarray,
    rng: np.random.Generator,
    *,
    rows_per_step: int,
    num_passes: int,
    scale: float = 1.0,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields rows, padded to one size, with the mask of real ones."""
    for _ in range(num_passes):
        order = rng.permutation(len(x))
        # Spread evenly: a step on a handful of rows would be mostly noise.
        for chosen in np.array_split(order, math.ceil(len(x) / rows_per_step)):
            padding = ((0, rows_per_step - len(chosen)), (0, 0))
            # In the order of the file, which a disk reads faster.
            rows = np.pad(_finite(x, np.sort(chosen), scale=scale), padding)
            yield rows, np.arange(rows_per_step) < len(chosen)


def _finite(x: np.ndarray, chosen: np.ndarray, *, scale: float) -> np.ndarray:
    """Returns the rows of these numbers, divided by the scale."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        rows = np.asarray(x[chosen], np.float32) / np.float32(scale)
    magnitude = np.maximum(rows.max(axis=1), -rows.min(axis=1))
    finite = np.isfinite(magnitude)
    if not finite.all():
        raise InputError(
            "Expected finite rows in the range of float32, got NaN or infinity in row "
            f"{chosen[np.argmin(finite)]}; leave such rows out."
        )
    if not (magnitude <= _LARGEST).all():
        row = int(np.argmax(magnitude))
        raise InputError(
            f"Expected rows within ±{_LARGEST:g} when divided by `scale`, got "
            f"{magnitude[row]:.3g} in row {chosen[row]}: gradients and their squares "
            "must be in the range of float32. Give the rows' root-mean-square norm as "
            "`scale`."
        )
    return rows

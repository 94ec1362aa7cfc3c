"""Cost of a solve against the number of rows and against the number of factors.

The number of active factors is held fixed: λ is found by bisection for every
dictionary. Memory for a row in flight is the slope of the compiled program's memory in
the number of rows, so that what a program needs once is not counted.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.solvers import candidates, timing
from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import for_l0

# Relative gap of every solve here: the one that training asks for.
TOLERANCE = 1e-3
# Rows that λ is found on.
_SAMPLE = 256


def penalty_for_l0(x: np.ndarray, dictionary: np.ndarray, *, l0: float) -> float:
    """Returns the λ at which a sample of rows uses ``l0`` factors on average.

    Args:
      x: [rows, d_model]; the first ones are used.
      dictionary: [n_factors, d_model].
      l0: mean number of active factors.

    Raises:
      InputError: no λ does.
    """
    sample, factors = jnp.asarray(x[:_SAMPLE]), jnp.asarray(dictionary)
    return float(for_l0(sample, factors, target_l0=l0))


def rows_curve(
    x: np.ndarray,
    dictionary: np.ndarray,
    *,
    solvers: Sequence[str],
    batches: Sequence[int],
    l0: float,
    repeats: int,
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measures batches of several sizes on one dictionary.

    Args:
      x: [rows, d_model], at least as many as the largest batch.
      dictionary: [n_factors, d_model].
      solvers: names in `encode`.
      batches: numbers of rows.
      l0: mean number of active factors.
      repeats: timed runs of each.
      progress: called with lines of text.

    Returns:
      A row a solver and batch: those of `timing.measure`, with ``n_factors`` and
      ``codes_per_row``, memory for a row in flight over that of its codes.
    """
    l1_penalty = penalty_for_l0(x, dictionary, l0=l0)
    return _points(
        x,
        dictionary,
        [(solver, batch) for solver in solvers for batch in batches],
        l1_penalty=l1_penalty,
        repeats=repeats,
        progress=progress,
    )


def factors_curve(
    x: np.ndarray,
    samples: np.ndarray,
    *,
    solvers: Sequence[str],
    sizes: Sequence[int],
    l0: float,
    repeats: int,
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measures one batch on dictionaries of several sizes, made of sampled rows.

    Args:
      x: [rows, d_model], the batch.
      samples: [samples, d_model], other rows; a size takes as many.
      solvers: names in `encode`.
      sizes: numbers of factors.
      l0: mean number of active factors, at every size.
      repeats: timed runs of each.
      progress: called with lines of text.

    Returns:
      As `rows_curve`.

    Raises:
      InputError: there are fewer samples than factors.
    """
    if len(samples) < max(sizes):
        raise InputError(
            f"Expected {max(sizes)} rows to make factors of, beside those that are "
            f"encoded; got {len(samples)}. Take fewer --factors or more text."
        )
    points = []
    for n_factors in sizes:
        dictionary = np.asarray(
            dictionary_lib.initialise_from_samples(
                jnp.asarray(samples), n_factors=n_factors, key=jax.random.key(0)
            )
        )
        points += _points(
            x,
            dictionary,
            [(solver, len(x)) for solver in solvers],
            l1_penalty=penalty_for_l0(x, dictionary, l0=l0),
            repeats=repeats,
            progress=progress,
        )
    return points


def _points(
    x: np.ndarray,
    dictionary: np.ndarray,
    points: Sequence[tuple[str, int]],
    *,
    l1_penalty: float,
    repeats: int,
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    n_factors, d_model = dictionary.shape
    shape = {"d_model": d_model, "n_factors": n_factors}
    wanted, memory = [], []
    for solver, batch in points:
        progress(f"compiling {solver}: {batch} rows, {n_factors} factors")
        program = candidates.compile_program(solver, batch=batch, **shape)
        half = candidates.compile_program(solver, batch=batch // 2, **shape)
        bytes_a_row = 1e6 * (program.memory_mb - half.memory_mb) / (batch - batch // 2)
        memory.append(bytes_a_row / (4 * n_factors))
        wanted.append(
            program.candidate(x, dictionary, l1_penalty=l1_penalty, tolerance=TOLERANCE)
        )
    rows = timing.measure(
        wanted,
        x,
        dictionary,
        l1_penalty=l1_penalty,
        repeats=repeats,
        progress=progress,
    )
    return [
        row | {"n_factors": n_factors, "codes_per_row": codes}
        for row, codes in zip(rows, memory, strict=True)
    ]

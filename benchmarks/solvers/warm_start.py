"""What a start from older codes saves, when the dictionary has moved by one step.

Rows are encoded, the dictionary takes one real training step on them, and the same rows
are encoded again: from zero, and from the codes before the step. Training begins with
long steps and ends with short ones; both ends are measured.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.solvers import curves
from tfvis_jax import config as config_lib
from tfvis_jax.errors import InputError
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step as step_lib
from tfvis_jax.sparse_coding import encode

# Steps taken beforehand, so that the running code energy is that of a run under way.
SETTLING_STEPS = 10
# What training asks for, and what `encode` gives by default.
_TOLERANCES = (curves.TOLERANCE, 1e-4)
_MAX_STEPS = 3000

_solve = jax.jit(
    functools.partial(encode, max_steps=_MAX_STEPS), static_argnames=("solver",)
)


def measure(
    samples: np.ndarray,
    dictionary: np.ndarray,
    *,
    solvers: Sequence[str],
    l0s: Sequence[float],
    rows_per_step: int,
    repeats: int,
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Counts steps of cold and warm solves after one training step.

    Args:
      samples: [samples, d_model], rows to train on; at least
        (`SETTLING_STEPS` + 1) · rows_per_step.
      dictionary: [n_factors, d_model], a learnt one.
      solvers: names in `encode`.
      l0s: numbers of active factors to find λ for.
      rows_per_step: rows of a training step, and of the solves.
      repeats: timed runs of each solve.
      progress: called with lines of text.

    Returns:
      A row for each solver, tolerance, step size and λ.

    Raises:
      InputError: there are too few samples.
    """
    needed = (SETTLING_STEPS + 1) * rows_per_step
    if len(samples) < needed:
        raise InputError(
            f"Expected {needed} rows to train on, got {len(samples)}. Take fewer "
            "--rows_per_step or more text."
        )
    batches = samples[:needed].reshape(-1, rows_per_step, samples.shape[1])
    rows = []
    for l0 in l0s:
        l1_penalty = curves.penalty_for_l0(batches[-1], dictionary, l0=l0)
        for part_of_run in (0.0, 1.0):
            progress(f"training {len(batches)} steps at λ = {l1_penalty:.3g}")
            before, after, step_size = _train(
                dictionary, batches, l1_penalty=l1_penalty, part_of_run=part_of_run
            )
            about = {
                "l0_wanted": l0,
                "l1_penalty": l1_penalty,
                "step_size": step_size,
                "moved": float(np.mean(np.linalg.norm(after - before, axis=1))),
            }
            for solver in solvers:
                for tolerance in _TOLERANCES:
                    rows.append(
                        about
                        | _compare(
                            batches[-1],
                            before,
                            after,
                            solver=solver,
                            l1_penalty=l1_penalty,
                            tolerance=tolerance,
                            repeats=repeats,
                        )
                    )
    return rows


def _train(
    dictionary: np.ndarray,
    batches: np.ndarray,
    *,
    l1_penalty: float,
    part_of_run: float,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Returns the dictionary before and after the step on the last batch."""
    config = config_lib.DictionaryConfig(n_factors=len(dictionary))
    state = state_lib.create(
        jnp.array(dictionary),
        jnp.ones((1,), jnp.float32),
        l1_penalty=l1_penalty,
        config=config,
    )
    before = dictionary
    for x in batches:
        # A step takes the buffers of its state; this is a copy.
        before = np.array(state.dictionary)
        state, _ = step_lib.train_step(
            state,
            x,
            np.ones(len(x), np.float32),
            np.ones(len(x), bool),
            progress=jnp.float32(part_of_run),
            solver=config_lib.SolverConfig(),
            dictionary=config,
        )
    step_size = float(state_lib.step_size(config, progress=jnp.float32(part_of_run)))
    return before, np.array(state.dictionary), step_size


def _compare(x, before, after, *, solver, l1_penalty, tolerance, repeats):
    settings = {
        "solver": solver,
        "l1_penalty": np.float32(l1_penalty),
        "tolerance": np.float32(tolerance),
    }
    older = _solve(x, before, **settings).codes
    cold, warm = (
        _solve(x, after, **settings),
        _solve(x, after, codes0=older, **settings),
    )
    seconds = {"cold": [], "warm": []}
    for _ in range(repeats):
        for name, codes0 in (("cold", None), ("warm", older)):
            start = time.perf_counter()
            jax.block_until_ready(_solve(x, after, codes0=codes0, **settings))
            seconds[name].append(time.perf_counter() - start)
    steps_cold, steps_warm = (
        float(np.mean(np.asarray(solved.num_steps))) for solved in (cold, warm)
    )
    return {
        "solver": solver,
        "tolerance": tolerance,
        "batch": len(x),
        "l0": float(np.mean(np.sum(np.asarray(cold.codes) != 0, axis=1))),
        "steps_cold": steps_cold,
        "steps_warm": steps_warm,
        "steps_ratio": steps_warm / steps_cold if steps_cold else None,
        "gap_warm": float(np.mean(np.asarray(warm.gap))),
        "seconds_cold": seconds["cold"],
        "seconds_warm": seconds["warm"],
    }

"""One training step: infer the codes of a batch of rows, move the dictionary."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from tfvis_jax import config as config_lib
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import encode, lipschitz, objective
from tfvis_jax.training import state as state_lib


class StepMetrics(NamedTuple):
    """Sums over the valid rows of a step; scalars, left on the device.

    Attributes:
      n_rows: number of valid rows.
      squared_norm: Σ ‖x‖².
      squared_error: Σ ‖x − αD‖².
      n_active: number of non-zero codes.
      gap: Σ of the relative duality gaps.
      max_gap: their maximum.
      num_steps: Σ of solver steps.
    """

    n_rows: jax.Array
    squared_norm: jax.Array
    squared_error: jax.Array
    n_active: jax.Array
    gap: jax.Array
    max_gap: jax.Array
    num_steps: jax.Array


@functools.partial(
    jax.jit, static_argnames=("config", "total_steps"), donate_argnames=("state",)
)
def train_step(
    state: state_lib.TrainState,
    x: jax.Array,
    token_weights: jax.Array,
    valid: jax.Array,
    *,
    config: config_lib.RunConfig,
    total_steps: int,
) -> tuple[state_lib.TrainState, StepMetrics]:
    """Takes one dictionary step.

    Args:
      state: donated.
      x: [rows, d_model]; rows that are not valid are zero.
      token_weights: [rows].
      valid: [rows] bool.
      config: settings of the run.
      total_steps: length of the step-size schedule.

    Returns:
      The next state and the metrics of the codes before the step.
    """
    solver = config.solver
    # The published recursion has steps of exactly 1/L; elsewhere a bound will do.
    exact = solver.solver == "fista"
    encoding = encode.encode(
        x,
        state.dictionary,
        l1_penalty=solver.l1_penalty,
        solver=solver.solver,
        tolerance=solver.tolerance,
        max_steps=solver.max_steps,
        lipschitz=lipschitz.exact(state.dictionary) if exact else None,
    )
    codes = encoding.codes
    residual = x - objective.decode(codes, state.dictionary, like=x)
    n_rows = jnp.maximum(jnp.sum(valid), 1).astype(x.dtype)
    gradient = dictionary_lib.reconstruction_gradient(
        codes,
        residual,
        token_weights=token_weights,
        n_rows=n_rows,
        like=state.dictionary,
    )
    weights = token_weights if config.dictionary.weigh_energy else None
    update = state_lib.dictionary_update(config.dictionary, total_steps=total_steps)
    updates, update_state = update.update(
        gradient,
        state.update_state,
        energy=dictionary_lib.code_energy(codes, n_rows=n_rows, token_weights=weights),
    )
    dictionary = dictionary_lib.project_unit_norm(
        optax.apply_updates(state.dictionary, updates)
    )
    metrics = StepMetrics(
        n_rows=jnp.sum(valid),
        squared_norm=jnp.sum(x**2),
        squared_error=jnp.sum(residual**2),
        n_active=jnp.sum(codes != 0),
        gap=jnp.sum(jnp.where(valid, encoding.gap, 0)),
        max_gap=jnp.max(jnp.where(valid, encoding.gap, 0)),
        num_steps=jnp.sum(jnp.where(valid, encoding.num_steps, 0)),
    )
    state = dataclasses.replace(
        state,
        dictionary=dictionary,
        update_state=update_state,
        step=state.step + 1,
    )
    return state, metrics

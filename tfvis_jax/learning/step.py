"""One training step: infer the codes of a batch of rows, move the dictionary."""

import dataclasses
import functools
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp

from tfvis_jax import config as config_lib
from tfvis_jax.learning import inference, whitening
from tfvis_jax.learning import state as state_lib
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import objective, registry, revival
from tfvis_jax.sparse_coding import target_l0 as target_l0_lib

# λ stays as it is.
FIXED_PENALTY = config_lib.SparsityConfig()


class StepMetrics(NamedTuple):
    """Sums over the valid rows of a step; scalars, left on the device.

    Attributes:
      n_rows: number of valid rows.
      squared_norm: Σ ‖x‖², without the whitening.
      squared_error: Σ ‖x − αD‖², without the whitening.
      n_active: number of non-zero codes.
      gap: Σ of the relative duality gaps.
      max_gap: their maximum.
      num_steps: Σ of solver steps.
      n_revived: number of factors that were given a new direction.
      l1_penalty: λ of the step.
    """

    n_rows: jax.Array
    squared_norm: jax.Array
    squared_error: jax.Array
    n_active: jax.Array
    gap: jax.Array
    max_gap: jax.Array
    num_steps: jax.Array
    n_revived: jax.Array
    l1_penalty: jax.Array


@functools.partial(
    jax.jit,
    static_argnames=("solver", "dictionary", "sparsity"),
    donate_argnames=("state",),
)
def train_step(
    state: state_lib.TrainState,
    x: jax.Array,
    token_weights: jax.Array,
    valid: jax.Array,
    *,
    progress: jax.Array,
    solver: config_lib.SolverConfig,
    dictionary: config_lib.DictionaryConfig,
    sparsity: config_lib.SparsityConfig = FIXED_PENALTY,
    layer: jax.Array | None = None,
) -> tuple[state_lib.TrainState, StepMetrics]:
    """Takes one dictionary step.

    Args:
      state: donated.
      x: [rows, d_model]; rows that are not valid are zero.
      token_weights: [rows].
      valid: [rows] bool.
      progress: scalar, the share of the run that is done; decides the step size and
        the warm-up of λ.
      solver: how codes are inferred; static.
      dictionary: how the dictionary moves; static.
      sparsity: how λ moves; static. By default it stays.
      layer: [rows] int32, where the scale of layers is to move towards an equal number
        of active factors.

    Returns:
      The next state and the metrics of the codes before the step.
    """
    warmup = target_l0_lib.warmup(sparsity.l1_warmup, progress=progress)
    l1_penalty = state.l1_penalty * warmup
    encoding = inference.infer(
        x, state.dictionary, solver=solver, l1_penalty=l1_penalty
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
    update = registry.update(dictionary)
    curvature = update.curvature(
        codes, n_rows=n_rows, token_weights=token_weights, like=state.dictionary
    )
    direction, update_state = update.transformation().update(
        gradient, state.update_state, state.dictionary, **curvature
    )
    step_size = state_lib.step_size(dictionary, progress=progress)
    # To optax it might be any tree.
    moved = state.dictionary - step_size * cast(jax.Array, direction)
    factors = dictionary_lib.project_unit_norm(moved)
    idle, revived = revival.count_idle(state.idle, codes), jnp.zeros((), bool)
    if dictionary.revive_after is not None:
        factors, revived = revival.revive(
            factors, residual, dead=idle >= dictionary.revive_after
        )
        idle = jnp.where(revived, 0, idle)
    n_active = jnp.sum(codes != 0)
    next_penalty = state.l1_penalty
    if sparsity.target_l0 is not None:
        l0 = n_active.astype(x.dtype) / n_rows
        tracked = target_l0_lib.track(next_penalty, l0, target_l0=sparsity.target_l0)
        next_penalty = jnp.where(warmup == 1, tracked, next_penalty)
    layer_scale = state.layer_scale
    if layer is not None:
        layer_scale = target_l0_lib.equalise(layer_scale, codes, layer, valid)
    unwhitened = [whitening.unwhiten(a, state.whitening) for a in (x, residual)]
    metrics = StepMetrics(
        n_rows=jnp.sum(valid),
        squared_norm=jnp.sum(unwhitened[0] ** 2),
        squared_error=jnp.sum(unwhitened[1] ** 2),
        n_active=n_active,
        gap=jnp.sum(jnp.where(valid, encoding.gap, 0)),
        max_gap=jnp.max(jnp.where(valid, encoding.gap, 0)),
        num_steps=jnp.sum(jnp.where(valid, encoding.num_steps, 0)),
        n_revived=jnp.sum(revived),
        l1_penalty=l1_penalty,
    )
    state = dataclasses.replace(
        state,
        dictionary=factors,
        update_state=update_state,
        layer_scale=layer_scale,
        l1_penalty=next_penalty,
        idle=idle,
        step=state.step + 1,
    )
    return state, metrics

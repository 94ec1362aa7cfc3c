"""Accelerated proximal gradient (FISTA), as published and with per-row restart."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import lipschitz as lipschitz_lib
from tfvis_jax.sparse_coding import objective, prox


class FistaState(NamedTuple):
    """Where a solve stands."""

    codes: jax.Array  # [batch, n_factors]
    extrapolated: jax.Array  # [batch, n_factors]
    momentum: jax.Array  # [batch, 1], t; the rows differ only where they restart


def init(
    x: jax.Array, dictionary: jax.Array, *, codes0: jax.Array | None = None
) -> FistaState:
    """Starts at ``codes0`` (zeros if None) without momentum."""
    if codes0 is None:
        codes0 = objective.zero_codes(x, dictionary)
    return FistaState(codes0, codes0, jnp.ones_like(x[:, :1]))


def step(
    state: FistaState,
    x: jax.Array,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    lipschitz: jax.Array | float,
    non_negative: bool = True,
    restart: bool = False,
    precision: objective.Precision = jax.lax.Precision.HIGHEST,
) -> FistaState:
    """Takes one accelerated step.

        α⁺ = shrink(y + (x − yD)Dᵀ / L, λ / L)
        t⁺ = (1 + √(1 + 4t²)) / 2
        y⁺ = α⁺ + (t − 1)/t⁺ · (α⁺ − α)

    With ``restart``, a row whose move went uphill, ⟨y − α⁺, α⁺ − α⟩ > 0, has t = 1.
    """
    codes, extrapolated, t = state
    reconstruction = objective.decode(
        extrapolated, dictionary, like=x, precision=precision
    )
    correlation = objective.correlate(
        x - reconstruction, dictionary, precision=precision
    )
    shrink = prox.shrinkage(non_negative=non_negative)
    threshold = objective.penalty_matrix(l1_penalty) / lipschitz
    next_codes = shrink(extrapolated + correlation / lipschitz, threshold)
    move = next_codes - codes
    if restart:
        uphill = jnp.sum((extrapolated - next_codes) * move, axis=1, keepdims=True) > 0
        t = jnp.where(uphill, 1, t)
    next_t = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
    return FistaState(next_codes, next_codes + (t - 1) / next_t * move, next_t)


def fista(
    x: jax.Array,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    num_steps: int,
    lipschitz: jax.Array | float | None = None,
    codes0: jax.Array | None = None,
    non_negative: bool = True,
    restart: bool = False,
    precision: objective.Precision = jax.lax.Precision.HIGHEST,
) -> jax.Array:
    """Infers codes by accelerated proximal gradient steps of 1/L.

    Beck & Teboulle, 2009; the restart is that of O'Donoghue & Candès, 2015, which makes
    the convergence linear once a row's support has settled.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ; scalar, [batch], or [1 or batch, n_factors].
      num_steps: fixed number of steps.
      lipschitz: L; a power-iteration estimate if None.
      codes0: [batch, n_factors] start; zeros if None.
      non_negative: whether the codes are.
      restart: restart the momentum row by row.
      precision: of both matrix products.

    Returns:
      [batch, n_factors] codes.
    """
    if lipschitz is None:
        lipschitz = lipschitz_lib.power_iteration(dictionary)

    def body(state, _):
        state = step(
            state,
            x,
            dictionary,
            l1_penalty=l1_penalty,
            lipschitz=lipschitz,
            non_negative=non_negative,
            restart=restart,
            precision=precision,
        )
        return state, None

    state, _ = jax.lax.scan(body, init(x, dictionary, codes0=codes0), length=num_steps)
    return state.codes

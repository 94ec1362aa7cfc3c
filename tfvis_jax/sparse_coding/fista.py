"""Accelerated proximal gradient (FISTA), as published and with per-row restart."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding import prox


class FistaState(NamedTuple):
    """Where a solve stands."""

    codes: jax.Array  # [batch, n_factors]
    extrapolated: jax.Array  # [batch, n_factors]
    momentum: jax.Array  # [batch, 1], t; the rows differ only where they restart


def init(
    problem: problem_lib.Problem, *, codes0: jax.Array | None = None
) -> FistaState:
    """Starts at ``codes0`` (zeros if None) without momentum."""
    codes, _ = problem.start(codes0)
    return FistaState(codes, codes, jnp.ones_like(problem.x[:, :1]))


def step(
    state: FistaState, problem: problem_lib.Problem, *, restart: bool = False
) -> FistaState:
    """Takes one accelerated step.

        α⁺ = shrink(y + ((x − yD)Dᵀ − μy) / L, λ / L)
        t⁺ = (1 + √(1 + 4t²)) / 2
        y⁺ = α⁺ + (t − 1)/t⁺ · (α⁺ − α)

    With ``restart``, a row whose move went uphill, ⟨y − α⁺, α⁺ − α⟩ > 0, has t = 1.
    """
    codes, extrapolated, t = state
    residual = problem.x - problem.decode(extrapolated)
    correlation = problem.correlation(extrapolated, residual)
    shrink = prox.shrinkage(non_negative=problem.non_negative)
    threshold = problem.l1_penalty / problem.lipschitz
    next_codes = shrink(extrapolated + correlation / problem.lipschitz, threshold)
    move = next_codes - codes
    if restart:
        uphill = jnp.sum((extrapolated - next_codes) * move, axis=1, keepdims=True) > 0
        t = jnp.where(uphill, 1, t)
    next_t = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
    return FistaState(next_codes, next_codes + (t - 1) / next_t * move, next_t)


def solve(
    problem: problem_lib.Problem,
    *,
    num_steps: int,
    codes0: jax.Array | None = None,
    restart: bool = False,
) -> jax.Array:
    """Infers codes by accelerated proximal gradient steps of 1/L.

    Beck & Teboulle, 2009; the restart is that of O'Donoghue & Candès, 2015, which makes
    the convergence linear once a row's support has settled.

    Args:
      problem: see `problem.lasso`.
      num_steps: fixed number of steps.
      codes0: [batch, n_factors] start; zeros if None.
      restart: restart the momentum row by row.

    Returns:
      [batch, n_factors] codes.
    """
    return jax.lax.fori_loop(
        0,
        num_steps,
        lambda _, state: step(state, problem, restart=restart),
        init(problem, codes0=codes0),
    ).codes

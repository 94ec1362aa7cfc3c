"""Steps on all factors of all rows together, with a look at the gap now and then.

After every block of steps each row's duality gap is computed, finished rows are frozen,
and the loop ends when none is left or the budget is spent.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import fista, ista, spectral
from tfvis_jax.sparse_coding import problem as problem_lib


class Method(NamedTuple):
    """How to start and how to go on; a state has ``codes``."""

    init: Callable
    step: Callable


METHODS = {
    "ista": Method(ista.init, ista.step),
    "fista": Method(fista.init, fista.step),
    "fista_restart": Method(fista.init, functools.partial(fista.step, restart=True)),
    "spectral": Method(spectral.init, spectral.step),
}


def solve(
    problem: problem_lib.Problem,
    *,
    method: Method,
    tolerance: jax.Array | float,
    max_steps: int,
    block_steps: int,
    codes0: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Infers codes until each row's duality gap is within the tolerance.

    Args:
      problem: see `problem.lasso`.
      method: one of `METHODS`.
      tolerance: largest relative duality gap of a finished row.
      max_steps: budget of steps.
      block_steps: steps between two looks at the gap.
      codes0: [batch, n_factors] start; zeros if None.

    Returns:
      Codes [batch, n_factors], gap [batch] and number of steps [batch].
    """

    def certify(codes):
        return problem.certify(codes, problem.residual(codes))[0]

    def unfinished(carry):
        _, _, gap, _, spent = carry
        return (spent < max_steps) & jnp.any(gap > tolerance)

    def advance(carry):
        state, codes, gap, num_steps, spent = carry
        active = gap > tolerance
        num_now = jnp.minimum(block_steps, max_steps - spent)
        state = jax.lax.fori_loop(
            0, num_now, lambda _, state: method.step(state, problem), state
        )
        codes = jnp.where(active[:, None], state.codes, codes)
        gap = jnp.where(active, certify(state.codes), gap)
        num_steps = num_steps + jnp.where(active, num_now, 0)
        return state, codes, gap, num_steps, spent + num_now

    state = method.init(problem, codes0=codes0)
    gap = certify(state.codes)
    carry = (state, state.codes, gap, jnp.zeros_like(gap, jnp.int32), 0)
    _, codes, gap, num_steps, _ = jax.lax.while_loop(unfinished, advance, carry)
    return codes, gap, num_steps

"""Steps on all factors of all rows together, with a look at the gap now and then.

After every block of steps each row's duality gap is computed, finished rows are frozen,
and the loop ends when none is left or the budget is spent.

Where steps may be taken in a coarse arithmetic they are, as long as that brings some
row nearer to what the arithmetic can reach; float32 steps then start from the codes
found. The gap that decides is always in float32, so coarse steps can cost time but
never accuracy.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import fista, ista, layout, spectral
from tfvis_jax.sparse_coding import precision as precision_lib
from tfvis_jax.sparse_coding import problem as problem_lib

# Up to this many times d_model factors a product with the Gram matrix is faster than
# two with the dictionary: by 2.3 at 2/3, 1.4 at 4/3, and 1.1 at 5/3 (on a CPU).
_GRAM_FACTORS = 1.5
# A row whose gap has not fallen to this share of itself in a block of coarse steps has
# got from them what there is.
_FALLING = 0.9


class Method(NamedTuple):
    """How to start, go on, and forget rounding errors; a state has ``codes``."""

    init: Callable  # from a problem and ``codes0`` to a state
    step: Callable  # from a state and a problem to the next
    # From a state and the float32 residual and correlation of its codes to the same
    # state with those, where it keeps any.
    refresh: Callable = lambda state, residual, correlation: state


def method(solver: str, problem: problem_lib.Problem) -> Method:
    """Returns the best form of a named dense solver for a problem."""
    if solver == "ista":
        return Method(ista.init, ista.step)
    if solver != "spectral":
        step = functools.partial(fista.step, restart=solver == "fista_restart")
        return Method(fista.init, step)
    n_factors, d_model = problem.dictionary.shape
    whole = layout.num_parts(problem.dictionary) == 1
    if whole and n_factors <= _GRAM_FACTORS * d_model:
        return _by_gram(problem.gram())
    return Method(
        spectral.init,
        spectral.step,
        lambda state, residual, correlation: state._replace(residual=residual),
    )


def _by_gram(gram) -> Method:
    """Returns spectral steps of one [n_factors, n_factors] product instead of two."""

    def init(problem, *, codes0):
        codes, residual, pace = spectral.init(problem, codes0=codes0)
        return spectral.GramState(codes, problem.correlation(codes, residual), pace)

    def step(state, problem):
        return spectral.gram_step(
            state,
            gram,
            penalty=problem.l1_penalty,
            lipschitz=problem.lipschitz,
            non_negative=problem.non_negative,
            precision=problem.precision,
        )

    return Method(
        init,
        step,
        lambda state, residual, correlation: state._replace(correlation=correlation),
    )


class _Progress(NamedTuple):
    codes: jax.Array  # [batch, n_factors]; of finished rows as they were then
    gap: jax.Array  # [batch]
    num_steps: jax.Array  # [batch] int32
    spent: jax.Array | int  # steps so far
    falling: jax.Array  # [batch] bool, whether the last block lowered the gap


def solve(
    problem: problem_lib.Problem,
    *,
    solver: str,
    tolerance: jax.Array | float,
    max_steps: int,
    block_steps: int,
    codes0: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Infers codes until each row's duality gap is within the tolerance.

    Args:
      problem: see `problem.lasso`; its precision is that of the first steps.
      solver: the name of a dense solver.
      tolerance: largest relative duality gap of a finished row.
      max_steps: budget of steps.
      block_steps: steps between two looks at the gap.
      codes0: [batch, n_factors] start; zeros if None.

    Returns:
      Codes [batch, n_factors], gap [batch] and number of steps [batch].
    """
    init, step, refresh = method(solver, problem)
    exact = dataclasses.replace(problem, precision="float32")

    def look(state):
        residual = exact.residual(state.codes)
        gap, correlation = exact.certify(state.codes, residual)
        return refresh(state, residual, correlation), gap

    def run(problem, state, progress, unfinished):
        def advance(carry):
            state, progress = carry
            active = progress.gap > tolerance
            num_now = jnp.minimum(block_steps, max_steps - progress.spent)
            state = jax.lax.fori_loop(
                0, num_now, lambda _, state: step(state, problem), state
            )
            state, gap = look(state)
            gap = jnp.where(active, gap, progress.gap)
            progress = _Progress(
                codes=jnp.where(active[:, None], state.codes, progress.codes),
                gap=gap,
                num_steps=progress.num_steps + jnp.where(active, num_now, 0),
                spent=progress.spent + num_now,
                falling=gap < _FALLING * progress.gap,
            )
            return state, progress

        def going(carry):
            _, progress = carry
            return (progress.spent < max_steps) & jnp.any(unfinished(progress))

        return jax.lax.while_loop(going, advance, (state, progress))[1]

    state, gap = look(init(problem, codes0=codes0))
    progress = _Progress(
        state.codes, gap, jnp.zeros_like(gap, jnp.int32), 0, jnp.ones_like(gap, bool)
    )
    if problem.precision != "float32":
        reach = jnp.maximum(tolerance, precision_lib.REACH[problem.precision])
        progress = run(
            problem,
            state,
            progress,
            lambda progress: (progress.gap > reach) & progress.falling,
        )
        state = init(exact, codes0=progress.codes)
    progress = run(exact, state, progress, lambda progress: progress.gap > tolerance)
    return progress.codes, progress.gap, progress.num_steps

"""Proximal gradient with a fixed step (ISTA)."""

from typing import NamedTuple

import jax

from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding import prox


class IstaState(NamedTuple):
    """Where a solve stands."""

    codes: jax.Array  # [batch, n_factors]


def init(problem: problem_lib.Problem, *, codes0: jax.Array | None = None) -> IstaState:
    """Starts at ``codes0``, zeros if None."""
    return IstaState(problem.start(codes0)[0])


def step(state: IstaState, problem: problem_lib.Problem) -> IstaState:
    """Takes one step: α ← shrink(α + ((x − αD)Dᵀ − μα) / L, λ / L)."""
    codes = state.codes
    correlation = problem.correlation(codes, problem.x - problem.decode(codes))
    shrink = prox.shrinkage(non_negative=problem.non_negative)
    threshold = problem.l1_penalty / problem.lipschitz
    return IstaState(shrink(codes + correlation / problem.lipschitz, threshold))


def solve(
    problem: problem_lib.Problem, *, num_steps: int, codes0: jax.Array | None = None
) -> jax.Array:
    """Infers codes by proximal gradient steps of 1/L.

    The objective never rises, and after k steps is at most L‖α*‖²/(2k) above the
    optimum when started from zero. Daubechies, Defrise & De Mol, 2004.

    Args:
      problem: see `problem.lasso`.
      num_steps: fixed number of steps.
      codes0: [batch, n_factors] start; zeros if None.

    Returns:
      [batch, n_factors] codes.
    """
    start = init(problem, codes0=codes0)
    return jax.lax.fori_loop(0, num_steps, lambda _, s: step(s, problem), start).codes

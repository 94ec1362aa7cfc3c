"""Refits codes on their support, without any penalty.

The L1 term that finds the support also shrinks what is on it. Keeping the support, or
the k largest codes of it, and solving least squares there (non-negative if the codes
are) gives the best reconstruction those factors allow ("debiasing": Figueiredo, Nowak &
Wright, 2007).

Rows are taken in blocks of about equal support, each with the Gram matrix of its own
factors; rows with a support too large for that take dense steps. Steps end when the
optimality conditions hold: no factor in use correlates with the residual, and none that
was set to zero correlates positively with it. Where the support's factors depend on
each other so much that the budget of steps ends first, a row has the best codes it met.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import (
    checks,
    row_blocks,
    selection,
    small_problem,
    spectral,
)
from tfvis_jax.sparse_coding import problem as problem_lib

# Correlations of a unit factor with the residual, in units of ‖x‖, that pass for zero.
_TOLERANCE = 1e-5
_MAX_STEPS = 4000
_CHECK = 8


def refit(
    x: jax.Array,
    dictionary: jax.Array,
    codes: jax.Array,
    *,
    max_active: int | None = None,
    lipschitz: jax.Array | float | None = None,
    non_negative: bool = True,
) -> jax.Array:
    """Returns least-squares codes on the support of ``codes``, or its largest part.

    Rows must not be split over devices here, nor factors; `encode.encode` sees to it.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      codes: [batch, n_factors].
      max_active: k, how many codes of largest magnitude a row may keep; all if None.
      lipschitz: largest eigenvalue of DᵀD, or a bound; estimated if None.
      non_negative: whether the codes are.

    Returns:
      [batch, n_factors] codes, zero wherever ``codes`` is.

    Raises:
      InputError: if shapes do not fit, or ``max_active`` is below 1.
    """
    checks.check_shapes(x, dictionary, codes=codes)
    if max_active is not None and max_active < 1:
        raise InputError(f"Expected `max_active` of 1 or more, got {max_active}.")
    codes = jnp.asarray(codes, jnp.float32)
    problem = problem_lib.lasso(
        x, dictionary, l1_penalty=1.0, lipschitz=lipschitz, non_negative=non_negative
    )
    return solve(problem, codes, max_active=max_active)


def solve(
    problem: problem_lib.Problem, codes: jax.Array, *, max_active: int | None = None
) -> jax.Array:
    """Does the same for a problem, of which the penalties are set aside."""
    problem = _without_penalties(problem)
    n_factors = problem.dictionary.shape[0]
    if max_active is not None:
        codes = largest(codes, size=max_active)
    gram = small_problem.whole_gram(problem)

    def advance_block(codes, rows, wanted):
        part = problem.of_rows(rows)
        return row_blocks.by_size(
            wanted,
            small_problem.sizes(n_factors, enough=max_active),
            few=lambda size: functools.partial(_on_few, part, codes, gram, size),
            many=functools.partial(on_all_factors, part, codes),
        )

    support = jnp.sum(codes != 0, axis=1, dtype=jnp.int32)
    return row_blocks.sweep(advance_block, codes, problem.rows(), wanted=support)


def largest(codes: jax.Array, *, size: int) -> jax.Array:
    """Returns codes with all but the ``size`` of largest magnitude of a row at zero."""
    size = min(size, codes.shape[1])
    _, columns = jax.lax.top_k(jnp.abs(codes), size)
    rows = jnp.arange(codes.shape[0])[:, None]
    kept = jnp.take_along_axis(codes, columns, axis=1)
    return jnp.zeros_like(codes).at[rows, columns].set(kept)


def on_all_factors(problem: problem_lib.Problem, codes: jax.Array) -> jax.Array:
    """Refits by dense steps, of all rows together; a mesh may split anything."""
    problem = _without_penalties(problem)
    problem = dataclasses.replace(
        problem, l1_penalty=jnp.where(codes != 0, 0, small_problem.PROHIBITIVE)
    )
    norms = jnp.linalg.norm(problem.dictionary, axis=1)[None]

    def look(state):
        residual = problem.residual(state.codes)
        correlation = problem.correlation(state.codes, residual)
        violation = _violation(state.codes, correlation, problem, norms=norms)
        return state._replace(residual=residual), violation

    return _descend(
        spectral.init(problem, codes0=codes),
        step=lambda state: spectral.step(state, problem),
        look=look,
        target=_target(problem),
    )


def _on_few(problem, codes, gram, size):
    residual = problem.residual(codes)
    small = small_problem.restrict(
        problem,
        selection.columns(codes != 0, size=size),
        codes=codes,
        correlation=problem.correlation(codes, residual),
        gram=gram,
    )
    norms = jnp.sqrt(jnp.diagonal(small.gram, axis1=1, axis2=2))
    limited = dataclasses.replace(problem, l1_penalty=small.penalty)

    def look(state):
        moved = state.codes - small.codes
        image = jnp.einsum("bst,bt->bs", small.gram, moved, precision="highest")
        correlation = small.correlation - image
        violation = _violation(state.codes, correlation, limited, norms=norms)
        return state._replace(correlation=correlation), violation

    codes_on_few = _descend(
        spectral.gram_init(small.codes, small.correlation, lipschitz=problem.lipschitz),
        step=lambda state: spectral.gram_step(
            state,
            small.gram,
            penalty=small.penalty,
            lipschitz=problem.lipschitz,
            non_negative=problem.non_negative,
        ),
        look=look,
        target=_target(problem),
    )
    return small_problem.put_back(codes, small, codes_on_few)


def _descend(state, *, step, look, target):
    """Returns the codes of every row when it first met its target, or its best.

    Spectral steps are not monotone: on factors that nearly depend on each other, a
    row that waits for others would lose what it has.

    Args:
      state: of spectral steps.
      step: from a state to the next.
      look: from a state to the same without the rounding errors that steps add up, and
        by how much its rows violate the conditions, [rows].
      target: [rows], how much they may.
    """

    def advance(carry):
        state, codes, least, spent = carry
        state = jax.lax.fori_loop(0, _CHECK, lambda _, state: step(state), state)
        state, violation = look(state)
        better = (least > target) & (violation < least)
        codes = jnp.where(better[:, None], state.codes, codes)
        return state, codes, jnp.where(better, violation, least), spent + _CHECK

    def unfinished(carry):
        *_, least, spent = carry
        return (spent < _MAX_STEPS) & jnp.any(least > target)

    state, violation = look(state)
    carry = (state, state.codes, violation, 0)
    return jax.lax.while_loop(unfinished, advance, carry)[1]


def _without_penalties(problem):
    none = jnp.zeros_like(problem.l1_penalty[:, :1])
    return dataclasses.replace(
        problem, l1_penalty=none, l2_penalty=None, precision="float32"
    )


def _target(problem):
    return _TOLERANCE * jnp.linalg.norm(problem.x, axis=1)


def _violation(codes, correlation, problem, *, norms):
    """Returns the largest correlation of a row that ought to be none, [rows]."""
    toward_zero = correlation
    if problem.non_negative:
        toward_zero = jnp.where(codes > 0, correlation, jnp.maximum(correlation, 0))
    wrong = jnp.where(problem.l1_penalty == 0, jnp.abs(toward_zero), 0)
    return jnp.max(wrong / jnp.maximum(norms, 1e-30), axis=1)

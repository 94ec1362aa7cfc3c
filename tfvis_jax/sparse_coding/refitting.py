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
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import (
    checks,
    implicit,
    layout,
    row_blocks,
    selection,
    small_problem,
    spectral,
)
from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding.arrays import Codes, Factors, NewCodes, Rows
from tfvis_jax.sparse_coding.compilation import compiled

# Correlations of a unit factor with the residual, in units of ‖x‖, that pass for zero.
_TOLERANCE = 1e-5
_MAX_STEPS = 4000
_CHECK = 8
_SPECTRAL = spectral.Spectral()
_Rows = tuple[jax.Array, jax.Array]


def refit(
    x: Rows,
    dictionary: Factors,
    codes: Codes,
    *,
    k: int | None = None,
    lipschitz: jax.typing.ArrayLike | None = None,
    non_negative: bool = True,
) -> NewCodes:
    """Returns least-squares codes on the support of ``codes``, or its largest part.

    This removes the shrinkage by λ. Codes are differentiable with respect to ``x`` and
    ``dictionary``, forward and reverse, for as long as the support stays as it is; see
    `implicit`. A mesh may split the rows, and without ``k`` the factors too.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      codes: [batch, n_factors].
      k: how many codes of largest magnitude a row keeps; all if None. Static.
      lipschitz: largest eigenvalue of DᵀD, or a bound; estimated if None.
      non_negative: If True, constrain codes to be >= 0.

    Returns:
      [batch, n_factors] codes, zero wherever ``codes`` is.

    Raises:
      InputError: if shapes do not fit, ``k`` is below 1, factors are split and ``k`` is
        given, or values that are not traced are not finite.
    """
    checks.check_shapes(x, dictionary, codes=codes)
    if k is not None:
        checks.check_count("k", k)
        layout.check_whole(dictionary, needed_by="`k`")
    numbers = {"lipschitz": lipschitz}
    checks.check_numbers(codes.shape, numbers)
    checks.check_values({"x": x, "dictionary": dictionary, "codes": codes}, numbers)
    if lipschitz is not None:
        lipschitz = checks.in_float32("lipschitz", lipschitz)
    return _refit(
        x,
        dictionary,
        codes,
        lipschitz,
        k=k,
        non_negative=checks.is_true("non_negative", non_negative),
    )


@compiled("k", "non_negative")
def _refit(
    x: Rows,
    dictionary: Factors,
    codes: Codes,
    lipschitz: jax.Array | None,
    *,
    k: int | None,
    non_negative: bool,
) -> jax.Array:
    # What depends on the inputs does so through `implicit`, not through the steps.
    problem = problem_lib.lasso(
        *jax.lax.stop_gradient((x, dictionary)),
        l1_penalty=1.0,
        lipschitz=jax.lax.stop_gradient(lipschitz),
        non_negative=non_negative,
    )
    problem = jax.lax.stop_gradient(problem)
    held = jax.lax.stop_gradient(jnp.asarray(codes, jnp.float32))
    if layout.num_parts(dictionary) > 1:
        refitted = on_all_factors(problem, held)
    else:
        refitted = layout.on_each_device(
            lambda problem, codes, _: solve(problem, codes, max_active=k),
            problem,
            held,
            None,
        )
    return implicit.differentiable(refitted, x, dictionary)


def solve(
    problem: problem_lib.Problem, codes: jax.Array, *, max_active: int | None = None
) -> jax.Array:
    """Refits codes of a problem, of which the penalties are set aside.

    Rows must not be split over devices here, nor factors.

    Args:
      problem: see `problem.lasso`.
      codes: [batch, n_factors] float32.
      max_active: how many codes of largest magnitude a row may keep; all if None.

    Returns:
      [batch, n_factors] codes, zero wherever ``codes`` is.
    """
    problem = _without_penalties(problem)
    n_factors = problem.dictionary.shape[0]
    if max_active is not None:
        codes = largest(codes, size=max_active)
    gram = small_problem.whole_gram(problem)

    def advance_block(
        codes: jax.Array, fixed: tuple[_Rows, jax.Array], wanted: jax.Array
    ) -> jax.Array:
        rows, correlation = fixed
        part, start = problem.of_rows(rows), _Start(codes, correlation, gram)
        return row_blocks.by_size(
            wanted,
            small_problem.sizes(n_factors, enough=max_active),
            few=lambda size: functools.partial(_on_few, part, start, size),
            many=functools.partial(on_all_factors, part, codes),
        )

    # Of all rows at once: the products of a block take twice as long.
    correlation = problem.correlation(codes, problem.residual(codes))
    return row_blocks.sweep(
        advance_block,
        codes,
        (problem.rows(), correlation),
        wanted=jnp.sum(codes != 0, axis=1, dtype=jnp.int32),
    )


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

    def look(
        state: spectral.SpectralState,
    ) -> tuple[spectral.SpectralState, jax.Array]:
        residual = problem.residual(state.codes)
        correlation = problem.correlation(state.codes, residual)
        violation = _violation(state.codes, correlation, problem, norms=norms)
        return state._replace(residual=residual), violation

    return _descend(
        _SPECTRAL.init(problem, codes0=codes),
        step=lambda state: _SPECTRAL.step(state, problem),
        look=look,
        target=_target(problem),
    )


class _Start(NamedTuple):
    codes: jax.Array  # [rows, n_factors]
    correlation: jax.Array  # [rows, n_factors], of those codes
    gram: jax.Array | None  # of all factors


def _on_few(problem: problem_lib.Problem, start: _Start, size: int) -> jax.Array:
    codes = start.codes
    small = small_problem.restrict(
        problem,
        selection.columns(codes != 0, size=size),
        codes=codes,
        correlation=start.correlation,
        gram=start.gram,
    )
    norms = jnp.sqrt(jnp.diagonal(small.gram, axis1=1, axis2=2))
    limited = dataclasses.replace(problem, l1_penalty=small.penalty)

    def look(state: spectral.GramState) -> tuple[spectral.GramState, jax.Array]:
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


def _descend(
    state: Any,
    *,
    step: Callable[[Any], Any],
    look: Callable[[Any], tuple[Any, jax.Array]],
    target: jax.Array,
) -> jax.Array:
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

    def advance(
        carry: tuple[Any, jax.Array, jax.Array, jax.Array],
    ) -> tuple[Any, jax.Array, jax.Array, jax.Array]:
        state, codes, least, spent = carry
        # No step before the first look, so that a look is compiled once.
        is_first = spent < 0
        num_steps = jnp.where(is_first, 0, _CHECK)
        state = jax.lax.fori_loop(0, num_steps, lambda _, state: step(state), state)
        state, violation = look(state)
        better = is_first | ((least > target) & (violation < least))
        codes = jnp.where(better[:, None], state.codes, codes)
        return state, codes, jnp.where(better, violation, least), spent + _CHECK

    def unfinished(carry: tuple[Any, jax.Array, jax.Array, jax.Array]) -> jax.Array:
        *_, least, spent = carry
        return (spent < _MAX_STEPS) & jnp.any(least > target)

    none = jnp.zeros_like(target) + jnp.inf
    carry = state, state.codes, none, jnp.int32(-_CHECK)
    return jax.lax.while_loop(unfinished, advance, carry)[1]


def _without_penalties(problem: problem_lib.Problem) -> problem_lib.Problem:
    none = jnp.zeros_like(problem.l1_penalty[:, :1])
    return dataclasses.replace(
        problem, l1_penalty=none, l2_penalty=None, precision="float32"
    )


def _target(problem: problem_lib.Problem) -> jax.Array:
    return _TOLERANCE * jnp.linalg.norm(problem.x, axis=1)


def _violation(
    codes: jax.Array,
    correlation: jax.Array,
    problem: problem_lib.Problem,
    *,
    norms: jax.Array,
) -> jax.Array:
    """Returns the largest correlation of a row that ought to be none, [rows]."""
    toward_zero = correlation
    if problem.non_negative:
        toward_zero = jnp.where(codes > 0, correlation, jnp.maximum(correlation, 0))
    wrong = jnp.where(problem.l1_penalty == 0, jnp.abs(toward_zero), 0)
    return jnp.max(wrong / jnp.maximum(norms, 1e-30), axis=1)

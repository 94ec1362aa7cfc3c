"""A problem on a few factors of every row, where a step costs little.

Every row has its own factors, found by their columns in the dictionary. Steps work with
the Gram matrix of those alone.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding import spectral

# Tuned on rows of a BERT with 30 to 90 factors in use.
SIZES = (32, 48, 64, 96, 128, 160, 192, 256)
# For rows that need more of a large dictionary, where steps on all factors cost more.
LARGE_SIZES = (384, 640, 1024)
_LARGE_SHARE = 8
_CHECK = 4
# Numbers in the Gram matrices that steps go over again and again: 0.6 MB stays in a
# core's cache. Smaller parts also stop sooner, as their last row does.
_CACHED = 150_000
# Above this many factors, or for fewer rows than this share of them, the Gram matrix of
# all factors is not formed.
_MAX_GRAM = 4096
_FACTORS_A_ROW = 8
# A penalty that keeps a code at zero.
PROHIBITIVE = 1e30


# Where a solve stands, steps spent, and whether others are to follow.
_Carry = tuple[spectral.GramState, jax.Array, jax.Array]


class SmallProblem(NamedTuple):
    """The problem of a block of rows on ``size`` factors each.

    Attributes:
      columns: [rows, size]; n_factors where a place is empty.
      codes: [rows, size], to start from.
      correlation: [rows, size], of those codes.
      gram: [rows, size, size], of the factors, plus μ on the diagonal.
      penalty: [rows, size], λ.
      factors: [rows, size, d_model]; [rows, 0, d_model] where the Gram matrix is part
        of that of all factors.
    """

    columns: jax.Array
    codes: jax.Array
    correlation: jax.Array
    gram: jax.Array
    penalty: jax.Array
    factors: jax.Array


def sizes(
    n_factors: int, *, of: Sequence[int] = SIZES, enough: int | None = None
) -> list[int]:
    """Returns the numbers of factors, ascending, that a small problem may have.

    Args:
      n_factors: of all; half of them are no small problem, nor is an eighth where
        that is more than the largest of `SIZES`.
      of: what to choose from, ascending.
      enough: what no row exceeds, if known.
    """
    largest = max(min(n_factors // 2, SIZES[-1]), n_factors // _LARGE_SHARE)
    useful = [size for size in of if size <= largest]
    if enough is None:
        return useful
    return useful[: 1 + sum(size < enough for size in useful)]


def rows_at_once(size: int) -> int:
    """Returns how many rows' Gram matrices of this size a core's cache holds."""
    rows = max(1, _CACHED // size**2)
    return 2 ** (rows.bit_length() - 1)


def forms_gram(*, rows: int, n_factors: int) -> bool:
    """Returns whether the Gram matrix of all factors pays for so many rows."""
    return n_factors <= min(_MAX_GRAM, _FACTORS_A_ROW * rows)


def whole_gram(problem: problem_lib.Problem) -> jax.Array | None:
    """Returns the Gram matrix of all factors, or None where that does not pay."""
    rows, n_factors = problem.x.shape[0], problem.dictionary.shape[0]
    return problem.gram() if forms_gram(rows=rows, n_factors=n_factors) else None


def restrict(
    problem: problem_lib.Problem,
    columns: jax.Array,
    *,
    codes: jax.Array,
    correlation: jax.Array,
    gram: jax.Array | None,
) -> SmallProblem:
    """Restricts a problem to some factors of every row.

    Args:
      problem: of these rows.
      columns: [rows, size] int32; n_factors where a place is empty.
      codes: [rows, n_factors], zero outside of the columns.
      correlation: [rows, n_factors], of those codes.
      gram: `whole_gram` of the problem.
    """
    inside = jnp.minimum(columns, problem.dictionary.shape[0] - 1)
    return of_columns(
        problem,
        columns,
        codes=_take(codes, inside),
        correlation=_take(correlation, inside),
        gram=gram,
    )


def of_columns(
    problem: problem_lib.Problem,
    columns: jax.Array,
    *,
    codes: jax.Array,
    correlation: jax.Array,
    gram: jax.Array | None,
) -> SmallProblem:
    """Restricts a problem to some factors of every row, whose values are at hand.

    Args:
      problem: of these rows.
      columns: [rows, size] int32; n_factors where a place is empty.
      codes: [rows, size], of these columns; all others are zero.
      correlation: [rows, size], of those codes.
      gram: `whole_gram` of the problem.
    """
    n_factors = problem.dictionary.shape[0]
    usable = columns < n_factors
    inside = jnp.minimum(columns, n_factors - 1)
    penalty = problem.l1_penalty
    if penalty.shape[1] > 1:
        penalty = _take(penalty, inside)
    factors = problem.dictionary[inside if gram is None else inside[:, :0]]
    if gram is None:
        small_gram = problem.gram_of(factors)
    else:
        small_gram = gram[inside[:, :, None], inside[:, None, :]]
    return SmallProblem(
        columns=columns,
        codes=jnp.where(usable, codes, 0),
        correlation=correlation,
        gram=small_gram,
        # An empty place repeats some factor; a prohibitive penalty keeps it at zero.
        penalty=jnp.where(usable, penalty, PROHIBITIVE),
        factors=factors,
    )


def curvature(small: SmallProblem) -> jax.Array:
    """Returns a bound on the largest curvature of every row's problem, [rows, 1].

    The lesser of the Gram matrix's Frobenius norm and its largest row sum, neither of
    which is below the largest eigenvalue. That of all factors may be a thousand times
    as large, and steps that it makes safe are as much shorter.
    """
    magnitude = jnp.abs(small.gram)
    # Squares of very short or long factors' products are no float32.
    top = jnp.max(magnitude, axis=(1, 2), keepdims=True)
    shares = magnitude / jnp.where(top > 0, top, 1)
    frobenius = top[:, 0, 0] * jnp.sqrt(jnp.sum(shares**2, axis=(1, 2)))
    row_sum = jnp.max(jnp.sum(magnitude, axis=2), axis=1)
    # Rounding, in sums of so many terms.
    bound = (1 + 1e-5) * jnp.minimum(frobenius, row_sum)
    # Along factors of zero any step will do.
    return jnp.where(bound > 0, bound, 1)[:, None]


def minimise(
    small: SmallProblem,
    *,
    unfinished: Callable[[spectral.GramState], jax.Array],
    lipschitz: jax.Array | float,
    max_steps: int,
    non_negative: bool,
) -> jax.Array:
    """Takes spectral steps while any row is unfinished, then a plain one.

    Args:
      small: the problem.
      unfinished: from a state to [rows] bool.
      lipschitz: L, or a bound.
      max_steps: budget of steps.
      non_negative: whether the codes are.

    Returns:
      [rows, size] codes.
    """
    settings: dict[str, Any] = {
        "penalty": small.penalty,
        "lipschitz": lipschitz,
        "non_negative": non_negative,
    }

    def advance(carry: _Carry) -> _Carry:
        state, spent, _ = carry
        going = (spent < max_steps) & jnp.any(unfinished(state))
        # A shortened move leaves small codes where zeros belong; a plain step sets
        # them. It is the last of the same loop, so that a step is compiled once.
        size = jnp.where(going, state.pace.step_size, 1 / lipschitz)
        state = state._replace(pace=state.pace._replace(step_size=size))
        state = jax.lax.fori_loop(
            0,
            jnp.where(going, _CHECK, 1),
            lambda _, state: spectral.gram_step(state, small.gram, **settings),
            state,
        )
        return state, spent + _CHECK, going

    state = spectral.gram_init(small.codes, small.correlation, lipschitz=lipschitz)
    # True, and split over devices as the rows are.
    going = jnp.zeros_like(small.codes[0, 0]) == 0
    carry = state, jnp.int32(0), going
    return jax.lax.while_loop(lambda carry: carry[2], advance, carry)[0].codes


def decode(codes: jax.Array, factors: jax.Array) -> jax.Array:
    """Returns αD of codes [rows, size] of factors [rows, size, d_model]."""
    return jnp.einsum("bs,bsd->bd", codes, factors, precision="highest")


def put_back(
    codes: jax.Array, small: SmallProblem, small_codes: jax.Array
) -> jax.Array:
    """Writes the codes of a small problem into those of all factors."""
    rows = jnp.arange(codes.shape[0])[:, None]
    return codes.at[rows, small.columns].set(small_codes, mode="drop")


def _take(values: jax.Array, columns: jax.Array) -> jax.Array:
    return jnp.take_along_axis(values, columns, axis=1)

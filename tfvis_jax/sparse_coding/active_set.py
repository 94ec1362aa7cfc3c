"""Least squares on a few factors of every row, while factors come and go.

A row has k places for factors. Those in use are *active*, and the inverse G⁻¹ of their
Gram matrix is kept up to date: it is bordered when a factor enters and cut down when
one leaves, at k² a row either way. The codes never depend on the inverse's rounding
errors alone, because every move is G⁻¹ times the correlations of the present codes and
so corrects the move before it.

The non-negative problem is solved by the active set of Lawson & Hanson, "Solving least
squares problems", 1974, chapter 23, from the answer on all places but the last one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

# A correlation below this, of unit vectors, is rounding.
FLOOR = 2e-6
# A factor whose part orthogonal to those in use has less than this squared norm is
# taken to depend on them.
_DEPENDENT = 1e-5


class ActiveSet(NamedTuple):
    """Places for factors, their codes and what least squares on them needs.

    Attributes:
      factors: [rows, k, d_model], 0 in an empty place.
      gram: [rows, k, k], 0 in an empty place.
      target: [rows, k], ⟨d_f, x⟩.
      codes: [rows, k].
      usable: [rows, k] bool, True if a code may be other than 0.
      active: [rows, k] bool, True if it is.
      inverse: [rows, k, k], of the Gram matrix of the active factors; 0 elsewhere.
    """

    factors: jax.Array
    gram: jax.Array
    target: jax.Array
    codes: jax.Array
    usable: jax.Array
    active: jax.Array
    inverse: jax.Array


def empty(x: jax.Array, *, k: int) -> ActiveSet:
    """Returns k empty places for every row of x, [rows, d_model]."""
    zeros = jnp.tile(jnp.zeros_like(x[:, :1]), (1, k))
    square = jnp.tile(zeros[:, :, None], (1, 1, k))
    return ActiveSet(
        factors=jnp.tile(jnp.zeros_like(x)[:, None, :], (1, k, 1)),
        gram=square,
        target=zeros,
        codes=zeros,
        usable=zeros > 0,
        active=zeros > 0,
        inverse=square,
    )


def put(
    state: ActiveSet,
    factor: jax.Array,
    x: jax.Array,
    *,
    place: jax.Array,
    found: jax.Array,
) -> ActiveSet:
    """Puts one more factor of every row into an empty place and makes it active.

    Args:
      state: the places.
      factor: [rows, d_model], of unit norm.
      x: [rows, d_model].
      place: the same for all rows, scalar.
      found: [rows] bool; the place stays empty elsewhere.
    """
    factor = jnp.where(found[:, None], factor, 0)
    factors = state.factors.at[:, place].set(factor)
    products = jnp.einsum("bsd,bd->bs", factors, factor, precision="highest")
    state = state._replace(
        factors=factors,
        gram=state.gram.at[:, place].set(products).at[:, :, place].set(products),
        target=state.target.at[:, place].set(jnp.sum(factor * x, axis=1)),
        usable=state.usable.at[:, place].set(found),
    )
    return _enter(state, place=jnp.full(found.shape, place), wanted=found)


def residual(state: ActiveSet, x: jax.Array) -> jax.Array:
    """Returns x − αD, [rows, d_model]."""
    image = jnp.einsum("bs,bsd->bd", state.codes, state.factors, precision="highest")
    return x - image


def least_squares(state: ActiveSet) -> ActiveSet:
    """Moves to least squares on the active factors."""
    return state._replace(codes=state.codes + _move(state))


def non_negative_least_squares(state: ActiveSet) -> ActiveSet:
    """Moves to non-negative least squares on all places.

    Every round either moves to least squares on the active factors and lets one more
    factor in, or moves until the first code reaches 0 and lets that one go.
    """
    most_rounds = 2 * state.codes.shape[1]

    def unfinished(carry: tuple[ActiveSet, jax.Array, int]) -> jax.Array:
        _, going, spent = carry
        return jnp.any(going) & (spent < most_rounds)

    def advance(
        carry: tuple[ActiveSet, jax.Array, int],
    ) -> tuple[ActiveSet, jax.Array, int]:
        state, going, spent = carry
        move = _move(state)
        blocked = state.active & (state.codes + move <= 0)
        until = jnp.where(blocked, state.codes / jnp.where(blocked, -move, 1), 2)
        share = jnp.minimum(jnp.min(until, axis=1), 1)
        leaves = going & jnp.any(blocked, axis=1)
        codes = state.codes + jnp.where(going, share, 0)[:, None] * move
        state = _leave(
            state._replace(codes=jnp.maximum(codes, 0)),
            place=jnp.argmin(until, axis=1),
            wanted=leaves,
            # What cannot leave 0 at all would come back for ever.
            for_good=share <= 0,
        )
        waiting = jnp.where(state.usable & ~state.active, _correlation(state), 0)
        enters = going & ~leaves & (jnp.max(waiting, axis=1) > FLOOR)
        state = jax.lax.cond(
            jnp.any(enters),
            lambda: _enter(state, place=jnp.argmax(waiting, axis=1), wanted=enters),
            lambda: state,
        )
        return state, leaves | enters, spent + 1

    going = jnp.any(state.active, axis=1)
    return jax.lax.while_loop(unfinished, advance, (state, going, 0))[0]


def _correlation(state: ActiveSet) -> jax.Array:
    """Returns ⟨d_f, r⟩ of all places, [rows, k]."""
    return state.target - _times(state.gram, state.codes)


def _move(state: ActiveSet) -> jax.Array:
    """Returns the move from the codes to least squares on the active factors."""
    return _times(state.inverse, _correlation(state))


def _enter(state: ActiveSet, *, place: jax.Array, wanted: jax.Array) -> ActiveSet:
    """Borders the inverse by the factor in one place of every row that wants it.

    With g the factor's products with the active ones, v = G⁻¹g and δ = 1 − ⟨g, v⟩, the
    inverse gains (v − e)(v − e)ᵀ/δ, where e is the unit vector of the place. A factor
    that depends on the active ones stays at 0 from then on.
    """
    here = place[:, None] == jnp.arange(state.codes.shape[1])[None]
    products = _take(state.gram, place)
    image = _times(state.inverse, products)
    # The inverse is 0 in this place, so the sum leaves the factor itself out.
    height = 1 - jnp.sum(products * image, axis=1)
    independent = height > _DEPENDENT
    enters = wanted & independent
    scale = jnp.where(enters, 1 / jnp.where(enters, height, 1), 0)
    return state._replace(
        usable=state.usable & ~(here & (wanted & ~independent)[:, None]),
        active=state.active | (here & enters[:, None]),
        inverse=state.inverse + _outer(image - here.astype(image.dtype), scale=scale),
    )


def _leave(
    state: ActiveSet, *, place: jax.Array, wanted: jax.Array, for_good: jax.Array
) -> ActiveSet:
    """Cuts the factor in one place of every row that wants it out of the inverse."""
    here = place[:, None] == jnp.arange(state.codes.shape[1])[None]
    leaving = here & wanted[:, None]
    border = _take(state.inverse, place)
    own = jnp.sum(jnp.where(here, border, 0), axis=1)
    scale = jnp.where(wanted, -1 / jnp.where(wanted, own, 1), 0)
    stays = ~leaving
    inverse = state.inverse + _outer(border, scale=scale)
    return state._replace(
        codes=jnp.where(leaving, 0, state.codes),
        usable=state.usable & ~(leaving & for_good[:, None]),
        active=state.active & stays,
        inverse=jnp.where(stays[:, :, None] & stays[:, None, :], inverse, 0),
    )


def _times(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    return jnp.einsum("bst,bt->bs", matrix, vector, precision="highest")


def _take(matrix: jax.Array, place: jax.Array) -> jax.Array:
    """Returns one row of the matrix of every row, [rows, k]."""
    return jnp.take_along_axis(matrix, place[:, None, None], axis=1)[:, 0]


def _outer(vector: jax.Array, *, scale: jax.Array) -> jax.Array:
    return (scale[:, None] * vector)[:, :, None] * vector[:, None, :]

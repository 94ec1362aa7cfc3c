"""Greedy codes with at most k factors a row: pursuits and top-k.

These do not minimise the lasso; they spend a budget of k factors. The pursuits pick one
factor a step, the one that correlates most with what is left of the row,

    f = argmax ⟨d_f, r⟩ / ‖d_f‖    (of |⟨d_f, r⟩| / ‖d_f‖ if signed),    r = x − αD,

and differ in what they then do to the codes of the factors picked so far:

* `Omp` solves least squares on them (non-negative least squares if the codes are), so
  that r is orthogonal to every factor in use;
* `GradientPursuit` takes one exact line search along their gradient.

A row ends early when no factor correlates with r any more. Rows and factors are scaled
to unit norm first and codes scaled back, so that thresholds hold at every scale.

All sizes are static and no array has k entries for every row and factor: what was
picked is kept in k places a row. Rows must not be split over devices here, nor factors.

Codes are differentiable with respect to x and dictionary, for as long as the same
factors are picked: those of `Omp` as least squares on their support (`implicit`), the
others step by step.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import active_set, implicit, objective

# Rows are taken in blocks where one needs more than this many numbers a factor, and at
# least so many together that matrix products are worth their name.
_NUMBERS_PER_FACTOR = 6
_LEAST_BLOCK = 64
# The column of an empty place: beyond all factors.
_NOWHERE = 2**31 - 1
# Below this squared norm, of unit vectors, there is no direction to move along.
_FLAT = 1e-20


class Pursuit(abc.ABC):
    """A way to spend a budget of factors; a frozen dataclass, as a solver is."""

    @abc.abstractmethod
    def codes(
        self, x: jax.Array, dictionary: jax.Array, *, k: int, non_negative: bool
    ) -> jax.Array:
        """Returns codes with at most k factors a row, [batch, n_factors].

        Args:
          x: [batch, d_model] float32.
          dictionary: [n_factors, d_model] float32.
          k: number of steps and most codes of a row, at least 1. Static.
          non_negative: If True, constrain codes to be >= 0.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class TopK(Pursuit):
    """The k largest correlations of every row as its codes.

    α_f = ⟨d_f, x⟩ where that is among the k largest and positive (the k largest in
    magnitude if signed), 0 elsewhere: the encoder of Makhzani & Frey, "k-sparse
    autoencoders", 2014, with the dictionary as its own encoder. What correlated factors
    share is counted more than once; `refit` mends the codes.
    """

    def codes(
        self, x: jax.Array, dictionary: jax.Array, *, k: int, non_negative: bool
    ) -> jax.Array:
        """Returns codes with at most k factors a row, [batch, n_factors]."""
        correlation = objective.correlate(x, dictionary)
        score = correlation if non_negative else jnp.abs(correlation)
        best, columns = jax.lax.top_k(score, min(k, dictionary.shape[0]))
        values = jnp.take_along_axis(correlation, columns, axis=1)
        values = jnp.where(best > 0, values, 0)
        return _scatter(values, columns, n_factors=dictionary.shape[0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Omp(Pursuit):
    """Orthogonal matching pursuit.

    Each of k steps picks a factor and solves least squares on all that were picked.
    Pati, Rezaiifar & Krishnaprasad, 1993; non-negative: Bruckstein, Elad & Zibulevsky,
    2008. The least squares go by the Gram matrix of what was picked, as in Batch-OMP
    (Rubinstein, Zibulevsky & Elad, 2008), but correlations by one dense product with
    all residuals of a block: gathering rows of DDᵀ instead took three times as long.

    A factor that depends on those in use when it is picked takes its place with a code
    of 0. Memory grows with the square of k.
    """

    def codes(
        self, x: jax.Array, dictionary: jax.Array, *, k: int, non_negative: bool
    ) -> jax.Array:
        """Returns codes with at most k factors a row, [batch, n_factors]."""
        k = min(k, dictionary.shape[0])
        codes = _pursue(
            functools.partial(_omp_rows, k=k, non_negative=non_negative),
            *jax.lax.stop_gradient((x, dictionary)),
            numbers_per_row=k * (2 * k + x.shape[1]) + 2 * dictionary.shape[0],
        )
        return implicit.differentiable(codes, x, dictionary)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientPursuit(Pursuit):
    """Gradient pursuit: one line search a step.

    Each of k steps picks a factor, which may be one that is in use, and moves all codes
    in use along their gradient, as far as pays:

        g = ⟨d_f, r⟩ in use, 0 elsewhere,    α ← α + g‖g‖²/‖gD‖².

    Non-negative codes are then cut off at 0, as where the pursuit stands in for the
    encoder of a sparse autoencoder; what is cut off is no longer in use. Blumensath &
    Davies, "Gradient pursuits", 2008.
    """

    def codes(
        self, x: jax.Array, dictionary: jax.Array, *, k: int, non_negative: bool
    ) -> jax.Array:
        """Returns codes with at most k factors a row, [batch, n_factors]."""
        k = min(k, dictionary.shape[0])
        return _pursue(
            functools.partial(_gradient_rows, k=k, non_negative=non_negative),
            x,
            dictionary,
            numbers_per_row=k * x.shape[1] + 2 * dictionary.shape[0],
        )


def _pursue(
    pursue_rows: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]],
    x: jax.Array,
    dictionary: jax.Array,
    *,
    numbers_per_row: int,
) -> jax.Array:
    """Returns codes of all rows, block by block."""
    batch, n_factors = x.shape[0], dictionary.shape[0]
    dictionary, factor_norm = _to_unit(dictionary)
    x, row_norm = _to_unit(x)
    share = _NUMBERS_PER_FACTOR * n_factors / numbers_per_row
    rows = max(1, min(batch, max(_LEAST_BLOCK, int(batch * share))))
    blocks = jnp.pad(x, ((0, -batch % rows), (0, 0))).reshape(-1, rows, x.shape[1])
    values, columns = jax.lax.map(lambda block: pursue_rows(block, dictionary), blocks)
    values, columns = (a.reshape(-1, a.shape[2])[:batch] for a in (values, columns))
    values = values * row_norm / factor_norm[:, 0].at[columns].get(mode="clip")
    return _scatter(values, columns, n_factors=n_factors)


def _omp_rows(
    x: jax.Array, dictionary: jax.Array, *, k: int, non_negative: bool
) -> tuple[jax.Array, jax.Array]:
    """Returns values [rows, k] and the columns they belong to."""

    def step(
        place: jax.Array, carry: tuple[active_set.ActiveSet, jax.Array]
    ) -> tuple[active_set.ActiveSet, jax.Array]:
        state, columns = carry
        correlation = objective.correlate(active_set.residual(state, x), dictionary)
        # Factors in use are orthogonal to the residual; those that were let go may not
        # be, and have their place already.
        correlation = _without(correlation, columns)
        column, found = _best(correlation, non_negative=non_negative)
        state = active_set.put(state, dictionary[column], x, place=place, found=found)
        if non_negative:
            state = active_set.non_negative_least_squares(state)
        else:
            state = active_set.least_squares(state)
        return state, columns.at[:, place].set(jnp.where(found, column, _NOWHERE))

    start = active_set.empty(x, k=k), _no_columns(x, k=k)
    state, columns = jax.lax.fori_loop(0, k, step, start)
    values = active_set.least_squares(state).codes
    return jnp.maximum(values, 0) if non_negative else values, columns


def _gradient_rows(
    x: jax.Array, dictionary: jax.Array, *, k: int, non_negative: bool
) -> tuple[jax.Array, jax.Array]:
    """Returns values [rows, k] and the columns they belong to."""

    def step(
        place: jax.Array, carry: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        values, factors, columns = carry
        residual = x - _combine(values, factors)
        correlation = objective.correlate(residual, dictionary)
        column, found = _best(correlation, non_negative=non_negative)
        fresh = found & ~jnp.any(columns == column[:, None], axis=1)
        columns = columns.at[:, place].set(jnp.where(fresh, column, _NOWHERE))
        factors = factors.at[:, place].set(
            jnp.where(fresh[:, None], dictionary[column], 0)
        )
        picked = found[:, None] & (columns == column[:, None])
        gradient = jnp.einsum("bsd,bd->bs", factors, residual, precision="highest")
        gradient = jnp.where((values != 0) | picked, gradient, 0)
        image = _combine(gradient, factors)
        curvature = jnp.sum(image**2, axis=1, keepdims=True)
        flat = curvature <= _FLAT
        length = jnp.sum(gradient**2, axis=1, keepdims=True)
        step_size = jnp.where(flat, 0, length / jnp.where(flat, 1, curvature))
        values = values + step_size * gradient
        if non_negative:
            values = jnp.maximum(values, 0)
        return values, factors, columns

    none = jnp.tile(jnp.zeros_like(x[:, :1]), (1, k))
    factors = jnp.tile(jnp.zeros_like(x)[:, None, :], (1, k, 1))
    start = none, factors, _no_columns(x, k=k)
    values, _, columns = jax.lax.fori_loop(0, k, step, start)
    return values, columns


def _combine(values: jax.Array, factors: jax.Array) -> jax.Array:
    return jnp.einsum("bs,bsd->bd", values, factors, precision="highest")


def _best(correlation: jax.Array, *, non_negative: bool) -> tuple[jax.Array, jax.Array]:
    """Returns the factor that correlates most with each row, and whether it does."""
    score = correlation if non_negative else jnp.abs(correlation)
    best = jnp.max(score, axis=1)
    # Two passes that vectorise take a quarter of the time of `argmax` on a CPU.
    number = jnp.arange(score.shape[1], dtype=jnp.int32)[None]
    candidates = jnp.where(score == best[:, None], number, score.shape[1] - 1)
    return jnp.min(candidates, axis=1), best > active_set.FLOOR


def _without(correlation: jax.Array, columns: jax.Array) -> jax.Array:
    """Returns correlations with those of the given columns set to 0."""
    rows = jnp.arange(correlation.shape[0])[:, None]
    return correlation.at[rows, columns].set(0, mode="drop")


def _no_columns(x: jax.Array, *, k: int) -> jax.Array:
    return jnp.tile(jnp.zeros_like(x[:, :1], jnp.int32), (1, k)) + _NOWHERE


def _to_unit(vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns vectors of unit norm and their norms, [..., 1]; zeros stay, with 1."""
    energy = jnp.sum(vectors**2, axis=-1, keepdims=True)
    norm = jnp.sqrt(jnp.where(energy > 0, energy, 1))
    return vectors / norm, norm


def _scatter(values: jax.Array, columns: jax.Array, *, n_factors: int) -> jax.Array:
    """Returns [batch, n_factors] codes with the values in their columns."""
    rows = jnp.arange(values.shape[0])[:, None]
    empty = jnp.zeros((values.shape[0], n_factors), values.dtype)
    return empty.at[rows, columns].set(values, mode="drop")

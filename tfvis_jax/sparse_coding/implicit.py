"""Derivatives of codes through the optimality conditions they satisfy.

On its support S a solution of the lasso, or of the elastic net, satisfies

    ⟨d_f, x − αD⟩ − μα_f − λ_f sign α_f = 0    for f in S,    α_f = 0 elsewhere,

whatever solver found it. S and the signs stay as they are for small enough changes of
x, D, λ and μ, but for a set of measure zero, so the change of α solves a linear system,

    (D_S D_Sᵀ + μI) dα_S = d[D_S (x − αD)ᵀ − μα − λ sign α]_S    with α held fixed,

and dα = 0 off S. Nothing of the solver is differentiated or stored. Codes that are
least squares on a support that stays as it is are the case λ = 0. Implicit derivatives
of the lasso: Bertrand et al., "Implicit differentiation for fast hyperparameter
selection in non-smooth convex learning", JMLR 2022.

What the system gives is exact for exact codes: at a gap of g, codes and with them the
derivatives are off by something like √g, and a factor that should have been off the
support changes them by its share. Solve to a small tolerance before differentiating.

Where factors in use depend on each other, the codes are not a function of the data: the
derivatives are then those of the pseudo-inverse, the shortest of all that fit, and
finite.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import objective
from tfvis_jax.sparse_coding.arrays import AnyArray

# What a dimension is split over: names of a mesh, or nothing.
_Axis = str | tuple[str, ...] | None

_MAX_STEPS = 256
# Squared, both: of the residual at which a row is finished, in the norm of the system's
# matrix and relative to the start, and of one that must lie in its null space.
_TOLERANCE = 1e-12
_NULL = 1e-6

# Solution, residual, direction, its image, energy of the residual, steps spent.
_Carry = tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array, int]


def differentiable(
    codes: jax.Array,
    x: AnyArray,
    dictionary: AnyArray,
    *,
    l1_penalty: jax.Array | float = 0.0,
    l2_penalty: jax.Array | float = 0.0,
) -> jax.Array:
    """Returns the codes unchanged, but with the derivatives of the solution.

    Derivatives are with respect to everything but ``codes`` itself, forward and
    reverse and of any order. A program without derivatives is not changed. One
    derivative costs conjugate residual steps, each a product with the dictionary and
    one with its transpose, up to about as many as a row has codes.

    Args:
      codes: [batch, n_factors] optimal codes of this problem, signed or non-negative.
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ; scalar, [batch], or [1 or batch, n_factors]. With 0, codes are
        taken to be least squares on their support.
      l2_penalty: μ, a scalar.

    Returns:
      [batch, n_factors] codes.
    """
    codes = jax.lax.stop_gradient(codes)
    rows, columns = jax.typeof(codes).sharding.spec
    inputs = (
        jnp.asarray(x, jnp.float32),
        _laid_out(jnp.asarray(dictionary, jnp.float32), columns, None),
        _laid_out(objective.penalty_matrix(l1_penalty), rows, columns),
        jnp.asarray(l2_penalty, jnp.float32),
    )
    # Under `shard_map`, what a linear solve closes over must vary over the same devices
    # throughout; the sum of these zeros varies wherever the codes or an input do.
    zero = sum(jnp.sum(jnp.zeros_like(value)) for value in (codes, *inputs))
    return _solution(codes, *(value + zero for value in inputs))


def _laid_out(array: jax.Array, *axes: _Axis) -> jax.Array:
    """Returns an array split as the codes are, which a solver may have decided."""
    spec = jax.P(
        *(
            axis if size > 1 else None
            for axis, size in zip(axes, array.shape, strict=True)
        )
    )
    return (
        array if jax.typeof(array).sharding.spec == spec else jax.reshard(array, spec)
    )


@jax.custom_jvp
def _solution(
    codes: jax.Array,
    x: jax.Array,
    dictionary: jax.Array,
    l1_penalty: jax.Array,
    l2_penalty: jax.Array,
) -> jax.Array:
    del x, dictionary, l1_penalty, l2_penalty
    return codes


@_solution.defjvp
def _solution_jvp(
    primals: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]
) -> tuple[jax.Array, jax.Array]:
    _, *given = primals
    codes = _solution(*primals)
    x, dictionary, _, l2_penalty = given
    support = (codes != 0).astype(codes.dtype)

    def stationarity(
        x: jax.Array,
        dictionary: jax.Array,
        l1_penalty: jax.Array,
        l2_penalty: jax.Array,
    ) -> jax.Array:
        residual = x - objective.decode(codes, dictionary, like=x)
        correlation = objective.correlate(residual, dictionary)
        penalty = l2_penalty * codes + l1_penalty * jnp.sign(codes)
        return support * (correlation - penalty)

    def image(move: jax.Array) -> jax.Array:
        return objective.decode(support * move, dictionary, like=x)

    def transpose(image: jax.Array, move: jax.Array) -> jax.Array:
        correlation = objective.correlate(image, dictionary)
        return support * (correlation + l2_penalty * move)

    def solve(_: object, target: jax.Array) -> jax.Array:
        return _conjugate_residuals(
            support * target, image=image, transpose=transpose, l2_penalty=l2_penalty
        )

    _, change = jax.jvp(stationarity, tuple(given), tuple(tangents[1:]))
    return codes, jax.lax.custom_linear_solve(
        lambda move: transpose(image(move), move), change, solve, symmetric=True
    )


def _conjugate_residuals(
    target: jax.Array,
    *,
    image: Callable[[jax.Array], jax.Array],
    transpose: Callable[[jax.Array, jax.Array], jax.Array],
    l2_penalty: jax.Array,
) -> jax.Array:
    """Returns the pseudo-inverse of (D_S D_Sᵀ + μI) times a target on S, row by row.

    Stiefel's conjugate residuals, 1955, take a product a step as conjugate gradients
    do, but what of the target lies in the null space of a singular matrix does not
    disturb them. It stays in the residual, and the solution's share of it is taken out
    in the end (Liu, Milzarek & Roosta, 2023).
    """
    norm = jnp.sqrt(_dot(target, target))
    norm = jnp.where(norm > 0, norm, 1)

    def product(residual: jax.Array) -> tuple[jax.Array, jax.Array]:
        part = image(residual)
        energy = _dot(part, part) + l2_penalty * _dot(residual, residual)
        return transpose(part, residual), energy

    def unfinished(carry: _Carry) -> jax.Array:
        *_, energy, spent = carry
        return (spent < _MAX_STEPS) & jnp.any(energy > finished)

    def advance(carry: _Carry) -> _Carry:
        solution, residual, direction, along, energy, spent = carry
        going = energy > finished
        length = _dot(along, along)
        going = going & (length > 0)
        share = jnp.where(going, energy / jnp.where(going, length, 1), 0)
        solution = solution + share * direction
        residual = residual - share * along
        turned, next_energy = product(residual)
        kept = jnp.where(going, next_energy / jnp.where(going, energy, 1), 0)
        return (
            solution,
            residual,
            residual + kept * direction,
            turned + kept * along,
            jnp.where(going, next_energy, 0),
            spent + 1,
        )

    start = target / norm
    along, energy = product(start)
    finished = _TOLERANCE * energy
    carry = (jnp.zeros_like(start), start, start, along, energy, 0)
    solution, residual, *_, energy, _ = jax.lax.while_loop(unfinished, advance, carry)
    rest = _dot(residual, residual)
    null = (rest > _NULL) & (energy <= finished)
    share = jnp.where(null, _dot(solution, residual) / jnp.where(null, rest, 1), 0)
    return norm * (solution - share * residual)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns the inner products of rows, [batch, 1]."""
    return jnp.sum(a * b, axis=1, keepdims=True)

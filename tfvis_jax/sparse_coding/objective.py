"""The sparse coding problem: objective and certificate, piece by piece.

For one row x of a batch and a dictionary D whose rows are factors,

    minimise over α:  ½‖x − αD‖² + Σ_f λ_f |α_f| + ½μ‖α‖²,    α ≥ 0 unless signed.

The penalty λ is a scalar, one value a row [batch], or one value a factor
[1 or batch, n_factors]; see `penalty_matrix`. μ is a scalar, usually 0. With it this is
the problem without it for the row [x, 0] and the dictionary [D, √μ I]; below, r stands
for the residual of that, so that

    ⟨d_f, r⟩ = ⟨d_f, x − αD⟩ − μα_f,    ‖r‖² = ‖x − αD‖² + μ‖α‖².

The first is called the *correlation* of a factor: the objective's negative gradient but
for the penalty λ.

The dual is  maximise ½‖x‖² − ½‖x − θ‖²  over the θ with ⟨d_f, θ⟩ ≤ λ_f for every f
(|⟨d_f, θ⟩| ≤ λ_f in the signed problem). Any code α and any feasible θ bracket the
optimum, so their difference bounds how far the objective of α is above it. Here θ is
the residual, scaled by s ≤ 1 to feasibility, and the difference is computed as

    primal − dual = ½(1 − s)²‖r‖² + Σ_f (λ_f |α_f| − s α_f ⟨d_f, r⟩),

which follows from ⟨x, r⟩ = ‖r‖² + ⟨αD, r⟩. Every term of that sum is non-negative, so
nothing cancels, unlike in the difference of the two values: the result is exact to a
few float32 roundings of the residual, `GAP_FLOOR` of ½‖x‖². Below that floor it means
nothing.

These are the parts that solvers are made of, to be called inside a program;
`certificate` has the functions for everyone else.
"""

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import precision as precision_lib

# The smallest relative duality gap that float32 can certify.
GAP_FLOOR = 1e-6
# Of ½‖x‖²: a millionth of it must still be a float32.
_LEAST_ENERGY = 1e-30


def penalty_matrix(l1_penalty: jax.Array | float) -> jax.Array:
    """Returns λ as [1 or batch, 1 or n_factors] so that it broadcasts against codes."""
    penalty = jnp.asarray(l1_penalty, jnp.float32)
    if penalty.ndim == 2:
        return penalty
    return penalty.reshape(-1, 1) if penalty.ndim == 0 else penalty[:, None]


def ridge(l2_penalty: jax.Array | float | None) -> jax.Array | None:
    """Returns μ as a scalar, or None for a plain 0, which then costs nothing."""
    if l2_penalty is None or (isinstance(l2_penalty, int | float) and l2_penalty == 0):
        return None
    return jnp.asarray(l2_penalty, jnp.float32)


def decode(
    codes: jax.Array,
    dictionary: jax.Array,
    *,
    like: jax.Array,
    precision: str = "float32",
) -> jax.Array:
    """Returns the [batch, d_model] sums αD, sharded like ``like``.

    The contraction runs over ``n_factors``, which a mesh may split, so the layout of
    the result cannot be inferred and is taken from an array of the same shape.

    Args:
      codes: [batch, n_factors].
      dictionary: [n_factors, d_model].
      like: [batch, d_model], an array with the layout of the result.
      precision: arithmetic of the product, one of `precision.NAMES`.
    """
    return precision_lib.einsum(
        "bf,fd->bd",
        codes,
        dictionary,
        precision=precision,
        out_sharding=jax.typeof(like).sharding,
    )


def correlate(
    residual: jax.Array, dictionary: jax.Array, *, precision: str = "float32"
) -> jax.Array:
    """Returns ⟨d_f, r⟩ for every row and factor, [batch, n_factors].

    Args:
      residual: [batch, d_model].
      dictionary: [n_factors, d_model].
      precision: arithmetic of the product, one of `precision.NAMES`.
    """
    return precision_lib.einsum("bd,fd->bf", residual, dictionary, precision=precision)


def zero_codes(x: jax.Array, dictionary: jax.Array) -> jax.Array:
    """Returns [batch, n_factors] zeros, laid out as the codes of a solve are."""
    # Only the shape and layout of the product survive compilation.
    return jnp.zeros_like(correlate(x, dictionary))


def residual_energy(
    residual: jax.Array, codes: jax.Array, *, l2_penalty: jax.Array | float | None = 0.0
) -> jax.Array:
    """Returns ‖x − αD‖² + μ‖α‖² where the residual is at hand, [batch].

    Of a move and its image in place of codes and residual, it is the curvature along
    the move.

    Args:
      residual: [batch, d_model], x − αD.
      codes: [batch, n_factors].
      l2_penalty: μ ≥ 0, a scalar.
    """
    energy = jnp.sum(residual**2, axis=1)
    l2_penalty = ridge(l2_penalty)
    if l2_penalty is None:
        return energy
    return energy + l2_penalty * jnp.sum(codes**2, axis=1)


def smooth_descent(
    codes: jax.Array,
    residual: jax.Array,
    dictionary: jax.Array,
    *,
    l2_penalty: jax.Array | float | None = 0.0,
    precision: str = "float32",
) -> jax.Array:
    """Returns ⟨d_f, x − αD⟩ − μα_f, the correlations, [batch, n_factors].

    Args:
      codes: [batch, n_factors].
      residual: [batch, d_model], x − αD.
      dictionary: [n_factors, d_model].
      l2_penalty: μ ≥ 0, a scalar.
      precision: arithmetic of the product, one of `precision.NAMES`.
    """
    correlation = correlate(residual, dictionary, precision=precision)
    l2_penalty = ridge(l2_penalty)
    return correlation if l2_penalty is None else correlation - l2_penalty * codes


def feasible_scale(
    correlation: jax.Array, *, l1_penalty: jax.Array | float, non_negative: bool = True
) -> jax.Array:
    """Returns the largest s ≤ 1 for which s·residual is dual feasible, [batch].

    Args:
      correlation: [batch, n_factors], `smooth_descent` of codes and residual.
      l1_penalty: λ, positive.
      non_negative: whether the codes are.
    """
    penalty = penalty_matrix(l1_penalty)
    against = correlation if non_negative else jnp.abs(correlation)
    return 1 / jnp.maximum(1, jnp.max(against / penalty, axis=1))


def gap_from_residual(
    x: jax.Array,
    codes: jax.Array,
    *,
    residual: jax.Array,
    correlation: jax.Array,
    l1_penalty: jax.Array | float,
    l2_penalty: jax.Array | float | None = 0.0,
    non_negative: bool = True,
) -> jax.Array:
    """Returns the relative duality gap where residual and correlation are at hand.

    Args:
      x: [batch, d_model].
      codes: [batch, n_factors].
      residual: [batch, d_model], x − αD.
      correlation: [batch, n_factors], `smooth_descent` of those.
      l1_penalty: λ.
      l2_penalty: μ, a scalar.
      non_negative: whether the codes are.

    Returns:
      [batch], (primal − dual) / (½‖x‖²); 0 where codes of zero are optimal, NaN for a
      row that is not finite, whose penalties are no penalties, or whose squares are too
      small or too large for float32 (scale such rows first).
    """
    penalty = valid_penalty(l1_penalty, l2_penalty=l2_penalty)
    return gap_at_scale(
        x,
        codes,
        residual=residual,
        correlation=correlation,
        penalty=penalty,
        scale=feasible_scale(
            correlation, l1_penalty=penalty, non_negative=non_negative
        ),
        l2_penalty=l2_penalty,
    )


def valid_penalty(
    l1_penalty: jax.Array | float, *, l2_penalty: jax.Array | float | None = 0.0
) -> jax.Array:
    """Returns λ as `penalty_matrix` does, NaN where λ or μ is no penalty."""
    penalty = penalty_matrix(l1_penalty)
    penalty = jnp.where(penalty > 0, penalty, jnp.nan)
    if ridge(l2_penalty) is not None:
        penalty = jnp.where(jnp.asarray(l2_penalty) >= 0, penalty, jnp.nan)
    return penalty


def gap_at_scale(
    x: jax.Array,
    codes: jax.Array,
    *,
    residual: jax.Array,
    correlation: jax.Array,
    penalty: jax.Array,
    scale: jax.Array,
    l2_penalty: jax.Array | float | None = 0.0,
) -> jax.Array:
    """Returns `gap_from_residual` where the scale is known as well, [batch].

    Codes that are zero add nothing, so that those of a few factors will do.

    Args:
      x: [batch, d_model].
      codes: [batch, size], all that are not zero.
      residual: [batch, d_model], x − αD.
      correlation: [batch, size], of those codes.
      penalty: `valid_penalty`, [1 or batch, 1 or size].
      scale: [batch], `feasible_scale` of the correlations of all factors.
      l2_penalty: μ, a scalar.
    """
    slack = penalty * jnp.abs(codes) - scale[:, None] * codes * correlation
    rest = residual_energy(residual, codes, l2_penalty=l2_penalty)
    gap = 0.5 * (1 - scale) ** 2 * rest + jnp.sum(slack, axis=1)
    energy = 0.5 * jnp.sum(x**2, axis=1)
    # Codes of zero are optimal where all correlations allow it, however small the row.
    optimal = (scale == 1) & (jnp.sum(jnp.abs(codes), axis=1) == 0)
    lost = (energy < _LEAST_ENERGY) & jnp.any(x != 0, axis=1) & ~optimal
    return jnp.where(lost, jnp.nan, jnp.where(gap == 0, 0, gap / energy))

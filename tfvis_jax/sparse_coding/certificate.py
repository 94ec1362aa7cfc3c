"""What codes are worth: reconstruction, objective, duality gap, optimality.

Each function is one compiled program, whether called by itself or inside another; see
`objective` for the mathematics.
"""

from typing import Any

import jax
import jax.numpy as jnp

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import checks, objective
from tfvis_jax.sparse_coding.arrays import (
    AnyArray,
    Codes,
    Factors,
    NewCodes,
    PerRow,
    Reconstructions,
    Rows,
)
from tfvis_jax.sparse_coding.compilation import compiled


def decode(codes: Codes, dictionary: Factors) -> Reconstructions:
    """Returns the sums αD, [batch, d_model], in float32.

    On a mesh, rows lie as those of the codes, and dimensions as the dictionary's.

    Args:
      codes: [batch, n_factors].
      dictionary: [n_factors, d_model].

    Raises:
      InputError: shapes do not fit.
    """
    checks.check_real(codes=codes, dictionary=dictionary)
    if codes.ndim != 2 or dictionary.ndim != 2 or codes.shape[1] != len(dictionary):
        raise InputError(
            "Expected `codes` of shape [batch, n_factors] and `dictionary` of shape "
            f"[n_factors, d_model], got {codes.shape} and {dictionary.shape}."
        )
    return _decode(codes, dictionary)


@compiled()
def _decode(codes: Codes, dictionary: Factors) -> Reconstructions:
    codes, dictionary = (jnp.asarray(a, jnp.float32) for a in (codes, dictionary))
    rows, columns = (jax.typeof(a).sharding for a in (codes, dictionary))
    return jnp.einsum(
        "bf,fd->bd",
        codes,
        dictionary,
        precision="highest",
        out_sharding=rows.update(spec=jax.P(rows.spec[0], columns.spec[1])),
    )


def correlate(rows: Rows, dictionary: Factors) -> NewCodes:
    """Returns ⟨d_f, r⟩ for every row r and factor, [batch, n_factors], in float32.

    Args:
      rows: [batch, d_model], rows or residuals.
      dictionary: [n_factors, d_model].

    Raises:
      InputError: shapes do not fit.
    """
    checks.check_shapes(rows, dictionary)
    return _correlate(rows, dictionary)


@compiled()
def _correlate(rows: Rows, dictionary: Factors) -> jax.Array:
    return objective.correlate(*_in_float32(rows, dictionary))


def lasso_objective(
    x: Rows,
    dictionary: Factors,
    codes: Codes,
    *,
    l1_penalty: jax.typing.ArrayLike,
    l2_penalty: jax.typing.ArrayLike = 0.0,
) -> PerRow:
    """Returns ½‖x − αD‖² + Σ λ|α| + ½μ‖α‖² of every row, [batch].

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      codes: [batch, n_factors].
      l1_penalty: λ; scalar, [batch], or [1 or batch, n_factors].
      l2_penalty: μ, a scalar.

    Raises:
      InputError: shapes do not fit, or values that are not traced are not finite or
        too large or small for their squares to be float32.
    """
    checks.check_shapes(x, dictionary, codes=codes)
    arrays = {"x": x, "dictionary": dictionary, "codes": codes}
    checks.check_values(arrays)
    penalties = _penalties(l1_penalty, l2_penalty)
    return _lasso_objective(x, dictionary, codes, *penalties)


@compiled()
def _lasso_objective(
    x: Rows,
    dictionary: Factors,
    codes: Codes,
    l1_penalty: jax.Array,
    l2_penalty: jax.Array | None,
) -> jax.Array:
    x, dictionary, codes, residual = _with_residual(x, dictionary, codes, l1_penalty)
    penalty = objective.penalty_matrix(l1_penalty)
    misfit = 0.5 * objective.residual_energy(residual, codes, l2_penalty=l2_penalty)
    return misfit + jnp.sum(penalty * jnp.abs(codes), axis=1)


def duality_gap(
    x: Rows,
    dictionary: Factors,
    codes: Codes,
    *,
    l1_penalty: jax.typing.ArrayLike,
    l2_penalty: jax.typing.ArrayLike = 0.0,
    non_negative: bool = True,
) -> PerRow:
    """Returns the certificate of every row, (primal − dual) / (½‖x‖²), [batch].

    The objective of the codes is at most ``gap · ½‖x‖²`` above the optimum, whoever
    made them. Computed in float32 whatever the platform's default arithmetic; exact to
    `objective.GAP_FLOOR`. Duality for the lasso: Mairal & Yu, "Complexity analysis of
    the lasso regularization path", ICML 2012.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      codes: [batch, n_factors].
      l1_penalty: λ > 0; scalar, [batch], or [1 or batch, n_factors].
      l2_penalty: μ ≥ 0, a scalar.
      non_negative: If True, the gap of the problem whose codes are >= 0.

    Raises:
      InputError: shapes do not fit, or values that are not traced are not finite or
        too large or small for their squares to be float32.
    """
    checks.check_shapes(x, dictionary, codes=codes)
    arrays = {"x": x, "dictionary": dictionary, "codes": codes}
    checks.check_values(arrays, is_certified=True)
    penalties = _penalties(l1_penalty, l2_penalty)
    return _duality_gap(
        x,
        dictionary,
        codes,
        *penalties,
        non_negative=checks.is_true("non_negative", non_negative),
    )


@compiled("non_negative")
def _duality_gap(
    x: Rows,
    dictionary: Factors,
    codes: Codes,
    l1_penalty: jax.Array,
    l2_penalty: jax.Array | None,
    *,
    non_negative: bool,
) -> jax.Array:
    x, dictionary, codes, residual = _with_residual(x, dictionary, codes, l1_penalty)
    return objective.gap_from_residual(
        x,
        codes,
        residual=residual,
        correlation=objective.smooth_descent(
            codes, residual, dictionary, l2_penalty=l2_penalty
        ),
        l1_penalty=l1_penalty,
        l2_penalty=l2_penalty,
        non_negative=non_negative,
    )


def kkt_residual(
    x: Rows,
    dictionary: Factors,
    codes: Codes,
    *,
    l1_penalty: jax.typing.ArrayLike,
    l2_penalty: jax.typing.ArrayLike = 0.0,
    non_negative: bool = True,
) -> PerRow:
    """Returns the largest violation of the optimality conditions of a row, [batch].

    A code is optimal when ⟨d_f, r⟩ = λ_f·sign(α_f) on its support and ⟨d_f, r⟩ ≤ λ_f
    off it (|⟨d_f, r⟩| ≤ λ_f in the signed problem). The result is in units of λ_f.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      codes: [batch, n_factors].
      l1_penalty: λ > 0; scalar, [batch], or [1 or batch, n_factors].
      l2_penalty: μ ≥ 0, a scalar.
      non_negative: If True, the conditions of the problem whose codes are >= 0.

    Raises:
      InputError: shapes do not fit, or values that are not traced are not finite or
        too large or small for their squares to be float32.
    """
    checks.check_shapes(x, dictionary, codes=codes)
    arrays = {"x": x, "dictionary": dictionary, "codes": codes}
    checks.check_values(arrays)
    penalties = _penalties(l1_penalty, l2_penalty)
    return _kkt_residual(
        x,
        dictionary,
        codes,
        *penalties,
        non_negative=checks.is_true("non_negative", non_negative),
    )


@compiled("non_negative")
def _kkt_residual(
    x: Rows,
    dictionary: Factors,
    codes: Codes,
    l1_penalty: jax.Array,
    l2_penalty: jax.Array | None,
    *,
    non_negative: bool,
) -> jax.Array:
    x, dictionary, codes, residual = _with_residual(x, dictionary, codes, l1_penalty)
    correlation = objective.smooth_descent(
        codes, residual, dictionary, l2_penalty=l2_penalty
    )
    scaled = correlation / objective.penalty_matrix(l1_penalty)
    outside = scaled if non_negative else jnp.abs(scaled)
    violation = jnp.where(
        codes == 0, jnp.maximum(outside - 1, 0), jnp.abs(scaled - jnp.sign(codes))
    )
    return jnp.max(violation, axis=1)


def _penalties(
    l1_penalty: jax.typing.ArrayLike, l2_penalty: jax.typing.ArrayLike
) -> tuple[Any, Any]:
    """Returns λ and μ in float32; None for a plain μ of 0, which costs nothing."""
    penalty = checks.in_float32("l1_penalty", l1_penalty)
    return penalty, checks.ridge_in_float32(l2_penalty)


def _with_residual(
    x: Rows,
    dictionary: Factors,
    codes: Codes,
    l1_penalty: jax.Array | float,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Returns the arrays in float32, with x − αD."""
    checks.check_numbers(codes.shape, {"l1_penalty": l1_penalty})
    x, dictionary, codes = _in_float32(x, dictionary, codes)
    residual = x - objective.decode(codes, dictionary, like=x)
    return x, dictionary, codes, residual


def _in_float32(*arrays: AnyArray) -> tuple[jax.Array, ...]:
    return tuple(jnp.asarray(array, jnp.float32) for array in arrays)

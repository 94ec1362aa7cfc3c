"""Spectral projected gradient: a Barzilai–Borwein step for every row."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import lipschitz as lipschitz_lib
from tfvis_jax.sparse_coding import objective, prox


class SpectralState(NamedTuple):
    """Where a solve stands; every row is independent of the others."""

    codes: jax.Array  # [batch, n_factors]
    residual: jax.Array  # [batch, d_model], x − αD
    step_size: jax.Array  # [batch, 1]


def init(
    x: jax.Array,
    dictionary: jax.Array,
    *,
    lipschitz: jax.Array | float,
    codes0: jax.Array | None = None,
) -> SpectralState:
    """Starts at ``codes0`` (zeros if None) with a step of 1/L."""
    residual = x
    if codes0 is None:
        codes0 = objective.zero_codes(x, dictionary)
    else:
        residual = x - objective.decode(codes0, dictionary, like=x)
    return SpectralState(codes0, residual, jnp.ones_like(x[:, :1]) / lipschitz)


def step(
    state: SpectralState,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    non_negative: bool = True,
    precision: objective.Precision = jax.lax.Precision.HIGHEST,
) -> SpectralState:
    """Takes one proximal step of each row's own length, then searches along it.

        Δ = shrink(α + τ r Dᵀ, τλ) − α
        α⁺ = α + tΔ, t the exact minimiser on [0, 1]
        τ⁺ = ‖Δ‖² / ‖ΔD‖²

    The objective is quadratic in t, and ΔD is needed for the next residual anyway, so
    the exact search costs no matrix product, and the objective never rises.
    """
    penalty = objective.penalty_matrix(l1_penalty)
    shrink = prox.shrinkage(non_negative=non_negative)
    codes, residual, step_size = state
    correlation = objective.correlate(residual, dictionary, precision=precision)
    proposal = shrink(codes + step_size * correlation, step_size * penalty)
    move = proposal - codes
    image = objective.decode(move, dictionary, like=residual, precision=precision)
    # In the signed problem |·| is convex along the move, so this bounds the descent.
    cost = penalty * (jnp.abs(proposal) - jnp.abs(codes))
    descent = jnp.sum(move * correlation - cost, axis=1, keepdims=True)
    length = jnp.sum(move**2, axis=1, keepdims=True)
    curvature = jnp.sum(image**2, axis=1, keepdims=True)
    share = jnp.clip(jnp.where(curvature > descent, descent / curvature, 1), 0, 1)
    return SpectralState(
        codes + share * move,
        residual - share * image,
        jnp.where((length > 0) & (curvature > 0), length / curvature, step_size),
    )


def spectral(
    x: jax.Array,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    num_steps: int,
    lipschitz: jax.Array | float | None = None,
    codes0: jax.Array | None = None,
    non_negative: bool = True,
    precision: objective.Precision = jax.lax.Precision.HIGHEST,
) -> jax.Array:
    """Infers codes by spectral projected gradient, ending with one plain step.

    The step length of a row is the inverse of its curvature along its last move
    (Barzilai & Borwein, 1988), the search along it is that of GPSR-BB (Figueiredo,
    Nowak & Wright, 2007). A partial move shrinks codes without reaching zero, so the
    last step is a proximal step of 1/L, which sets them.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ; scalar, [batch], or [1 or batch, n_factors].
      num_steps: fixed number of steps.
      lipschitz: L; a power-iteration estimate if None.
      codes0: [batch, n_factors] start; zeros if None.
      non_negative: whether the codes are.
      precision: of both matrix products.

    Returns:
      [batch, n_factors] codes.
    """
    if lipschitz is None:
        lipschitz = lipschitz_lib.power_iteration(dictionary)

    def body(state, _):
        state = step(
            state,
            dictionary,
            l1_penalty=l1_penalty,
            non_negative=non_negative,
            precision=precision,
        )
        return state, None

    state = init(x, dictionary, lipschitz=lipschitz, codes0=codes0)
    state, _ = jax.lax.scan(body, state, length=num_steps - 1)
    last = state._replace(step_size=jnp.ones_like(x[:, :1]) / lipschitz)
    return step(
        last,
        dictionary,
        l1_penalty=l1_penalty,
        non_negative=non_negative,
        precision=precision,
    ).codes

"""Spectral projected gradient: a Barzilai–Borwein step for every row."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import lipschitz as lipschitz_lib
from tfvis_jax.sparse_coding import objective, prox

# How many past objectives a step may not exceed, and the descent asked for in addition
# as a share of the step's squared length (Wright, Nowak & Figueiredo, 2009).
_MEMORY = 5
_SUFFICIENT = 1e-4


class SpectralState(NamedTuple):
    """Where a solve stands; every row is independent of the others."""

    codes: jax.Array  # [batch, n_factors]
    residual: jax.Array  # [batch, d_model], x − αD
    step_size: jax.Array  # [batch, 1]
    recent: jax.Array  # [batch, _MEMORY], objectives less the present one, oldest first


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
    none = jnp.zeros_like(x[:, :1])
    return SpectralState(
        codes0, residual, none + 1 / lipschitz, jnp.tile(none, (1, _MEMORY))
    )


def step(
    state: SpectralState,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    non_negative: bool = True,
    precision: objective.Precision = jax.lax.Precision.HIGHEST,
) -> SpectralState:
    """Takes one proximal step of each row's own length, τ, and sets the next.

        Δ = shrink(α + τ r Dᵀ, τλ) − α
        α⁺ = α + tΔ,  r⁺ = r − tΔD
        τ⁺ = ‖Δ‖² / ‖ΔD‖²

    t is 1 unless that would exceed the largest of the last few objectives; it is then
    the exact minimiser along Δ. The objective is quadratic in t and ΔD is needed for
    the next residual anyway, so neither costs a matrix product.
    """
    codes, residual, step_size, recent = state
    correlation = objective.correlate(residual, dictionary, precision=precision)
    move, descent = _propose(
        codes,
        correlation,
        step_size=step_size,
        penalty=objective.penalty_matrix(l1_penalty),
        non_negative=non_negative,
    )
    image = objective.decode(move, dictionary, like=residual, precision=precision)
    share, step_size, recent = _accept(
        move,
        descent=descent,
        curvature=jnp.sum(image**2, axis=1, keepdims=True),
        step_size=step_size,
        recent=recent,
    )
    return SpectralState(
        codes + share * move, residual - share * image, step_size, recent
    )


class GramState(NamedTuple):
    """Where a solve on a few factors stands, their Gram matrix being at hand."""

    codes: jax.Array  # [batch, size]
    correlation: jax.Array  # [batch, size], ⟨d_f, r⟩
    step_size: jax.Array  # [batch, 1]
    recent: jax.Array  # [batch, _MEMORY]


def gram_init(
    codes: jax.Array, correlation: jax.Array, *, step_size: jax.Array | float
) -> GramState:
    """Starts at codes whose residual has the given correlations."""
    none = jnp.zeros_like(codes[:, :1])
    return GramState(codes, correlation, none + step_size, jnp.tile(none, (1, _MEMORY)))


def gram_step(
    state: GramState,
    gram: jax.Array,
    *,
    penalty: jax.Array,
    non_negative: bool = True,
) -> GramState:
    """Takes the same step by each row's own Gram matrix, [batch, size, size]."""
    codes, correlation, step_size, recent = state
    move, descent = _propose(
        codes,
        correlation,
        step_size=step_size,
        penalty=penalty,
        non_negative=non_negative,
    )
    image = jnp.einsum("bst,bt->bs", gram, move, precision="highest")
    share, step_size, recent = _accept(
        move,
        descent=descent,
        curvature=jnp.sum(move * image, axis=1, keepdims=True),
        step_size=step_size,
        recent=recent,
    )
    return GramState(
        codes + share * move, correlation - share * image, step_size, recent
    )


def _propose(codes, correlation, *, step_size, penalty, non_negative):
    """Returns the full move Δ and the first-order descent along it, [batch, 1]."""
    shrink = prox.shrinkage(non_negative=non_negative)
    proposal = shrink(codes + step_size * correlation, step_size * penalty)
    move = proposal - codes
    # In the signed problem |·| is convex along the move, so this bounds the descent.
    cost = penalty * (jnp.abs(proposal) - jnp.abs(codes))
    return move, jnp.sum(move * correlation - cost, axis=1, keepdims=True)


def _accept(move, *, descent, curvature, step_size, recent):
    """Returns the share of the move to take, the next step size and objectives.

    Along the move the objective changes by ½t²·curvature − t·descent.
    """
    length = jnp.sum(move**2, axis=1, keepdims=True)
    highest = jnp.max(recent, axis=1, keepdims=True)
    allowed = highest - 0.5 * _SUFFICIENT * length / step_size
    within = 0.5 * curvature - descent <= allowed
    minimum = jnp.clip(descent / jnp.where(within, 1, curvature), 0, 1)
    share = jnp.where(within, 1, minimum)
    change = 0.5 * share**2 * curvature - share * descent
    flat = (length == 0) | (curvature <= 0)
    next_size = jnp.where(flat, step_size, length / jnp.where(flat, 1, curvature))
    recent = jnp.concatenate([recent[:, 1:] - change, jnp.zeros_like(change)], axis=1)
    return share, next_size, recent


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
    (Barzilai & Borwein, 1988); moves are safeguarded as in SpaRSA (Wright, Nowak &
    Figueiredo, 2009). A shortened move leaves small codes where zeros belong, so the
    last step is a proximal step of 1/L.

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
    settings = {
        "l1_penalty": l1_penalty,
        "non_negative": non_negative,
        "precision": precision,
    }

    def body(state, _):
        return step(state, dictionary, **settings), None

    state = init(x, dictionary, lipschitz=lipschitz, codes0=codes0)
    state, _ = jax.lax.scan(body, state, length=num_steps - 1)
    plain = state._replace(step_size=jnp.zeros_like(state.step_size) + 1 / lipschitz)
    return step(plain, dictionary, **settings).codes

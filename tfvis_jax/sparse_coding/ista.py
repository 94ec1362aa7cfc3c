"""Proximal gradient with a fixed step (ISTA)."""

from typing import NamedTuple

import jax

from tfvis_jax.sparse_coding import lipschitz as lipschitz_lib
from tfvis_jax.sparse_coding import objective, prox


class IstaState(NamedTuple):
    """Where a solve stands."""

    codes: jax.Array  # [batch, n_factors]


def init(
    x: jax.Array, dictionary: jax.Array, *, codes0: jax.Array | None = None
) -> IstaState:
    """Starts at ``codes0``, zeros if None."""
    if codes0 is None:
        codes0 = objective.zero_codes(x, dictionary)
    return IstaState(codes0)


def step(
    state: IstaState,
    x: jax.Array,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    lipschitz: jax.Array | float,
    non_negative: bool = True,
    precision: objective.Precision = jax.lax.Precision.HIGHEST,
) -> IstaState:
    """Takes one step: α ← shrink(α + (x − αD)Dᵀ / L, λ / L)."""
    codes = state.codes
    reconstruction = objective.decode(codes, dictionary, like=x, precision=precision)
    correlation = objective.correlate(
        x - reconstruction, dictionary, precision=precision
    )
    shrink = prox.shrinkage(non_negative=non_negative)
    threshold = objective.penalty_matrix(l1_penalty) / lipschitz
    return IstaState(shrink(codes + correlation / lipschitz, threshold))


def ista(
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
    """Infers codes by proximal gradient steps of 1/L.

    The objective never rises, and after k steps is at most L‖α*‖²/(2k) above the
    optimum when started from zero. Daubechies, Defrise & De Mol, 2004.

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
            x,
            dictionary,
            l1_penalty=l1_penalty,
            lipschitz=lipschitz,
            non_negative=non_negative,
            precision=precision,
        )
        return state, None

    state, _ = jax.lax.scan(body, init(x, dictionary, codes0=codes0), length=num_steps)
    return state.codes

"""Proximal gradient with a fixed step (ISTA)."""

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import lipschitz as lipschitz_lib
from tfvis_jax.sparse_coding import objective, prox


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

        α ← shrink(α + (x − αD)Dᵀ / L, λ / L)

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
    step_size = 1 / jnp.asarray(lipschitz, x.dtype)
    threshold = step_size * objective.penalty_matrix(l1_penalty)
    shrink = prox.shrinkage(non_negative=non_negative)

    def step(codes, _):
        reconstruction = objective.decode(
            codes, dictionary, like=x, precision=precision
        )
        correlation = objective.correlate(
            x - reconstruction, dictionary, precision=precision
        )
        return shrink(codes + step_size * correlation, threshold), None

    if codes0 is None:
        codes0 = objective.zero_codes(x, dictionary)
    codes, _ = jax.lax.scan(step, codes0, length=num_steps)
    return codes

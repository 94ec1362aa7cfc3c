"""Accelerated proximal gradient (FISTA), as published and with per-row restart."""

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import lipschitz as lipschitz_lib
from tfvis_jax.sparse_coding import objective, prox


def fista(
    x: jax.Array,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    num_steps: int,
    lipschitz: jax.Array | float | None = None,
    codes0: jax.Array | None = None,
    non_negative: bool = True,
    restart: bool = False,
    precision: objective.Precision = jax.lax.Precision.HIGHEST,
) -> jax.Array:
    """Infers codes by accelerated proximal gradient steps of 1/L.

        α⁺ = shrink(y + (x − yD)Dᵀ / L, λ / L)
        t⁺ = (1 + √(1 + 4t²)) / 2
        y⁺ = α⁺ + (t − 1)/t⁺ · (α⁺ − α)

    Beck & Teboulle, 2009. With ``restart``, a row whose last move went uphill,
    ⟨y − α⁺, α⁺ − α⟩ > 0, begins its momentum anew (O'Donoghue & Candès, 2015), which
    makes the convergence linear once the support has settled.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ; scalar, [batch], or [1 or batch, n_factors].
      num_steps: fixed number of steps.
      lipschitz: L; a power-iteration estimate if None.
      codes0: [batch, n_factors] start; zeros if None.
      non_negative: whether the codes are.
      restart: restart the momentum row by row.
      precision: of both matrix products.

    Returns:
      [batch, n_factors] codes.
    """
    if lipschitz is None:
        lipschitz = lipschitz_lib.power_iteration(dictionary)
    step_size = 1 / jnp.asarray(lipschitz, x.dtype)
    threshold = step_size * objective.penalty_matrix(l1_penalty)
    shrink = prox.shrinkage(non_negative=non_negative)

    def step(carry, _):
        codes, extrapolated, t = carry
        reconstruction = objective.decode(
            extrapolated, dictionary, like=x, precision=precision
        )
        correlation = objective.correlate(
            x - reconstruction, dictionary, precision=precision
        )
        new_codes = shrink(extrapolated + step_size * correlation, threshold)
        move = new_codes - codes
        if restart:
            uphill = jnp.sum((extrapolated - new_codes) * move, axis=1, keepdims=True)
            t = jnp.where(uphill > 0, 1, t)
        new_t = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
        return (new_codes, new_codes + (t - 1) / new_t * move, new_t), None

    if codes0 is None:
        codes0 = objective.zero_codes(x, dictionary)
    # One momentum a row where rows restart, else one for all, as published.
    t = jnp.ones_like(x[:, :1]) if restart else jnp.ones((1, 1), x.dtype)
    (codes, _, _), _ = jax.lax.scan(step, (codes0, codes0, t), length=num_steps)
    return codes

"""Gives factors that no longer fire a direction in which the dictionary falls short."""

import jax
import jax.numpy as jnp


def count_idle(idle: jax.Array, codes: jax.Array) -> jax.Array:
    """Returns for how many steps each factor has not fired, [n_factors] int32.

    Args:
      idle: [n_factors], the count before this step.
      codes: [batch, n_factors] of this step.
    """
    return jnp.where(jnp.any(codes != 0, axis=0), 0, idle + 1)


def revive(
    dictionary: jax.Array, residual: jax.Array, *, dead: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Replaces dead factors by the residuals of the worst-explained rows.

    The n-th dead factor takes the direction of the n-th largest residual, so that no
    two become the same; more dead factors than rows wait for the next step. The idea is
    that of K-SVD (Aharon, Elad & Bruckstein, 2006, §IV-A).

    Args:
      dictionary: [n_factors, d_model].
      residual: [batch, d_model], x − αD; rows of padding are zero.
      dead: [n_factors] bool.

    Returns:
      The dictionary, and which factors were replaced, [n_factors] bool.
    """
    length = jnp.linalg.norm(residual, axis=1)
    worst = jnp.argsort(-length)
    rank = jnp.cumsum(dead) - 1
    row = worst[jnp.clip(rank, 0, worst.size - 1)]
    replaced = dead & (rank < worst.size) & (length[row] > 0)
    directions = residual[row] / jnp.where(replaced, length[row], 1)[:, None]
    return jnp.where(replaced[:, None], directions, dictionary), replaced

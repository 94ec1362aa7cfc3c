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
    that of K-SVD (Aharon, Elad & Bruckstein, 2006, §IV-A). Only when there is a dead
    factor are residuals that are split over devices brought together.

    Args:
      dictionary: [n_factors, d_model].
      residual: [batch, d_model], x − αD; rows of padding are zero.
      dead: [n_factors] bool.

    Returns:
      The dictionary, and which factors were replaced, [n_factors] bool.
    """
    return jax.lax.cond(
        jnp.any(dead),
        _replace,
        lambda dictionary, _, dead: (dictionary, jnp.zeros_like(dead)),
        *(dictionary, residual, dead),
    )


def _replace(dictionary, residual, dead):
    by_factor, flags = jax.typeof(dictionary).sharding, jax.typeof(dead).sharding
    residual, dead = _whole(residual), _whole(dead)
    length = jnp.linalg.norm(residual, axis=1)
    worst = jnp.argsort(-length)
    rank = jnp.cumsum(dead) - 1
    row = worst[jnp.clip(rank, 0, worst.size - 1)]
    replaced = dead & (rank < worst.size) & (length[row] > 0)
    directions = residual[row] / jnp.where(replaced, length[row], 1)[:, None]
    if by_factor.spec[0] is not None:
        directions = jax.reshard(directions, by_factor)
        replaced = jax.reshard(replaced, flags)
    return jnp.where(replaced[:, None], directions, dictionary), replaced


def _whole(array):
    """Returns an array that every device holds the whole of."""
    is_split = any(axis is not None for axis in jax.typeof(array).sharding.spec)
    return jax.reshard(array, jax.P()) if is_split else array

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
    residual, everywhere = _whole(residual), _whole(dead)
    length = jnp.linalg.norm(residual, axis=1)
    worst = jnp.argsort(-length)
    # From here on each device sees to its own factors: all directions together would
    # be a second dictionary on each.
    rank = _split(jnp.cumsum(everywhere) - 1, like=dead)
    row = worst.at[jnp.clip(rank, 0, worst.size - 1)].get(out_sharding=flags)
    own = length.at[row].get(out_sharding=flags)
    replaced = dead & (rank < worst.size) & (own > 0)
    directions = residual.at[row].get(out_sharding=by_factor)
    directions = directions / jnp.where(replaced, own, 1)[:, None]
    return jnp.where(replaced[:, None], directions, dictionary), replaced


def _whole(array):
    """Returns an array that every device holds the whole of."""
    return jax.reshard(array, jax.P()) if _is_split(array) else array


def _split(array, *, like):
    """Returns a whole array laid out as another."""
    return jax.reshard(array, jax.typeof(like).sharding) if _is_split(like) else array


def _is_split(array):
    return any(axis is not None for axis in jax.typeof(array).sharding.spec)

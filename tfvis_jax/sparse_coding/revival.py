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


# Factors that are replaced in a step, at most; their residuals are on every device.
_MOST = 2048


def revive(
    dictionary: jax.Array, residual: jax.Array, *, dead: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Replaces dead factors by the residuals of the worst-explained rows.

    The n-th dead factor takes the direction of the n-th largest residual, so that no
    two become the same; more dead factors than rows, or than 2,048, wait for the next
    step. The idea is that of K-SVD (Aharon, Elad & Bruckstein, 2006, §IV-A). Only when
    there is a dead factor do devices exchange residuals, and only the largest.

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


def _replace(
    dictionary: jax.Array, residual: jax.Array, dead: jax.Array
) -> tuple[jax.Array, jax.Array]:
    by_factor, flags = jax.typeof(dictionary).sharding, jax.typeof(dead).sharding
    everywhere = _whole(dead)
    most = min(_MOST, dead.size, residual.shape[0])
    length, worst = jax.lax.top_k(_whole(jnp.linalg.norm(residual, axis=1)), most)
    directions = residual.at[worst].get(out_sharding=_layout_of_whole(residual))
    directions = directions / jnp.where(length > 0, length, 1)[:, None]
    # From here on each device sees to its own factors: all directions together would
    # be a second dictionary on each.
    rank = _split(jnp.cumsum(everywhere) - 1, like=dead)
    place = jnp.clip(rank, 0, most - 1)
    has_row = length.at[place].get(out_sharding=flags) > 0
    replaced = dead & (rank < most) & has_row
    taken = directions.at[place].get(out_sharding=by_factor)
    return jnp.where(replaced[:, None], taken, dictionary), replaced


def _whole(array: jax.Array) -> jax.Array:
    """Returns an array that every device holds the whole of."""
    return jax.reshard(array, jax.P()) if _is_split(array) else array


def _split(array: jax.Array, *, like: jax.Array) -> jax.Array:
    """Returns a whole array laid out as another."""
    return jax.reshard(array, jax.typeof(like).sharding) if _is_split(like) else array


def _layout_of_whole(array: jax.Array) -> jax.NamedSharding:
    layout = jax.typeof(array).sharding
    return layout.update(spec=jax.P(*[None] * array.ndim))


def _is_split(array: jax.Array) -> bool:
    return any(axis is not None for axis in jax.typeof(array).sharding.spec)

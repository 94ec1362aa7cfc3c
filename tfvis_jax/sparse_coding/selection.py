"""Picks a few factors of every row: those of a mask, or with the largest scores."""

import jax
import jax.numpy as jnp

# Enough for scores of one scale; more are taken where they span many, and a row would
# otherwise fall short by more than one in so many of its columns.
_BISECTIONS = 14
_MOST_BISECTIONS = 160
_SHORT = 16
# Prefix sums run inside groups by one small matrix product, then over groups.
_GROUP = 32
# Factors of a group; fewer than the least save nothing.
_LEAST_IN_A_GROUP = 4
_MOST_IN_A_GROUP = 32
# Thresholds that are too low and high enough, and how many scores are above the latter.
_Interval = tuple[jax.Array, jax.Array, jax.Array]


def largest(score: jax.Array, *, size: int) -> jax.Array:
    """Returns the columns of the ``size`` largest scores of every row, ascending.

    A threshold is found by bisection, which leaves out the smallest of scores that it
    cannot tell apart; a full sort costs several times as much and its order is of no
    use here. Of many factors, groups of neighbours come first: the largest ``size``
    scores are within the ``size`` groups whose largest scores are largest.

    Args:
      score: [batch, n_factors], finite.
      size: how many columns at most.

    Returns:
      [batch, size] int32; ``n_factors`` fills up rows where fewer were found.
    """
    n_factors = score.shape[1]
    group = _group(n_factors, size)
    if group == 1:
        return _largest(score, size=size)
    lowest = jnp.min(score, axis=1, keepdims=True)
    short = -n_factors % group
    if short:
        filling = jnp.broadcast_to(lowest, (score.shape[0], short))
        score = jnp.concatenate([score, filling], axis=1)
    groups = score.reshape(score.shape[0], -1, group)
    best = _largest(jnp.max(groups, axis=2), size=size)
    found = jnp.take_along_axis(groups, best[:, :, None], axis=1, mode="clip")
    found = jnp.where(best[:, :, None] < groups.shape[1], found, lowest[:, :, None])
    among = _largest(found.reshape(score.shape[0], -1), size=size)
    parent = jnp.take_along_axis(best, among // group, axis=1, mode="clip")
    # Empty places are beyond the last group, or in one that is.
    empty = (among == size * group) | (parent == groups.shape[1])
    chosen = jnp.where(empty, n_factors, parent * group + among % group)
    return jnp.minimum(chosen, n_factors).astype(jnp.int32)


def _group(n_factors: int, size: int) -> int:
    """Returns how many factors make a group, for the least work in all; 1 for none."""
    group = 1
    while group < _MOST_IN_A_GROUP and size * (2 * group) ** 2 <= n_factors:
        group *= 2
    return group if group >= _LEAST_IN_A_GROUP else 1


def _largest(score: jax.Array, *, size: int) -> jax.Array:
    """Returns what `largest` does, by looking at all scores in every bisection."""
    return first(rank_of_largest(score, size=size), size=size)


def rank_of_largest(score: jax.Array, *, size: jax.Array | int) -> jax.Array:
    """Counts the ``size`` largest scores of every row from its first column on.

    `first` reads their columns off it. The size may be traced, so that one compiled
    search serves many sizes.

    Args:
      score: [batch, n_factors], finite.
      size: how many columns at most.

    Returns:
      [batch, n_factors] int32, running counts.
    """
    low = jnp.min(score, axis=1, keepdims=True)
    high = jnp.max(score, axis=1, keepdims=True)
    # The lowest score is inside the interval, so that all columns can be taken.
    low = low - 1e-3 * (high - low) - 1e-30

    def bisect(_: object, interval: _Interval) -> _Interval:
        low, high, found = interval
        middle = 0.5 * (low + high)
        count = jnp.sum(score > middle, axis=1, keepdims=True, dtype=jnp.int32)
        too_many = count > size
        return (
            jnp.where(too_many, middle, low),
            jnp.where(too_many, high, middle),
            jnp.where(too_many, found, count),
        )

    def fall_short(carry: tuple[_Interval, int]) -> jax.Array:
        (low, high, found), spent = carry
        middle = 0.5 * (low + high)
        divisible = (low < middle) & (middle < high)
        short = jnp.any(divisible & (found < size - size // _SHORT))
        return (spent < _BISECTIONS) | (short & (spent < _MOST_BISECTIONS))

    none = jnp.zeros_like(low, jnp.int32)
    (_, threshold, _), _ = jax.lax.while_loop(
        fall_short,
        lambda carry: (bisect(None, carry[0]), carry[1] + 1),
        ((low, high, none), 0),
    )
    return _running_count(score > threshold)


def top_k_mask(preactivations: jax.Array, *, k: int) -> jax.Array:
    """Marks the k largest entries of every row, exactly k also where some are equal.

    The selection of TopK autoencoders (Gao et al., 2024).

    Args:
      preactivations: [batch, n_factors].
      k: at most ``n_factors``.

    Returns:
      [batch, n_factors] bool.
    """
    _, columns = jax.lax.top_k(preactivations, k)
    rows = jnp.arange(preactivations.shape[0])[:, None]
    return jnp.zeros(preactivations.shape, bool).at[rows, columns].set(True)


def take(values: jax.Array, columns: jax.Array) -> jax.Array:
    """Reads [batch, size] columns of every row; an empty place reads the last."""
    return jnp.take_along_axis(values, columns, axis=1, mode="clip")


def put(into: jax.Array, columns: jax.Array, values: jax.Array | float) -> jax.Array:
    """Writes values into columns of every row; those of empty places are dropped."""
    rows = jnp.arange(into.shape[0])[:, None]
    return into.at[rows, columns].set(values, mode="drop")


def columns(chosen: jax.Array, *, size: int) -> jax.Array:
    """Returns the columns where a [batch, n_factors] mask is true, ascending.

    Returns:
      [batch, size] int32, the first ``size`` of every row; ``n_factors`` fills up.
    """
    return first(_running_count(chosen), size=size)


def first(rank: jax.Array, *, size: int) -> jax.Array:
    """Returns what `columns` does, of the mask's running count [batch, n_factors]."""
    wanted = jnp.arange(1, size + 1, dtype=rank.dtype)
    return jax.vmap(lambda row: jnp.searchsorted(row, wanted))(rank).astype(jnp.int32)


def _running_count(chosen: jax.Array) -> jax.Array:
    """Returns the running count of a [batch, n] mask along its rows, int32."""
    batch, width = chosen.shape
    padded = jnp.pad(chosen, ((0, 0), (0, -width % _GROUP))).astype(jnp.float32)
    groups = padded.reshape(batch, -1, _GROUP)
    inside = jnp.einsum("bgi,ij->bgj", groups, jnp.triu(jnp.ones((_GROUP, _GROUP))))
    total = inside[:, :, -1]
    count = inside + (jnp.cumsum(total, axis=1) - total)[:, :, None]
    return count.reshape(batch, -1)[:, :width].astype(jnp.int32)

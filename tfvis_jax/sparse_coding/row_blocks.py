"""Rows in blocks of like needs, so that rows which need nothing cost nothing.

Rows are independent but differ in how much work they ask for. Sorted by what they want,
they are taken a block at a time; a block's static size is chosen on the device, by the
row that wants most, out of a few that are compiled.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp

# Tuned on rows of a BERT with 30 to 90 factors in use.
ROWS = 64

Tree = TypeVar("Tree")
Fixed = TypeVar("Fixed")
Result = TypeVar("Result")


def sweep(
    update: Callable[[Tree, Fixed, jax.Array], Tree],
    state: Tree,
    fixed: Fixed,
    *,
    wanted: jax.Array,
) -> Tree:
    """Updates every row that wants something, those that want most first.

    Args:
      update: from the state, the fixed values and the wants of a block of rows to their
        new state. Rows that want nothing may be in a block, to fill it up; their new
        state should be the old one.
      state: arrays of leading size batch.
      fixed: arrays of leading size batch that are only read.
      wanted: [batch] int32; 0 where a row wants nothing.

    Returns:
      The new state.
    """
    batch = wanted.shape[0]
    if batch == 0:
        return state
    rows = min(ROWS, batch)
    order = jnp.argsort(-wanted).astype(jnp.int32)
    # Blocks are whole: rows that fill up the last are read but not written.
    order = jnp.pad(order, (0, -batch % rows), constant_values=batch)
    num_blocks = (jnp.sum(wanted > 0) + rows - 1) // rows

    def advance(index: jax.Array, state: Tree) -> Tree:
        chosen = jax.lax.dynamic_slice_in_dim(order, index * rows, rows)

        def take(whole: jax.Array) -> jax.Array:
            return whole.at[chosen].get(mode="clip")

        part = update(
            jax.tree.map(take, state),
            jax.tree.map(take, fixed),
            wanted.at[chosen].get(mode="fill", fill_value=0),
        )
        return jax.tree.map(
            lambda whole, part: whole.at[chosen].set(part, mode="drop"), state, part
        )

    return jax.lax.fori_loop(0, num_blocks, advance, state)


def in_parts(work: Callable[[Tree], Result], block: Tree, *, rows: int) -> Result:
    """Does the work on a block of rows, so many at a time.

    Args:
      work: from the arrays of some rows to those of the same rows.
      block: arrays of leading size batch.
      rows: of a part; a batch that is no multiple of it is one part.
    """
    batch = len(jax.tree.leaves(block)[0])
    if batch % rows or batch <= rows:
        return work(block)
    parts = jax.tree.map(lambda a: a.reshape(batch // rows, rows, *a.shape[1:]), block)
    done = jax.lax.map(work, parts)
    return jax.tree.map(lambda a: a.reshape(batch, *a.shape[2:]), done)


def by_size(
    wanted: jax.Array,
    sizes: Sequence[int],
    *,
    few: Callable[[int], Callable[[], Tree]],
    many: Callable[[], Tree],
) -> Tree:
    """Calls ``few(size)`` with the least size that suits a block, or else ``many``.

    Args:
      wanted: [rows] int32.
      sizes: static, ascending.
      few: makes the function for one size.
      many: what to do where no size is large enough.
    """
    return jax.lax.switch(_which(wanted, sizes), [*map(few, sizes), many])


def size_for(wanted: jax.Array, sizes: Sequence[int]) -> jax.Array:
    """Returns the least size that suits a block, or the largest, as an int32 scalar."""
    return jnp.asarray(sizes, jnp.int32)[_which(wanted, sizes[:-1])]


def _which(wanted: jax.Array, sizes: Sequence[int]) -> jax.Array:
    return jnp.sum(jnp.max(wanted) > jnp.asarray(sizes, jnp.int32))

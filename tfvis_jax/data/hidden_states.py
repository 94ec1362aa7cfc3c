"""From a batch of windows to rows of hidden states, shuffled on the device.

All wanted layers come from one pass of the encoder. Rows are numbered
``(layer · batch + window) · length + position``; those of padding and special tokens
are put last and never used.
"""

import functools

import jax
import jax.numpy as jnp

from tfvis_jax.models import bert


@functools.partial(jax.jit, static_argnames=("layers",))
def scaled_hidden_states(
    encoder: bert.Bert,
    token_ids: jax.Array,
    token_mask: jax.Array,
    layer_scale: jax.Array,
    *,
    layers: tuple[int, ...],
) -> jax.Array:
    """Encodes windows and divides each layer by its scale.

    Args:
      encoder: the BERT.
      token_ids: [batch, length] int32.
      token_mask: [batch, length] bool, false for padding.
      layer_scale: [n_layers].
      layers: which hidden states, 0 being the embedding output.

    Returns:
      [n_layers, batch, length, d_model] float32.
    """
    hidden_states = encoder(token_ids, token_mask, layers=layers)
    return hidden_states / layer_scale[:, None, None, None]


@jax.jit
def sum_squared_norms(hidden_states: jax.Array, row_mask: jax.Array) -> jax.Array:
    """Returns Σ ‖x‖² over the valid rows of each layer, [n_layers]."""
    norms = jnp.sum(hidden_states**2, axis=-1)
    return jnp.sum(jnp.where(row_mask[None], norms, 0), axis=(1, 2))


@functools.partial(jax.jit, static_argnames=("n_layers", "n_selected"))
def shuffle_rows(
    key: jax.Array, row_mask: jax.Array, *, n_layers: int, n_selected: int
) -> jax.Array:
    """Returns row numbers of a batch in random order, those that count first.

    Args:
      key: a function of the batch's number alone, so that resuming draws the same.
      row_mask: [batch, length] bool, true for the tokens that are encoded.
      n_layers: number of hidden states per token.
      n_selected: static length of the result; may exceed the number of rows.

    Returns:
      [n_selected] int32.
    """
    counts = jnp.broadcast_to(row_mask[None], (n_layers, *row_mask.shape)).reshape(-1)
    rank = jax.random.uniform(key, counts.shape)
    order = jnp.argsort(jnp.where(counts, rank, 2.0))
    # Filled up, so that every slice of `take_rows` lies inside.
    return jnp.pad(order, (0, max(0, n_selected - order.size)))[:n_selected]


@functools.partial(jax.jit, static_argnames=("size",))
def take_rows(
    hidden_states: jax.Array,
    token_ids: jax.Array,
    order: jax.Array,
    *,
    start: jax.Array,
    stop: jax.Array,
    size: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Gathers the rows at places ``start`` to ``stop`` of an order.

    Args:
      hidden_states: [n_layers, batch, length, d_model].
      token_ids: [batch, length].
      order: row numbers from `shuffle_rows`, at least start + size of them.
      start: scalar int32.
      stop: scalar int32, at most start + size.
      size: rows of the result; those beyond ``stop`` are not valid.

    Returns:
      x [size, d_model], zero where not valid; token ids [size]; valid [size] bool.
    """
    rows = jax.lax.dynamic_slice_in_dim(order, start, size)
    valid = start + jnp.arange(size, dtype=jnp.int32) < stop
    x = hidden_states.reshape(-1, hidden_states.shape[-1])[rows]
    x = jnp.where(valid[:, None], x, 0)
    return x, token_ids.reshape(-1)[rows % token_ids.size], valid

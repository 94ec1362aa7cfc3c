"""From a batch of windows to rows of hidden states, shuffled on the device.

All wanted layers come from one pass of the encoder. A batch consists of equal parts;
the rows of a part are numbered ``(layer · windows of a part + window) · length +
position`` and shuffled among themselves, so that devices which hold whole parts need
not exchange any. Rows of padding and special tokens are put last and never used.
"""

import functools
from collections.abc import Callable
from typing import Any

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
def scale_stored(hidden_states: jax.Array, layer_scale: jax.Array) -> jax.Array:
    """Returns what `scaled_hidden_states` does, from what it gave before.

    Args:
      hidden_states: [batch, n_layers, length, d_model], unscaled.
      layer_scale: [n_layers].
    """
    return jnp.moveaxis(hidden_states, 1, 0) / layer_scale[:, None, None, None]


@jax.jit
def sum_squared_norms(hidden_states: jax.Array, row_mask: jax.Array) -> jax.Array:
    """Returns Σ ‖x‖² over the valid rows of each layer, [n_layers]."""
    norms = jnp.sum(hidden_states**2, axis=-1)
    return jnp.sum(jnp.where(row_mask[None], norms, 0), axis=(1, 2))


@functools.partial(jax.jit, static_argnames=("num_parts", "n_layers", "n_selected"))
def shuffle_rows(
    key: jax.Array,
    row_mask: jax.Array,
    *,
    num_parts: int,
    n_layers: int,
    n_selected: int,
) -> jax.Array:
    """Returns row numbers of each part in random order, those that count first.

    Args:
      key: a function of the batch's number alone, so that resuming draws the same.
      row_mask: [batch, length] bool, true for the tokens that are encoded.
      num_parts: parts of the batch; divides its size.
      n_layers: number of hidden states per token.
      n_selected: static length of an order; may exceed the number of rows.

    Returns:
      [num_parts, n_selected] int32.
    """

    def shuffle(key, mask):
        counts = jnp.broadcast_to(mask[None], (n_layers, *mask.shape)).reshape(-1)
        rank = jax.random.uniform(key, counts.shape)
        order = jnp.argsort(jnp.where(counts, rank, 2.0))
        # Filled up, so that every slice of `take_rows` lies inside.
        return jnp.pad(order, (0, max(0, n_selected - order.size)))[:n_selected]

    def shuffle_parts(keys, masks):
        return jax.vmap(shuffle)(keys, masks.reshape(len(keys), -1, masks.shape[-1]))

    keys = jax.random.split(key, num_parts)
    return _with_whole_parts(shuffle_parts, row_mask)(keys, row_mask)


@functools.partial(jax.jit, static_argnames=("size",))
def take_rows(
    hidden_states: jax.Array,
    token_ids: jax.Array,
    order: jax.Array,
    *,
    token_weights: jax.Array,
    n_valid: jax.Array,
    step: jax.Array,
    n_steps: jax.Array,
    size: int,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Gathers the rows of one of the steps that share the rows of a batch evenly.

    Args:
      hidden_states: [n_layers, batch, length, d_model].
      token_ids: [batch, length].
      order: [num_parts, n_selected] row numbers from `shuffle_rows`.
      token_weights: [vocab_size] weight of a row by its token.
      n_valid: [num_parts] int32, how many rows of each part are used.
      step: scalar int32, the number of the step, from 0.
      n_steps: scalar int32, into how many the rows go.
      size: rows of a part; at least ``n_valid / n_steps``, rounded up.

    Returns:
      x [num_parts · size, d_model], zero where not valid; token weights [num_parts ·
      size]; valid [num_parts · size] bool; layer [num_parts · size] int32, the place of
      each row's layer among ``n_layers``.
    """

    def take(states, ids, order, n_valid, step, n_steps, token_weights):
        start = step * n_valid // n_steps
        stop = (step + 1) * n_valid // n_steps
        rows = jax.lax.dynamic_slice_in_dim(order, start, size)
        valid = start + jnp.arange(size, dtype=jnp.int32) < stop
        x = states.reshape(-1, states.shape[-1])[rows]
        x = jnp.where(valid[:, None], x, 0)
        weights = token_weights[ids.reshape(-1)[rows % ids.size]]
        return x, weights, valid, rows // ids.size

    def take_parts(by_layer, ids, order, n_valid, *shared):
        n_layers, n_windows, length, d_model = by_layer.shape
        parts = (len(order), n_windows // len(order))
        found = jax.vmap(take, in_axes=(1, 0, 0, 0, None, None, None))(
            by_layer.reshape(n_layers, *parts, length, d_model),
            ids.reshape(*parts, length),
            order,
            n_valid,
            *shared,
        )
        return jax.tree.map(lambda array: array.reshape(-1, *array.shape[2:]), found)

    return _with_whole_parts(take_parts, token_ids, by_layer=(0,), shared=3)(
        hidden_states, token_ids, order, n_valid, step, n_steps, token_weights
    )


def _with_whole_parts(
    work: Callable[..., Any],
    like: jax.Array,
    *,
    by_layer: tuple[int, ...] = (),
    shared: int = 0,
) -> Callable[..., Any]:
    """Lets every device do the work on the parts that it holds, without the others.

    Args:
      work: takes arrays that begin with windows or parts, and returns such.
      like: [batch, ...], split as the windows are.
      by_layer: which arguments have a layer axis before.
      shared: how many of the last arguments are the same for all parts.
    """
    layout = jax.typeof(like).sharding
    if layout.spec[0] is None:
        return work
    rows = jax.P(layout.spec[0])

    def on_each_device(*arguments):
        specs = [
            jax.P(None, *rows) if number in by_layer else rows
            for number in range(len(arguments) - shared)
        ]
        specs += [jax.P()] * shared
        placed = [
            jax.reshard(argument, spec)
            for argument, spec in zip(arguments, specs, strict=True)
        ]
        return jax.shard_map(
            work, mesh=layout.mesh, in_specs=tuple(specs), out_specs=rows
        )(*placed)

    return on_each_device

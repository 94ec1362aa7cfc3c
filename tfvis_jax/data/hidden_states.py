"""Turns a batch of windows into rows of hidden states, shuffled on the device.

One pass of the encoder gives all requested layers. A batch consists of equal parts. The
rows of a part have the indices ``(layer · windows in a part + window) · length +
position`` and are shuffled among themselves, so devices that hold whole parts exchange
none. Rows of padding and special tokens come last and are never used.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.models import encoder as encoder_lib


@functools.partial(jax.jit, static_argnames=("layers",))
def scaled_hidden_states(
    encoder: encoder_lib.Encoder,
    token_ids: jax.Array,
    token_mask: jax.Array,
    layer_scale: jax.Array,
    whitening: whitening_lib.Whitening | None = None,
    *,
    layers: tuple[int, ...],
) -> jax.Array:
    """Encodes windows, whitens each layer and divides it by its scale.

    Args:
      encoder: the BERT.
      token_ids: [batch, length] int32.
      token_mask: [batch, length] bool, False for padding.
      layer_scale: [n_layers], what each layer is divided by.
      whitening: of these layers; None for none.
      layers: which hidden states to return; 0 is the embedding output.

    Returns:
      [n_layers, batch, length, d_model] float32.
    """
    hidden_states = encoder(token_ids, token_mask, layers=layers)
    return whitening_lib.standardise(hidden_states, layer_scale, whitening)


@jax.jit
def scale_stored(
    hidden_states: jax.Array,
    layer_scale: jax.Array,
    whitening: whitening_lib.Whitening | None = None,
) -> jax.Array:
    """Returns the result of `scaled_hidden_states`, given stored hidden states.

    Args:
      hidden_states: [batch, n_layers, length, d_model], unscaled.
      layer_scale: [n_layers], what each layer is divided by.
      whitening: of these layers; None for none.

    Returns:
      [n_layers, batch, length, d_model] float32.
    """
    states = jnp.moveaxis(hidden_states, 1, 0)
    return whitening_lib.standardise(states, layer_scale, whitening)


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
    """Returns the row indices of each part in random order, valid rows first.

    Args:
      key: must depend on the batch number alone, so that a resumed run draws the same.
      row_mask: [batch, length] bool, True for the tokens that are encoded.
      num_parts: parts of the batch; must divide its size.
      n_layers: number of hidden states per token.
      n_selected: static length of each order; may exceed the number of rows.

    Returns:
      [num_parts, n_selected] int32.
    """

    def shuffle(key: jax.Array, mask: jax.Array) -> jax.Array:
        # Invalid rows rank above all random numbers, which are below 1.
        counts = jnp.broadcast_to(mask[None], (n_layers, *mask.shape)).reshape(-1)
        rank = jax.random.uniform(key, counts.shape)
        order = jnp.argsort(jnp.where(counts, rank, 2.0))
        # Padded, so that no slice of `take_rows` exceeds the array.
        return jnp.pad(order, (0, max(0, n_selected - order.size)))[:n_selected]

    def shuffle_parts(keys: jax.Array, masks: jax.Array) -> jax.Array:
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
    """Gathers the rows of one step; the steps of a batch share its rows evenly.

    Args:
      hidden_states: [n_layers, batch, length, d_model].
      token_ids: [batch, length].
      order: [num_parts, n_selected] row indices from `shuffle_rows`.
      token_weights: [vocab_size], weight of the rows of each token.
      n_valid: [num_parts] int32, number of rows of each part that are used.
      step: scalar int32, index of the step within the batch, from 0.
      n_steps: scalar int32, number of steps that share the rows.
      size: rows to take from each part; at least ``n_valid / n_steps``, rounded up.

    Returns:
      x [num_parts · size, d_model], zero where not valid; token weights [num_parts ·
      size]; valid [num_parts · size] bool; layer [num_parts · size] int32, the index of
      each row's layer, from 0 to ``n_layers - 1``.
    """

    def take(
        states: jax.Array,
        ids: jax.Array,
        order: jax.Array,
        n_valid: jax.Array,
        step: jax.Array,
        n_steps: jax.Array,
        token_weights: jax.Array,
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        # The steps' slices differ by at most one row, and cover all rows.
        start = step * n_valid // n_steps
        stop = (step + 1) * n_valid // n_steps
        rows = jax.lax.dynamic_slice_in_dim(order, start, size)
        valid = start + jnp.arange(size, dtype=jnp.int32) < stop
        x = states.reshape(-1, states.shape[-1])[rows]
        x = jnp.where(valid[:, None], x, 0)
        # Rows run over layers first, so the remainder is the token's index.
        weights = token_weights[ids.reshape(-1)[rows % ids.size]]
        return x, weights, valid, rows // ids.size

    def take_parts(
        by_layer: jax.Array,
        ids: jax.Array,
        order: jax.Array,
        n_valid: jax.Array,
        *shared: jax.Array,
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
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
    """Makes every device work on the parts that it holds, without communication.

    Args:
      work: takes and returns arrays whose first axis runs over windows or parts.
      like: [batch, ...], split over devices as the windows are.
      by_layer: indices of the arguments that have a layer axis before the first.
      shared: number of trailing arguments that are the same for all parts.
    """
    layout = jax.typeof(like).sharding
    # Nothing is split, so there is no need for `shard_map`.
    if layout.spec[0] is None:
        return work
    rows = jax.P(layout.spec[0])

    def on_each_device(*arguments: jax.Array) -> Any:
        specs = [
            jax.P(None, *rows) if index in by_layer else rows
            for index in range(len(arguments) - shared)
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

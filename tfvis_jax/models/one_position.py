"""Computes the hidden state of one position of each window, at the least cost.

At another site of the encoder the output there. The layers below run for all tokens. In
the requested layer, where it is a `blocks.Layer`, only keys and values do; the query,
the output and the feed-forward part are computed at the position alone. Other layers
run for all tokens. No layer above runs. The result equals that of the encoder at the
position, up to rounding.

`hidden_state` is all of it. Layers of a kind have the same shapes, so who compiles the
steps `start`, `advance` and `finish` compiles each once, whichever and however many
layers run.
"""

from typing import Any

import jax
import jax.numpy as jnp

from tfvis_jax import sites
from tfvis_jax.models import blocks
from tfvis_jax.models import encoder as encoder_lib


def word_embeddings(encoder: encoder_lib.Encoder, token_ids: jax.Array) -> jax.Array:
    """Returns the word embeddings of tokens, before positions and layer norm.

    Args:
      encoder: the model.
      token_ids: [batch, length] int32.

    Returns:
      [batch, length, width] float32.
    """
    return encoder.embeddings.words(token_ids)


def hidden_state(
    encoder: encoder_lib.Encoder,
    words: jax.Array,
    attention_mask: jax.Array,
    position: jax.Array,
    *,
    layer: int,
    position_ids: jax.Array | None = None,
) -> jax.Array:
    """Returns the output of a layer, at the encoder's site, at one position.

    Args:
      encoder: the model.
      words: [batch, length, width], from `word_embeddings` or in their place.
      attention_mask: [batch, length] bool, True for tokens that are attended to; must
        be True at the position itself.
      position: [batch] int32, the place of the row.
      layer: layer index; 0 is the embedding output, of hidden states alone; static.
      position_ids: [batch, length] int32, the position in the window of each token; its
        place in the row if None. Tokens that nothing attends to can so be left out.

    Returns:
      [batch, d_model] float32.
    """
    if position_ids is None:
        position_ids = jnp.arange(words.shape[1], dtype=jnp.int32)[None]
    hidden, seen = start(encoder, words, attention_mask, position_ids)
    if layer == 0:
        return at_position(hidden, position)
    for number in range(1, layer):
        hidden = advance(encoder.layer(number), hidden, seen)
    return finish(encoder.layer(layer), hidden, seen, position, site=encoder.site)


def start(
    encoder: encoder_lib.Encoder,
    words: jax.Array,
    attention_mask: jax.Array,
    position_ids: jax.Array,
) -> tuple[jax.Array, Any]:
    """Returns hidden state 0, and what the tokens see of each other.

    Args:
      encoder: the model.
      words: [batch, length, width].
      attention_mask: [batch, length] bool.
      position_ids: [batch or 1, length] int32.
    """
    hidden = encoder.embeddings.of_words(words, position_ids)
    return hidden, encoder.seen(attention_mask, position_ids)


def advance(layer: Any, hidden: jax.Array, seen: Any) -> jax.Array:
    """Returns the hidden states after one layer, [batch, length, d_model]."""
    return layer.outputs(hidden, seen).hidden


def finish(
    last: Any, hidden: jax.Array, seen: Any, position: jax.Array, *, site: str
) -> jax.Array:
    """Returns the output of the last layer at one position, [batch, d_model].

    Args:
      last: the layer.
      hidden: [batch, length, d_model], before it.
      seen: from `start`.
      position: [batch] int32.
      site: which output; static.
    """
    if not isinstance(last, blocks.Layer) or not isinstance(
        last.attention, blocks.Attention
    ):
        return at_position(getattr(last.outputs(hidden, seen), site), position)
    row = at_position(hidden, position)
    attention_out = _attend(last.attention, row, hidden, seen, position)
    replaced = {sites.ATTENTION_OUT: attention_out.astype(jnp.float32)}
    return getattr(last.outputs(row, seen, replaced), site)


def at_position(hidden: jax.Array, position: jax.Array) -> jax.Array:
    """Returns the row of each window at its position, [batch, d_model]."""
    return jnp.take_along_axis(hidden, position[:, None, None], axis=1)[:, 0]


def _attend(
    attention: blocks.Attention,
    row: jax.Array,
    hidden: jax.Array,
    seen: blocks.Seen,
    position: jax.Array,
) -> jax.Array:
    """Returns the attention output at one position, [batch, d_model]."""
    query = attention.query(row).reshape(len(row), attention.n_heads, -1)
    key = blocks.by_head(attention.key(hidden), attention.n_heads)
    value = blocks.by_head(attention.value(hidden), attention.n_heads)
    scores = jnp.einsum("bhk,bmhk->bhm", query, key, preferred_element_type=jnp.float32)
    scores = scores * query.shape[-1] ** -0.5
    if seen.bias is not None:
        scores = scores + _at(seen.bias, position)
    # The position attends to itself, so no softmax runs over an empty set.
    scores = jnp.where(_at(seen.visible, position), scores, -jnp.inf)
    shares = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
    mixed = jnp.einsum("bhm,bmhk->bhk", shares, value)
    return attention.output(mixed.reshape(row.shape))


def _at(array: jax.Array, position: jax.Array) -> jax.Array:
    """Returns the rows of [batch or 1, heads, length or 1, length] at one position."""
    if array.shape[2] == 1:
        return array[:, :, 0]
    array = jnp.broadcast_to(array, (len(position), *array.shape[1:]))
    return jnp.take_along_axis(array, position[:, None, None, None], axis=2)[:, :, 0]

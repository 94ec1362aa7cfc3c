"""Computes the hidden state of one position of each window, at the least cost.

The layers below run for all tokens. In the requested layer only keys and values do; the
query, the output and the feed-forward part are computed at the position alone, and no
layer above runs. The result equals that of `bert.Bert` at the position, up to rounding.
"""

import jax
import jax.numpy as jnp

from tfvis_jax.models import bert


def word_embeddings(encoder: bert.Bert, token_ids: jax.Array) -> jax.Array:
    """Returns the word embeddings of tokens, before positions and layer norm.

    Args:
      encoder: the BERT.
      token_ids: [batch, length] int32.

    Returns:
      [batch, length, d_model] float32.
    """
    return encoder.embeddings.word[...][token_ids].astype(jnp.float32)


def hidden_state(
    encoder: bert.Bert,
    words: jax.Array,
    attention_mask: jax.Array,
    position: jax.Array,
    *,
    layer: int,
) -> jax.Array:
    """Returns the output of a layer at one position of each window.

    Args:
      encoder: the BERT.
      words: [batch, length, d_model], from `word_embeddings` or in their place.
      attention_mask: [batch, length] bool, True for tokens that are attended to; must
        be True at the position itself.
      position: [batch] int32.
      layer: layer index; 0 is the embedding output; static.

    Returns:
      [batch, d_model] float32.
    """
    embeddings = encoder.embeddings
    positions = embeddings.position[...][: words.shape[1]].astype(jnp.float32)
    first_type = embeddings.token_type[...][:1].astype(jnp.float32)
    hidden = embeddings.norm(words + (positions + first_type)[None])
    for block in encoder.layers[: max(layer - 1, 0)]:
        hidden = block(hidden, attention_mask)
    row = jnp.take_along_axis(hidden, position[:, None, None], axis=1)[:, 0]
    if layer == 0:
        return row
    last = encoder.layers[layer - 1]
    attended = _attend(last.attention, row, hidden, attention_mask)
    row = last.attention_norm(row + attended.astype(jnp.float32))
    expanded = jax.nn.gelu(last.expand(row), approximate=False)
    return last.output_norm(row + last.contract(expanded).astype(jnp.float32))


def _attend(
    attention: bert.Attention,
    row: jax.Array,
    hidden: jax.Array,
    attention_mask: jax.Array,
) -> jax.Array:
    """Returns the attention output at one position, [batch, d_model]."""
    batch, length, d_model = hidden.shape
    d_head = d_model // attention.n_heads
    heads = (batch, length, attention.n_heads, d_head)
    query = attention.query(row).reshape(batch, attention.n_heads, d_head)
    key = attention.key(hidden).reshape(heads)
    value = attention.value(hidden).reshape(heads)
    scores = jnp.einsum("bhk,bmhk->bhm", query, key, preferred_element_type=jnp.float32)
    # The position attends to itself, so no softmax runs over an empty set.
    scores = jnp.where(attention_mask[:, None, :], scores * d_head**-0.5, -jnp.inf)
    shares = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
    mixed = jnp.einsum("bhm,bmhk->bhk", shares, value)
    return attention.output(mixed.reshape(batch, d_model))

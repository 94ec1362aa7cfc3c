"""Language model heads, from the last hidden states to the logits of words."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from tfvis_jax.models import activations, blocks, encoder, encoder_config

MASKED_LM = "masked_lm"
CAUSAL_LM = "causal_lm"


class LanguageModel(nnx.Module):
    """An encoder (`encoder`) and the head that predicts words (`head`).

    Attributes:
      objective: `MASKED_LM`, the head predicts the word at a position, or `CAUSAL_LM`,
        the one after it.
    """

    def __init__(self, inner: encoder.Encoder, head: Any, *, objective: str) -> None:
        self.encoder = inner
        self.head = head
        self.objective = objective

    def on(self, inner: encoder.Encoder) -> "LanguageModel":
        """Returns the head on another encoder of the same weights."""
        return LanguageModel(inner, self.head, objective=self.objective)

    def logits(self, hidden: jax.Array) -> jax.Array:
        """Returns word logits, float32 [batch, length, vocab_size].

        Args:
          hidden: the last layer's hidden states, float32 [batch, length, d_model].
        """
        return self.head(hidden, self.encoder.embeddings.word[...])


class MaskedHead(nnx.Module):
    """A masked language model head.

        logits = LayerNorm(activation(W hidden + c)) @ E.T + b

    where E is the word embedding of the encoder itself (tied).
    """

    def __init__(
        self,
        config: encoder_config.EncoderConfig,
        make: blocks.Maker,
        *,
        activation: str | None = None,
        width: int | None = None,
        transform_bias: bool = True,
        norm_bias: bool = True,
    ) -> None:
        """Makes the head.

        Args:
          config: sizes of the encoder.
          make: makes parts.
          activation: that of the encoder's layers if None.
          width: of the word embedding; d_model if None.
          transform_bias: whether there is a c.
          norm_bias: whether the norm has a bias.
        """
        width = config.d_model if width is None else width
        self.dtype = make.dtype
        self.activation = config.activation if activation is None else activation
        self.transform = make.linear(config.d_model, width, bias=transform_bias)
        self.norm = make.norm(width, epsilon=config.layer_norm_epsilon, bias=norm_bias)
        self.bias = make.zeros(config.vocab_size)

    def __call__(self, hidden: jax.Array, word_embedding: jax.Array) -> jax.Array:
        activate = activations.ACTIVATIONS[self.activation]
        transformed = self.norm(activate(self.transform(hidden)).astype(jnp.float32))
        scores = _product(transformed, word_embedding, dtype=self.dtype)
        return scores + self.bias.astype(jnp.float32)[None, None]


class TiedHead(nnx.Module):
    """A causal language model head without parameters: logits = hidden @ E.T."""

    def __init__(
        self, config: encoder_config.EncoderConfig, make: blocks.Maker
    ) -> None:
        del config
        self.dtype = make.dtype

    def __call__(self, hidden: jax.Array, word_embedding: jax.Array) -> jax.Array:
        return _product(hidden, word_embedding, dtype=self.dtype)


class OwnHead(nnx.Module):
    """A causal language model head with a matrix of its own: logits = hidden @ W."""

    def __init__(
        self, config: encoder_config.EncoderConfig, make: blocks.Maker
    ) -> None:
        self.decoder = make.linear(config.d_model, config.vocab_size, bias=False)

    def __call__(self, hidden: jax.Array, word_embedding: jax.Array) -> jax.Array:
        del word_embedding
        return self.decoder(hidden).astype(jnp.float32)


def _product(
    hidden: jax.Array, word_embedding: jax.Array, *, dtype: jax.typing.DTypeLike
) -> jax.Array:
    return jnp.einsum(
        "bld,vd->blv",
        hidden.astype(dtype),
        word_embedding.astype(dtype),
        preferred_element_type=jnp.float32,
    )

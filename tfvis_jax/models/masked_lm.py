"""BERT's masked language model head, from the last hidden states to word logits.

    logits = LayerNorm(gelu(W hidden + c)) @ E.T + b

where E is the word embedding of the encoder itself (tied).
"""

import jax
import jax.numpy as jnp
from flax import nnx

from tfvis_jax.models import bert, bert_config


class BertForMaskedLM(nnx.Module):
    """A BERT encoder (`bert`) and the head that predicts masked words (`head`)."""

    def __init__(
        self,
        config: bert_config.BertConfig,
        *,
        dtype: jax.typing.DTypeLike = jnp.float32,
        param_dtype: jax.typing.DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.bert = bert.Bert(config, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
        self.head = _Head(config, dtype=dtype, param_dtype=param_dtype, rngs=rngs)

    def logits(self, hidden: jax.Array) -> jax.Array:
        """Returns word logits, float32 [batch, length, vocab_size].

        Args:
          hidden: the last layer's hidden states, float32 [batch, length, d_model].
        """
        return self.head(hidden, self.bert.embeddings.word[...])


class _Head(nnx.Module):
    """Dense layer, exact gelu, LayerNorm, and a product with the word embedding."""

    def __init__(
        self,
        config: bert_config.BertConfig,
        *,
        dtype: jax.typing.DTypeLike,
        param_dtype: jax.typing.DTypeLike,
        rngs: nnx.Rngs,
    ) -> None:
        self.dtype = dtype
        self.transform = nnx.Linear(
            config.d_model,
            config.d_model,
            dtype=dtype,
            param_dtype=param_dtype,
            rngs=rngs,
        )
        self.norm = bert.layer_norm(config, param_dtype=param_dtype, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros(config.vocab_size, param_dtype))

    def __call__(self, hidden: jax.Array, word_embedding: jax.Array) -> jax.Array:
        transformed = self.norm(
            jax.nn.gelu(self.transform(hidden), approximate=False).astype(jnp.float32)
        )
        scores = jnp.einsum(
            "bld,vd->blv",
            transformed.astype(self.dtype),
            word_embedding.astype(self.dtype),
            preferred_element_type=jnp.float32,
        )
        return scores + self.bias.astype(jnp.float32)[None, None]

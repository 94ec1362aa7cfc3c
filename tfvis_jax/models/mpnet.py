"""MPNet (Song et al. 2020, arXiv:2004.09297): BERT whose scores know the distance.

    scores = Q Kᵀ / √d_head + bias[bucket(j - i)]

for the token at place i that attends to the one at j, with one bias for all layers.
Buckets are those of T5 (Raffel et al. 2020, arXiv:1910.10683). Positions begin after
the id of padding, as in RoBERTa; there are no token types.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
from flax import nnx

from tfvis_jax.models import (
    blocks,
    embeddings,
    encoder,
    encoder_config,
    heads,
    roberta,
    weight_names,
)

# Distances up to 7 have a bucket each. Beyond, another one begins where 8 · 2^(k/2) is
# reached, k = 1 … 7.
_NEAR = 8
_FAR = (12, 16, 23, 32, 46, 64, 91)
# In either direction.
_N_BUCKETS = _NEAR + len(_FAR) + 1
_FIRST_POSITION = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class MPNetConfig(encoder_config.EncoderConfig):
    """The sizes of an MPNet.

    Attributes:
      max_positions: longest window; the table of positions has 2 more.
    """

    FIXED: ClassVar[Mapping[str, object]] = {
        "relative_attention_num_buckets": 2 * _N_BUCKETS
    }
    CLASSES: ClassVar[tuple[str, ...]] = ("MPNet",)

    @classmethod
    def from_hugging_face(cls, mapping: Mapping[str, Any]) -> Self:
        """Returns the sizes in a Hugging Face `config.json`."""
        config = super().from_hugging_face(mapping)
        return dataclasses.replace(
            config, max_positions=config.max_positions - _FIRST_POSITION
        )


class MPNet(encoder.Encoder):
    """An MPNet encoder without its pooler."""

    def __init__(self, config: MPNetConfig, make: blocks.Maker) -> None:
        self.config = config
        self.embeddings = embeddings.Embeddings(
            make,
            vocab_size=config.vocab_size,
            width=config.d_model,
            n_positions=config.max_positions + _FIRST_POSITION,
            first_position=_FIRST_POSITION,
            epsilon=config.layer_norm_epsilon,
        )
        self.layers = nnx.List(
            [blocks.Layer(config, make) for _ in range(config.n_layers)]
        )
        self.distance = make.table(2 * _N_BUCKETS, config.n_heads)

    def seen(self, attention_mask: jax.Array, position_ids: jax.Array) -> blocks.Seen:
        """Returns which tokens are visible, and the bias of each pair of places."""
        bias = self.distance[...][buckets(position_ids)].astype(jnp.float32)
        return blocks.Seen(
            attention_mask[:, None, None, :], jnp.transpose(bias, (0, 3, 1, 2))
        )


def buckets(position_ids: jax.Array) -> jax.Array:
    """Returns the bucket of the distance between tokens, [batch, length, length].

    Args:
      position_ids: int32 [batch, length].
    """
    ahead = position_ids[:, None, :] - position_ids[:, :, None]
    distance = jnp.abs(ahead)
    bucket = jnp.minimum(distance, _NEAR)
    for far in _FAR:
        bucket = bucket + (distance >= far).astype(jnp.int32)
    return jnp.where(ahead > 0, bucket + _N_BUCKETS, bucket)


def head(config: MPNetConfig, make: blocks.Maker) -> heads.MaskedHead:
    """Returns MPNet's masked language model head, always with exact gelu."""
    return heads.MaskedHead(config, make, activation="gelu")


NAMES = weight_names.WeightNames(
    prefix="mpnet.",
    modules={
        "embeddings.word": "embeddings.word_embeddings.weight",
        "embeddings.position": "embeddings.position_embeddings.weight",
        "embeddings.norm": "embeddings.LayerNorm",
        "distance": "encoder.relative_attention_bias.weight",
        "layers.*.attention.query": "encoder.layer.*.attention.attn.q",
        "layers.*.attention.key": "encoder.layer.*.attention.attn.k",
        "layers.*.attention.value": "encoder.layer.*.attention.attn.v",
        "layers.*.attention.output": "encoder.layer.*.attention.attn.o",
        "layers.*.attention_norm": "encoder.layer.*.attention.LayerNorm",
        "layers.*.expand": "encoder.layer.*.intermediate.dense",
        "layers.*.contract": "encoder.layer.*.output.dense",
        "layers.*.output_norm": "encoder.layer.*.output.LayerNorm",
        **roberta.HEAD_NAMES,
    },
    head="lm_head.",
    decoder="lm_head.decoder.weight",
    renamed={"lm_head.decoder.bias": "lm_head.bias"},
)

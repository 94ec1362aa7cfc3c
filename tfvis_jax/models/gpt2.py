"""GPT-2 (Radford et al. 2019): a decoder, whose tokens see those before them.

Layer 0 is word + position, and layer n follows from layer n - 1 by

    y = x + Attention(LayerNorm(x))
    x' = y + W_out activation(W_in LayerNorm(y))

with a final LayerNorm after the last one. As in transformers, the last hidden state is
that after the final norm.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
from flax import nnx

from tfvis_jax.models import (
    activations,
    blocks,
    embeddings,
    encoder,
    encoder_config,
    weight_names,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gpt2Config(encoder_config.EncoderConfig):
    """The sizes of a GPT-2."""

    layer_norm_epsilon: float = 1e-5
    activation: str = "gelu_new"

    REQUIRED: ClassVar[Mapping[str, str]] = {
        "vocab_size": "vocab_size",
        "d_model": "n_embd",
        "n_layers": "n_layer",
        "n_heads": "n_head",
        "max_positions": "n_positions",
        "d_hidden": "n_inner",
    }
    OPTIONAL: ClassVar[Mapping[str, str]] = {
        "layer_norm_epsilon": "layer_norm_epsilon",
        "activation": "activation_function",
    }
    FIXED: ClassVar[Mapping[str, object]] = {
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
    }
    CLASSES: ClassVar[tuple[str, ...]] = ("GPT2",)

    @classmethod
    def from_hugging_face(cls, mapping: Mapping[str, Any]) -> Self:
        """Returns the sizes in a Hugging Face `config.json`."""
        if mapping.get("n_inner") is None and isinstance(mapping.get("n_embd"), int):
            mapping = {**mapping, "n_inner": 4 * mapping["n_embd"]}
        return super().from_hugging_face(mapping)


class Gpt2(encoder.Encoder):
    """A GPT-2."""

    def __init__(self, config: Gpt2Config, make: blocks.Maker) -> None:
        self.config = config
        self.embeddings = embeddings.Embeddings(
            make,
            vocab_size=config.vocab_size,
            width=config.d_model,
            n_positions=config.max_positions,
        )
        self.layers = nnx.List([Layer(config, make) for _ in range(config.n_layers)])
        self.final_norm = make.norm(config.d_model, epsilon=config.layer_norm_epsilon)

    def layer(self, number: int) -> encoder.Step:
        """Returns the step to hidden state `number`; the last has the final norm."""
        layer = self.layers[number - 1]
        is_last = number == self.config.n_layers
        return blocks.Normed(layer, self.final_norm) if is_last else layer

    def seen(self, attention_mask: jax.Array, position_ids: jax.Array) -> blocks.Seen:
        """Returns which tokens are visible: those before a token, and itself."""
        return blocks.Seen(blocks.causal(attention_mask, position_ids))


class Layer(blocks.PreNormBlock):
    """A layer of GPT-2, from [batch, length, d_model] to the same shape."""

    def __init__(self, config: Gpt2Config, make: blocks.Maker) -> None:
        d_model, epsilon = config.d_model, config.layer_norm_epsilon
        self.n_heads = config.n_heads
        self.activation = config.activation
        self.attention_norm = make.norm(d_model, epsilon=epsilon)
        self.query_key_value = make.linear(d_model, 3 * d_model)
        self.output = make.linear(d_model, d_model)
        self.feed_forward_norm = make.norm(d_model, epsilon=epsilon)
        self.expand = make.linear(d_model, config.d_hidden)
        self.contract = make.linear(config.d_hidden, d_model)

    def attention_out(self, hidden: jax.Array, seen: blocks.Seen) -> jax.Array:
        """Returns Attention(LayerNorm(x))."""
        joined = self.query_key_value(self.attention_norm(hidden))
        query, key, value = (
            blocks.by_head(part, self.n_heads) for part in jnp.split(joined, 3, axis=-1)
        )
        mixed = blocks.mix(query, key, value, seen).reshape(hidden.shape)
        return self.output(mixed).astype(jnp.float32)

    def mlp_out(self, hidden: jax.Array, attended: jax.Array) -> jax.Array:
        """Returns W_out activation(W_in LayerNorm(y))."""
        del hidden
        expanded = self.expand(self.feed_forward_norm(attended))
        expanded = activations.ACTIVATIONS[self.activation](expanded)
        return self.contract(expanded).astype(jnp.float32)


NAMES = weight_names.WeightNames(
    prefix="transformer.",
    modules={
        "embeddings.word": "wte.weight",
        "embeddings.position": "wpe.weight",
        "layers.*.attention_norm": "h.*.ln_1",
        "layers.*.query_key_value": "h.*.attn.c_attn",
        "layers.*.output": "h.*.attn.c_proj",
        "layers.*.feed_forward_norm": "h.*.ln_2",
        "layers.*.expand": "h.*.mlp.c_fc",
        "layers.*.contract": "h.*.mlp.c_proj",
        "final_norm": "ln_f",
    },
    head=None,
    decoder="lm_head.weight",
    # The triangle of the mask, which old versions saved.
    buffers=r"h\.\d+\.attn\.bias",
    transposed=False,
)

"""GPT-NeoX (Black et al. 2022, arXiv:2204.06745) and Pythia: rotary decoders.

Layer 0 is the word embedding, and layer n follows from layer n - 1 by

    x' = x + Attention(LayerNorm₁(x)) + FeedForward(LayerNorm₂(x))

or, without parallel residuals, as in GPT-2. Queries and keys are turned by their
positions (`rotary`). As in transformers, the last hidden state is that after the final
norm.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
from flax import nnx

from tfvis_jax.errors import InputError
from tfvis_jax.models import (
    activations,
    blocks,
    embeddings,
    encoder,
    encoder_config,
    rotary,
    weight_names,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GptNeoXConfig(encoder_config.EncoderConfig):
    """The sizes of a GPT-NeoX.

    Attributes:
      rotated_share: the share of each head that is turned.
      theta: the base of the rotary frequencies.
      is_parallel: whether attention and feed-forward part read the same x.
    """

    layer_norm_epsilon: float = 1e-5
    rotated_share: float = 0.25
    theta: float = 10_000.0
    is_parallel: bool = True

    OPTIONAL: ClassVar[Mapping[str, str]] = {
        **encoder_config.EncoderConfig.OPTIONAL,
        "rotated_share": "rotary_pct",
        "theta": "rotary_emb_base",
        "is_parallel": "use_parallel_residual",
    }
    FIXED: ClassVar[Mapping[str, object]] = {
        "attention_bias": True,
        "tie_word_embeddings": False,
        "rope_scaling": None,
    }
    CLASSES: ClassVar[tuple[str, ...]] = ("GPTNeoX",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_number("rotated_share", below=1 + 1e-6)
        self._check_number("theta", below=1e12)
        if not isinstance(self.is_parallel, bool):
            raise InputError(
                "Expected `use_parallel_residual` to be true or false, got "
                f"{encoder_config.said(self.is_parallel)}; correct the configuration."
            )
        if self.d_rotated % 2 or not self.d_rotated:
            raise InputError(
                "Expected an even number of each head to be turned, got "
                f"{self.d_rotated} of {self.d_model // self.n_heads}; correct "
                "`rotary_pct` in the configuration."
            )

    @property
    def d_rotated(self) -> int:
        """How many numbers of a head are turned."""
        return int(self.d_model // self.n_heads * self.rotated_share)

    @classmethod
    def from_hugging_face(cls, mapping: Mapping[str, Any]) -> Self:
        """Returns the sizes in a Hugging Face `config.json`."""
        rope = rotary.parameters(mapping)
        renamed = {
            "partial_rotary_factor": "rotary_pct",
            "rope_theta": "rotary_emb_base",
        }
        newer = {old: rope[new] for new, old in renamed.items() if new in rope}
        return super().from_hugging_face({**mapping, **newer})


class Seen(NamedTuple):
    """What tokens see of each other, and how far each is turned."""

    tokens: blocks.Seen
    turns: rotary.Turns


class GptNeoX(encoder.Encoder):
    """A GPT-NeoX."""

    def __init__(self, config: GptNeoXConfig, make: blocks.Maker) -> None:
        self.config = config
        self.embeddings = embeddings.Embeddings(
            make, vocab_size=config.vocab_size, width=config.d_model
        )
        self.layers = nnx.List([Layer(config, make) for _ in range(config.n_layers)])
        self.final_norm = make.norm(config.d_model, epsilon=config.layer_norm_epsilon)
        self.d_rotated, self.theta = config.d_rotated, config.theta

    def layer(self, number: int) -> encoder.Step:
        """Returns the step to hidden state `number`; the last has the final norm."""
        layer = self.layers[number - 1]
        is_last = number == self.config.n_layers
        return blocks.Normed(layer, self.final_norm) if is_last else layer

    def seen(self, attention_mask: jax.Array, position_ids: jax.Array) -> Seen:
        """Returns which tokens are visible, and how far each is turned."""
        return Seen(
            blocks.Seen(blocks.causal(attention_mask, position_ids)),
            rotary.turns(position_ids, d_rotated=self.d_rotated, theta=self.theta),
        )


class Layer(blocks.PreNormBlock):
    """A layer of GPT-NeoX, from [batch, length, d_model] to the same shape."""

    def __init__(self, config: GptNeoXConfig, make: blocks.Maker) -> None:
        d_model, epsilon = config.d_model, config.layer_norm_epsilon
        self.n_heads = config.n_heads
        self.activation = config.activation
        self.is_parallel = config.is_parallel
        self.attention_norm = make.norm(d_model, epsilon=epsilon)
        self.query_key_value = make.linear(d_model, 3 * d_model)
        self.output = make.linear(d_model, d_model)
        self.feed_forward_norm = make.norm(d_model, epsilon=epsilon)
        self.expand = make.linear(d_model, config.d_hidden)
        self.contract = make.linear(config.d_hidden, d_model)

    def attention_out(self, hidden: jax.Array, seen: Seen) -> jax.Array:
        """Returns Attention(LayerNorm₁(x))."""
        # Query, key and value of a head stand side by side.
        joined = self.query_key_value(self.attention_norm(hidden))
        joined = blocks.by_head(joined, self.n_heads)
        query, key, value = jnp.split(joined, 3, axis=-1)
        query, key = (rotary.turned(part, seen.turns) for part in (query, key))
        mixed = blocks.mix(query, key, value, seen.tokens).reshape(hidden.shape)
        return self.output(mixed).astype(jnp.float32)

    def mlp_out(self, hidden: jax.Array, attended: jax.Array) -> jax.Array:
        """Returns FeedForward(LayerNorm₂(x)), of y without parallel residuals."""
        read = hidden if self.is_parallel else attended
        expanded = self.expand(self.feed_forward_norm(read))
        expanded = activations.ACTIVATIONS[self.activation](expanded)
        return self.contract(expanded).astype(jnp.float32)


NAMES = weight_names.WeightNames(
    prefix="gpt_neox.",
    modules={
        "embeddings.word": "embed_in.weight",
        "layers.*.attention_norm": "layers.*.input_layernorm",
        "layers.*.query_key_value": "layers.*.attention.query_key_value",
        "layers.*.output": "layers.*.attention.dense",
        "layers.*.feed_forward_norm": "layers.*.post_attention_layernorm",
        "layers.*.expand": "layers.*.mlp.dense_h_to_4h",
        "layers.*.contract": "layers.*.mlp.dense_4h_to_h",
        "final_norm": "final_layer_norm",
        "head.decoder": "embed_out",
    },
    head="embed_out.",
    renamed={"lm_head.": "embed_out."},
    # The triangle of the mask, which old versions saved.
    buffers=r"layers\.\d+\.attention\.bias",
)

"""NomicBERT (Nussbaum et al. 2024, arXiv:2402.01613): a BERT with rotary positions.

Layer 0 is LayerNorm(word + token type), and layer n follows from layer n - 1 by

    y = LayerNorm(x + Attention(x))
    x' = LayerNorm(y + W_out (silu(W_gate y) ⊙ W_in y))

without biases but those of the norms. Queries and keys are turned by their positions
(`rotary`).
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

# Of the config.json that the model was published with, whose code is its own: names of
# today's keys there, and settings of that code which change the equations.
_PUBLISHED = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
    "layer_norm_eps": "layer_norm_epsilon",
    "rope_theta": "rotary_emb_base",
}
_SWIGLU = "swiglu"
_TRAINED_POSITIONS = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class NomicBertConfig(encoder_config.EncoderConfig):
    """The sizes of a NomicBERT.

    Attributes:
      n_token_types: number of segment embeddings.
      theta: base of the rotary frequencies.
    """

    activation: str = "silu"
    n_token_types: int = 2
    theta: float = 1000.0

    REQUIRED: ClassVar[Mapping[str, str]] = {
        **encoder_config.EncoderConfig.REQUIRED,
        "n_token_types": "type_vocab_size",
    }
    OPTIONAL: ClassVar[Mapping[str, str]] = {
        **encoder_config.EncoderConfig.OPTIONAL,
        "theta": "rope_theta",
    }
    FIXED: ClassVar[Mapping[str, object]] = {
        "tie_word_embeddings": True,
        "rope_scaling": None,
        "prenorm": False,
        "causal": False,
        "parallel_block": False,
        "use_rms_norm": False,
        "qkv_proj_bias": False,
        "mlp_fc1_bias": False,
        "mlp_fc2_bias": False,
        "activation_function": _SWIGLU,
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
        "moe_every_n_layers": 0,
    }
    CLASSES: ClassVar[tuple[str, ...]] = ("NomicBert",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_size("n_token_types")
        self._check_number("theta", below=1e12)
        if self.d_model // self.n_heads % 2:
            raise InputError(
                "Expected heads of an even width, got "
                f"{self.d_model // self.n_heads}; correct the configuration."
            )

    @property
    def d_expanded(self) -> int:
        """Width of what the first products of the feed-forward part give."""
        return 2 * self.d_hidden

    @classmethod
    def from_hugging_face(cls, mapping: Mapping[str, Any]) -> Self:
        """Returns the sizes in a Hugging Face `config.json`, today's or as published.

        As published, a model stretches its angles beyond the positions that it was
        trained on (`rotary_scaling_factor`); here it has no more positions than these.
        """
        known = {
            new: mapping[old]
            for new, old in _PUBLISHED.items()
            if old in mapping and new not in mapping
        }
        most = known.get("max_position_embeddings")
        trained = mapping.get("max_trained_positions", _TRAINED_POSITIONS)
        if isinstance(trained, int) and isinstance(most, int):
            known["max_position_embeddings"] = min(trained, most)
        rope = rotary.parameters(mapping)
        known |= {key: rope[key] for key in ("rope_theta",) if key in rope}
        config = super().from_hugging_face({**mapping, **known})
        _check_heads(mapping, config)
        return config


def _check_heads(mapping: Mapping[str, Any], config: NomicBertConfig) -> None:
    d_head = config.d_model // config.n_heads
    if mapping.get("head_dim", d_head) not in (d_head, None):
        raise InputError(
            f"This model cannot be loaded: head_dim is "
            f"{encoder_config.said(mapping['head_dim'])} (supported: {d_head}, the "
            "width of a hidden state divided by the number of heads). Choose another."
        )


class Seen(NamedTuple):
    """What tokens see of each other, and how far each is turned."""

    tokens: blocks.Seen
    turns: rotary.Turns


class NomicBert(encoder.Encoder):
    """A NomicBERT encoder without its pooler."""

    def __init__(self, config: NomicBertConfig, make: blocks.Maker) -> None:
        self.config = config
        self.embeddings = embeddings.Embeddings(
            make,
            vocab_size=config.vocab_size,
            width=config.d_model,
            n_token_types=config.n_token_types,
            epsilon=config.layer_norm_epsilon,
        )
        self.layers = nnx.List([Layer(config, make) for _ in range(config.n_layers)])
        self.theta = config.theta

    def seen(self, attention_mask: jax.Array, position_ids: jax.Array) -> Seen:
        """Returns which tokens are visible, and how far each is turned."""
        d_head = self.config.d_model // self.config.n_heads
        return Seen(
            blocks.Seen(attention_mask[:, None, None, :]),
            rotary.turns(position_ids, d_rotated=d_head, theta=self.theta),
        )


class Layer(blocks.Block):
    """A layer of NomicBERT, from [batch, length, d_model] to the same shape."""

    def __init__(self, config: NomicBertConfig, make: blocks.Maker) -> None:
        d_model, epsilon = config.d_model, config.layer_norm_epsilon
        self.n_heads = config.n_heads
        self.activation = config.activation
        self.query_key_value = make.linear(d_model, 3 * d_model, bias=False)
        self.output = make.linear(d_model, d_model, bias=False)
        self.attention_norm = make.norm(d_model, epsilon=epsilon)
        self.expand = make.linear(d_model, config.d_hidden, bias=False)
        self.gate = make.linear(d_model, config.d_hidden, bias=False)
        self.contract = make.linear(config.d_hidden, d_model, bias=False)
        self.output_norm = make.norm(d_model, epsilon=epsilon)

    def attention_out(self, hidden: jax.Array, seen: Seen) -> jax.Array:
        """Returns Attention(x)."""
        query, key, value = (
            blocks.by_head(part, self.n_heads)
            for part in jnp.split(self.query_key_value(hidden), 3, axis=-1)
        )
        query, key = (rotary.turned(part, seen.turns) for part in (query, key))
        mixed = blocks.mix(query, key, value, seen.tokens).reshape(hidden.shape)
        return self.output(mixed).astype(jnp.float32)

    def after_attention(self, hidden: jax.Array, attention_out: jax.Array) -> jax.Array:
        """Returns LayerNorm(x + a)."""
        return self.attention_norm(hidden + attention_out)

    def mlp_out(self, hidden: jax.Array, attended: jax.Array) -> jax.Array:
        """Returns W_out (silu(W_gate y) ⊙ W_in y)."""
        del hidden
        gate = activations.ACTIVATIONS[self.activation](self.gate(attended))
        return self.contract(gate * self.expand(attended)).astype(jnp.float32)

    def after_mlp(self, attended: jax.Array, mlp_out: jax.Array) -> jax.Array:
        """Returns LayerNorm(y + m)."""
        return self.output_norm(attended + mlp_out)


NAMES = weight_names.WeightNames(
    prefix="nomic_bert.",
    modules={
        "embeddings.word": "embeddings.word_embeddings.weight",
        "embeddings.token_type": "embeddings.token_type_embeddings.weight",
        "embeddings.norm": "emb_ln",
        "layers.*.query_key_value": "encoder.layers.*.attn.Wqkv",
        "layers.*.output": "encoder.layers.*.attn.out_proj",
        "layers.*.attention_norm": "encoder.layers.*.norm1",
        "layers.*.expand": "encoder.layers.*.mlp.fc11",
        "layers.*.gate": "encoder.layers.*.mlp.fc12",
        "layers.*.contract": "encoder.layers.*.mlp.fc2",
        "layers.*.output_norm": "encoder.layers.*.norm2",
        "head.transform": "cls.predictions.transform.dense",
        "head.norm": "cls.predictions.transform.layer_norm",
        "head.bias": "cls.predictions.bias",
    },
    head="cls.predictions.",
    decoder="cls.predictions.decoder.weight",
    renamed={"cls.predictions.decoder.bias": "cls.predictions.bias"},
)

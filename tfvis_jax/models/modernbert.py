"""ModernBERT (Warner et al. 2024, arXiv:2412.13663).

Layer 0 is LayerNorm(word), and layer n follows from layer n - 1 by

    y = x + Attention(LayerNorm(x))
    x' = y + W_out (gelu(a) ⊙ b),   [a, b] = W_in LayerNorm(y)

with a final LayerNorm after the last one; the first layer has no norm before attention.
There are no biases. Queries and keys are turned by their positions (`rotary`). Every
third layer is global; in the others a token sees those at most half a window away. As
in transformers, the last hidden state is that after the final norm.
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
    heads,
    rotary,
    weight_names,
)

_GLOBAL, _LOCAL = "full_attention", "sliding_attention"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModernBertConfig(encoder_config.EncoderConfig):
    """The sizes of a ModernBERT.

    Attributes:
      global_every: of so many layers the first is global.
      local_window: tokens that a local layer sees, half of them on either side.
      global_theta: base of the rotary frequencies of global layers.
      local_theta: of local layers.
    """

    layer_norm_epsilon: float = 1e-5
    global_every: int = 3
    local_window: int = 128
    global_theta: float = 160_000.0
    local_theta: float = 10_000.0

    OPTIONAL: ClassVar[Mapping[str, str]] = {
        "layer_norm_epsilon": "norm_eps",
        "activation": "hidden_activation",
        "global_every": "global_attn_every_n_layers",
        "local_window": "local_attention",
        "global_theta": "global_rope_theta",
        "local_theta": "local_rope_theta",
    }
    FIXED: ClassVar[Mapping[str, object]] = {
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "decoder_bias": True,
        "classifier_bias": False,
        "classifier_activation": "gelu",
        "tie_word_embeddings": True,
        "rope_scaling": None,
    }
    CLASSES: ClassVar[tuple[str, ...]] = ("ModernBert",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_size("global_every")
        self._check_size("local_window")
        self._check_number("global_theta", below=1e12)
        self._check_number("local_theta", below=1e12)
        if self.d_model // self.n_heads % 2:
            raise InputError(
                "Expected heads of an even width, got "
                f"{self.d_model // self.n_heads}; correct the configuration."
            )

    @property
    def d_expanded(self) -> int:
        """Width of what the first product of the feed-forward part gives."""
        return 2 * self.d_hidden

    @classmethod
    def from_hugging_face(cls, mapping: Mapping[str, Any]) -> Self:
        """Returns the sizes in a Hugging Face `config.json`."""
        newer: dict[str, Any] = {}
        for kind, key in (
            (_GLOBAL, "global_rope_theta"),
            (_LOCAL, "local_rope_theta"),
        ):
            rope = rotary.parameters(mapping, kind)
            if "rope_theta" in rope:
                newer[key] = rope["rope_theta"]
        types = mapping.get("layer_types")
        if types is not None:
            newer["global_attn_every_n_layers"] = _global_every(types)
        return super().from_hugging_face({**mapping, **newer})


def _global_every(types: Any) -> int:
    """Returns from a list of the layers' kinds how often a global one comes."""
    listed: list[Any] = types if isinstance(types, list) else []
    places = [place for place, kind in enumerate(listed) if kind == _GLOBAL]
    every = places[1] if len(places) > 1 else max(len(listed), 1)
    expected = [_LOCAL if n % every else _GLOBAL for n in range(len(listed))]
    if not listed or listed != expected:
        raise InputError(
            "Expected `layer_types` in the model's config.json to be a list in which "
            f"{_GLOBAL!r} comes first and at equal distances among {_LOCAL!r}, got "
            "another one; choose another model."
        )
    return every


class Sight(NamedTuple):
    """What the tokens see in layers of a kind, and how far each is turned."""

    tokens: blocks.Seen
    turns: rotary.Turns


class Seen(NamedTuple):
    """What the tokens see in global and in local layers."""

    in_global: Sight
    in_local: Sight


class ModernBert(encoder.Encoder):
    """A ModernBERT encoder."""

    def __init__(self, config: ModernBertConfig, make: blocks.Maker) -> None:
        self.config = config
        self.embeddings = embeddings.Embeddings(
            make,
            vocab_size=config.vocab_size,
            width=config.d_model,
            epsilon=config.layer_norm_epsilon,
            norm_bias=False,
        )
        self.layers = nnx.List(
            [
                Layer(
                    config,
                    make,
                    is_first=index == 0,
                    is_global=index % config.global_every == 0,
                )
                for index in range(config.n_layers)
            ]
        )
        self.final_norm = make.norm(
            config.d_model, epsilon=config.layer_norm_epsilon, bias=False
        )
        self.reach = config.local_window // 2
        self.thetas = (config.global_theta, config.local_theta)

    def layer(self, number: int) -> encoder.Step:
        """Returns the step to hidden state `number`; the last has the final norm."""
        layer = self.layers[number - 1]
        is_last = number == self.config.n_layers
        return blocks.Normed(layer, self.final_norm) if is_last else layer

    def seen(self, attention_mask: jax.Array, position_ids: jax.Array) -> Seen:
        """Returns what is visible in either kind of layer, and all angles."""
        everything = attention_mask[:, None, None, :]
        distance = jnp.abs(
            position_ids[:, None, :, None] - position_ids[:, None, None, :]
        )
        d_head = self.config.d_model // self.config.n_heads
        in_global, in_local = (
            Sight(
                blocks.Seen(visible),
                rotary.turns(position_ids, d_rotated=d_head, theta=theta),
            )
            for visible, theta in zip(
                (everything, everything & (distance <= self.reach)),
                self.thetas,
                strict=True,
            )
        )
        return Seen(in_global, in_local)


class Layer(blocks.PreNormBlock):
    """A layer of ModernBERT, from [batch, length, d_model] to the same shape."""

    def __init__(
        self,
        config: ModernBertConfig,
        make: blocks.Maker,
        *,
        is_first: bool,
        is_global: bool,
    ) -> None:
        d_model, epsilon = config.d_model, config.layer_norm_epsilon
        self.n_heads = config.n_heads
        self.activation = config.activation
        self.is_global = is_global
        self.attention_norm = (
            None if is_first else make.norm(d_model, epsilon=epsilon, bias=False)
        )
        self.query_key_value = make.linear(d_model, 3 * d_model, bias=False)
        self.output = make.linear(d_model, d_model, bias=False)
        self.feed_forward_norm = make.norm(d_model, epsilon=epsilon, bias=False)
        self.expand = make.linear(d_model, 2 * config.d_hidden, bias=False)
        self.contract = make.linear(config.d_hidden, d_model, bias=False)

    def attention_out(self, hidden: jax.Array, seen: Seen) -> jax.Array:
        """Returns Attention(LayerNorm(x)), in the first layer Attention(x)."""
        sight = seen.in_global if self.is_global else seen.in_local
        read = hidden if self.attention_norm is None else self.attention_norm(hidden)
        query, key, value = (
            blocks.by_head(part, self.n_heads)
            for part in jnp.split(self.query_key_value(read), 3, axis=-1)
        )
        query, key = (rotary.turned(part, sight.turns) for part in (query, key))
        mixed = blocks.mix(query, key, value, sight.tokens).reshape(hidden.shape)
        return self.output(mixed).astype(jnp.float32)

    def mlp_out(self, hidden: jax.Array, attended: jax.Array) -> jax.Array:
        """Returns W_out (gelu(a) ⊙ b) of y."""
        del hidden
        expanded = self.expand(self.feed_forward_norm(attended))
        gated, gate = jnp.split(expanded, 2, axis=-1)
        gated = activations.ACTIVATIONS[self.activation](gated) * gate
        return self.contract(gated).astype(jnp.float32)


def head(config: ModernBertConfig, make: blocks.Maker) -> heads.MaskedHead:
    """Returns ModernBERT's masked language model head, without inner biases."""
    return heads.MaskedHead(
        config, make, activation="gelu", transform_bias=False, norm_bias=False
    )


NAMES = weight_names.WeightNames(
    prefix="model.",
    modules={
        "embeddings.word": "embeddings.tok_embeddings.weight",
        "embeddings.norm": "embeddings.norm",
        "layers.*.attention_norm": "layers.*.attn_norm",
        "layers.*.query_key_value": "layers.*.attn.Wqkv",
        "layers.*.output": "layers.*.attn.Wo",
        "layers.*.feed_forward_norm": "layers.*.mlp_norm",
        "layers.*.expand": "layers.*.mlp.Wi",
        "layers.*.contract": "layers.*.mlp.Wo",
        "final_norm": "final_norm",
        "head.transform": "head.dense",
        "head.norm": "head.norm",
        "head.bias": "decoder.bias",
    },
    head="decoder.",
    decoder="decoder.weight",
)

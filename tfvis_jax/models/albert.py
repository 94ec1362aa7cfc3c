"""ALBERT (Lan et al. 2020, arXiv:1909.11942): the same layer again and again.

    layer 0 = LayerNorm(word + position + token type) W + b

with embeddings narrower than hidden states. Layer n follows from layer n - 1 as in
BERT, by the weights of its group; published models have one group for all layers.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from flax import nnx

from tfvis_jax.errors import InputError
from tfvis_jax.models import bert, blocks, embeddings, encoder, heads, weight_names


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlbertConfig(bert.BertConfig):
    """The sizes of an ALBERT.

    Attributes:
      d_embedding: width of the embeddings.
      n_groups: layers with weights of their own; at most n_layers.
    """

    d_embedding: int
    n_groups: int = 1
    activation: str = "gelu_new"

    REQUIRED: ClassVar[Mapping[str, str]] = {
        **bert.BertConfig.REQUIRED,
        "d_embedding": "embedding_size",
    }
    OPTIONAL: ClassVar[Mapping[str, str]] = {
        **bert.BertConfig.OPTIONAL,
        "n_groups": "num_hidden_groups",
    }
    FIXED: ClassVar[Mapping[str, object]] = {
        **bert.BertConfig.FIXED,
        "inner_group_num": 1,
    }
    CLASSES: ClassVar[tuple[str, ...]] = ("Albert",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_size("d_embedding")
        self._check_size("n_groups")
        if self.n_groups > self.n_layers:
            raise InputError(
                f"Expected at most `n_layers` = {self.n_layers} groups of layers, got "
                f"`n_groups` = {self.n_groups}; correct the configuration."
            )

    @property
    def n_stored_layers(self) -> int:
        """Layers with weights of their own."""
        return self.n_groups


class Albert(encoder.Encoder):
    """An ALBERT encoder without its pooler."""

    def __init__(self, config: AlbertConfig, make: blocks.Maker) -> None:
        self.config = config
        self.embeddings = embeddings.Embeddings(
            make,
            vocab_size=config.vocab_size,
            width=config.d_embedding,
            n_positions=config.max_positions,
            n_token_types=config.n_token_types,
            epsilon=config.layer_norm_epsilon,
            d_model=config.d_model,
        )
        self.layers = nnx.List(
            [blocks.Layer(config, make) for _ in range(config.n_groups)]
        )

    def layer(self, number: int) -> encoder.Step:
        """Returns the layer of the group that step `number` is in."""
        return self.layers[(number - 1) * len(self.layers) // self.config.n_layers]


def head(config: AlbertConfig, make: blocks.Maker) -> heads.MaskedHead:
    """Returns ALBERT's masked language model head."""
    return heads.MaskedHead(config, make, width=config.d_embedding)


_LAYER = "encoder.albert_layer_groups.*.albert_layers.0"
NAMES = weight_names.WeightNames(
    prefix="albert.",
    modules={
        "embeddings.word": "embeddings.word_embeddings.weight",
        "embeddings.position": "embeddings.position_embeddings.weight",
        "embeddings.token_type": "embeddings.token_type_embeddings.weight",
        "embeddings.norm": "embeddings.LayerNorm",
        "embeddings.project": "encoder.embedding_hidden_mapping_in",
        "layers.*.attention.query": f"{_LAYER}.attention.query",
        "layers.*.attention.key": f"{_LAYER}.attention.key",
        "layers.*.attention.value": f"{_LAYER}.attention.value",
        "layers.*.attention.output": f"{_LAYER}.attention.dense",
        "layers.*.attention_norm": f"{_LAYER}.attention.LayerNorm",
        "layers.*.expand": f"{_LAYER}.ffn",
        "layers.*.contract": f"{_LAYER}.ffn_output",
        "layers.*.output_norm": f"{_LAYER}.full_layer_layer_norm",
        "head.transform": "predictions.dense",
        "head.norm": "predictions.LayerNorm",
        "head.bias": "predictions.bias",
    },
    head="predictions.",
    decoder="predictions.decoder.weight",
    renamed={"predictions.decoder.bias": "predictions.bias"},
)

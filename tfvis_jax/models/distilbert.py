"""DistilBERT (Sanh et al. 2019, arXiv:1910.01108): BERT without token types."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from flax import nnx

from tfvis_jax.models import blocks, embeddings, encoder, encoder_config, weight_names


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistilBertConfig(encoder_config.EncoderConfig):
    """The sizes of a DistilBERT."""

    REQUIRED: ClassVar[Mapping[str, str]] = {
        "vocab_size": "vocab_size",
        "d_model": "dim",
        "n_layers": "n_layers",
        "n_heads": "n_heads",
        "d_hidden": "hidden_dim",
        "max_positions": "max_position_embeddings",
    }
    # The epsilon of its norms is always 1e-12.
    OPTIONAL: ClassVar[Mapping[str, str]] = {"activation": "activation"}
    CLASSES: ClassVar[tuple[str, ...]] = ("DistilBert",)


class DistilBert(encoder.Encoder):
    """A DistilBERT encoder."""

    def __init__(self, config: DistilBertConfig, make: blocks.Maker) -> None:
        self.config = config
        self.embeddings = embeddings.Embeddings(
            make,
            vocab_size=config.vocab_size,
            width=config.d_model,
            n_positions=config.max_positions,
            epsilon=config.layer_norm_epsilon,
        )
        self.layers = nnx.List(
            [blocks.Layer(config, make) for _ in range(config.n_layers)]
        )


NAMES = weight_names.WeightNames(
    prefix="distilbert.",
    modules={
        "embeddings.word": "embeddings.word_embeddings.weight",
        "embeddings.position": "embeddings.position_embeddings.weight",
        "embeddings.norm": "embeddings.LayerNorm",
        "layers.*.attention.query": "transformer.layer.*.attention.q_lin",
        "layers.*.attention.key": "transformer.layer.*.attention.k_lin",
        "layers.*.attention.value": "transformer.layer.*.attention.v_lin",
        "layers.*.attention.output": "transformer.layer.*.attention.out_lin",
        "layers.*.attention_norm": "transformer.layer.*.sa_layer_norm",
        "layers.*.expand": "transformer.layer.*.ffn.lin1",
        "layers.*.contract": "transformer.layer.*.ffn.lin2",
        "layers.*.output_norm": "transformer.layer.*.output_layer_norm",
        "head.transform": "vocab_transform",
        "head.norm": "vocab_layer_norm",
        "head.bias": "vocab_projector.bias",
    },
    head="vocab_",
    decoder="vocab_projector.weight",
)

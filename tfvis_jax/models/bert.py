"""BERT: the post-LN transformer of Devlin et al. 2019 (arXiv:1810.04805).

Layer 0 is LayerNorm(word + position + token type), and layer n follows from layer n - 1
by `blocks.Layer`.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from flax import nnx

from tfvis_jax.models import blocks, embeddings, encoder, encoder_config, weight_names


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertConfig(encoder_config.EncoderConfig):
    """The sizes of a BERT.

    Attributes:
      n_token_types: number of segment embeddings.
    """

    n_token_types: int = 2

    REQUIRED: ClassVar[Mapping[str, str]] = {
        **encoder_config.EncoderConfig.REQUIRED,
        "n_token_types": "type_vocab_size",
    }
    FIXED: ClassVar[Mapping[str, object]] = {
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
    }
    CLASSES: ClassVar[tuple[str, ...]] = ("Bert",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_size("n_token_types")


class Bert(encoder.Encoder):
    """A BERT encoder without its pooler."""

    def __init__(self, config: BertConfig, make: blocks.Maker) -> None:
        self.config = config
        self.embeddings = embeddings.Embeddings(
            make,
            vocab_size=config.vocab_size,
            width=config.d_model,
            n_positions=config.max_positions,
            n_token_types=config.n_token_types,
            epsilon=config.layer_norm_epsilon,
        )
        self.layers = nnx.List(
            [blocks.Layer(config, make) for _ in range(config.n_layers)]
        )


# Of the encoders whose checkpoints are named as BERT's are.
ENCODER_NAMES = {
    "embeddings.word": "embeddings.word_embeddings.weight",
    "embeddings.position": "embeddings.position_embeddings.weight",
    "embeddings.token_type": "embeddings.token_type_embeddings.weight",
    "embeddings.norm": "embeddings.LayerNorm",
    "layers.*.attention.query": "encoder.layer.*.attention.self.query",
    "layers.*.attention.key": "encoder.layer.*.attention.self.key",
    "layers.*.attention.value": "encoder.layer.*.attention.self.value",
    "layers.*.attention.output": "encoder.layer.*.attention.output.dense",
    "layers.*.attention_norm": "encoder.layer.*.attention.output.LayerNorm",
    "layers.*.expand": "encoder.layer.*.intermediate.dense",
    "layers.*.contract": "encoder.layer.*.output.dense",
    "layers.*.output_norm": "encoder.layer.*.output.LayerNorm",
}
# Of the masked language model head.
HEAD_NAMES = {
    "head.transform": "cls.predictions.transform.dense",
    "head.norm": "cls.predictions.transform.LayerNorm",
    "head.bias": "cls.predictions.bias",
}
NAMES = weight_names.WeightNames(
    prefix="bert.",
    modules=ENCODER_NAMES | HEAD_NAMES,
    head="cls.predictions.",
    decoder="cls.predictions.decoder.weight",
    renamed={"cls.predictions.decoder.bias": "cls.predictions.bias"},
)

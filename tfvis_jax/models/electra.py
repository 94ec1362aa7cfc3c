"""ELECTRA (Clark et al. 2020, arXiv:2003.10555): BERT with narrower embeddings.

    layer 0 = LayerNorm(word + position + token type) W + b

where the embeddings are as wide as the hidden states there is no W. Discriminators have
no language model head; generators have.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from flax import nnx

from tfvis_jax.models import bert, blocks, embeddings, encoder, heads, weight_names


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElectraConfig(bert.BertConfig):
    """The sizes of an ELECTRA.

    Attributes:
      d_embedding: width of the embeddings.
    """

    d_embedding: int

    REQUIRED: ClassVar[Mapping[str, str]] = {
        **bert.BertConfig.REQUIRED,
        "d_embedding": "embedding_size",
    }
    CLASSES: ClassVar[tuple[str, ...]] = ("Electra",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_size("d_embedding")


class Electra(encoder.Encoder):
    """An ELECTRA, discriminator or generator."""

    def __init__(self, config: ElectraConfig, make: blocks.Maker) -> None:
        self.config = config
        is_narrow = config.d_embedding != config.d_model
        self.embeddings = embeddings.Embeddings(
            make,
            vocab_size=config.vocab_size,
            width=config.d_embedding,
            n_positions=config.max_positions,
            n_token_types=config.n_token_types,
            epsilon=config.layer_norm_epsilon,
            d_model=config.d_model if is_narrow else None,
        )
        self.layers = nnx.List(
            [blocks.Layer(config, make) for _ in range(config.n_layers)]
        )


def head(config: ElectraConfig, make: blocks.Maker) -> heads.MaskedHead:
    """Returns the generator's masked language model head, always with exact gelu."""
    return heads.MaskedHead(config, make, activation="gelu", width=config.d_embedding)


NAMES = weight_names.WeightNames(
    prefix="electra.",
    modules={
        **bert.ENCODER_NAMES,
        "embeddings.project": "embeddings_project",
        "head.transform": "generator_predictions.dense",
        "head.norm": "generator_predictions.LayerNorm",
        "head.bias": "generator_lm_head.bias",
    },
    head="generator_",
    decoder="generator_lm_head.weight",
)

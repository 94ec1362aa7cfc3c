"""RoBERTa (Liu et al. 2019, arXiv:1907.11692), XLM-RoBERTa and CamemBERT.

BERT, but for the numbers of positions: they begin after that of padding,

    layer 0 = LayerNorm(word + position[padding_id + 1 + i] + token type)

for the token at place i of its window. A padding token within the text does not shift
the positions after it.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from flax import nnx

from tfvis_jax.models import (
    bert,
    blocks,
    embeddings,
    encoder,
    heads,
    weight_names,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RobertaConfig(bert.BertConfig):
    """The sizes of a RoBERTa.

    Attributes:
      max_positions: longest window; the table of positions has `first_position` more.
      padding_id: the id of the padding token.
    """

    padding_id: int = 1

    OPTIONAL: ClassVar[Mapping[str, str]] = {
        **bert.BertConfig.OPTIONAL,
        "padding_id": "pad_token_id",
    }
    CLASSES: ClassVar[tuple[str, ...]] = ("Roberta", "XLMRoberta", "Camembert")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_size("padding_id", least=0)

    @property
    def first_position(self) -> int:
        """The row of the first token in the table of positions."""
        return self.padding_id + 1

    @classmethod
    def from_hugging_face(cls, mapping: Mapping[str, Any]) -> Self:
        """Returns the sizes in a Hugging Face `config.json`."""
        config = super().from_hugging_face(mapping)
        return dataclasses.replace(
            config, max_positions=config.max_positions - config.first_position
        )


class Roberta(encoder.Encoder):
    """A RoBERTa encoder without its pooler."""

    def __init__(self, config: RobertaConfig, make: blocks.Maker) -> None:
        self.config = config
        self.embeddings = embeddings.Embeddings(
            make,
            vocab_size=config.vocab_size,
            width=config.d_model,
            n_positions=config.max_positions + config.first_position,
            first_position=config.first_position,
            n_token_types=config.n_token_types,
            epsilon=config.layer_norm_epsilon,
        )
        self.layers = nnx.List(
            [blocks.Layer(config, make) for _ in range(config.n_layers)]
        )


def head(config: RobertaConfig, make: blocks.Maker) -> heads.MaskedHead:
    """Returns RoBERTa's masked language model head, always with exact gelu."""
    return heads.MaskedHead(config, make, activation="gelu")


HEAD_NAMES = {
    "head.transform": "lm_head.dense",
    "head.norm": "lm_head.layer_norm",
    "head.bias": "lm_head.bias",
}
NAMES = weight_names.WeightNames(
    prefix="roberta.",
    modules={**bert.ENCODER_NAMES, **HEAD_NAMES},
    head="lm_head.",
    decoder="lm_head.decoder.weight",
    renamed={"lm_head.decoder.bias": "lm_head.bias"},
)

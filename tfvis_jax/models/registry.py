"""The architectures that can be loaded, by the `model_type` of their config.json."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from tfvis_jax.errors import InputError
from tfvis_jax.models import (
    albert,
    bert,
    blocks,
    deberta,
    distilbert,
    electra,
    encoder,
    encoder_config,
    gpt2,
    gpt_neox,
    heads,
    modernbert,
    mpnet,
    nomic_bert,
    roberta,
    weight_names,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """A kind of encoder.

    Attributes:
      config: reads its sizes.
      encoder: makes it from its config and a `blocks.Maker`.
      names: of its weights.
      head: makes its language model head, from the same.
      objective: of that head, `heads.MASKED_LM` or `heads.CAUSAL_LM`.
    """

    config: type[encoder_config.EncoderConfig]
    encoder: Callable[[Any, blocks.Maker], encoder.Encoder]
    names: weight_names.WeightNames
    head: Callable[[Any, blocks.Maker], Any] = heads.MaskedHead
    objective: str = heads.MASKED_LM

    def with_head(
        self, config: encoder_config.EncoderConfig, make: blocks.Maker
    ) -> heads.LanguageModel:
        """Returns the encoder and its head."""
        return heads.LanguageModel(
            self.encoder(config, make),
            self.head(config, make),
            objective=self.objective,
        )


_ROBERTA = Architecture(
    config=roberta.RobertaConfig,
    encoder=roberta.Roberta,
    names=roberta.NAMES,
    head=roberta.head,
)
ARCHITECTURES: Mapping[str, Architecture] = {
    "bert": Architecture(config=bert.BertConfig, encoder=bert.Bert, names=bert.NAMES),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": Architecture(
        config=distilbert.DistilBertConfig,
        encoder=distilbert.DistilBert,
        names=distilbert.NAMES,
    ),
    "mpnet": Architecture(
        config=mpnet.MPNetConfig,
        encoder=mpnet.MPNet,
        names=mpnet.NAMES,
        head=mpnet.head,
    ),
    "electra": Architecture(
        config=electra.ElectraConfig,
        encoder=electra.Electra,
        names=electra.NAMES,
        head=electra.head,
    ),
    "albert": Architecture(
        config=albert.AlbertConfig,
        encoder=albert.Albert,
        names=albert.NAMES,
        head=albert.head,
    ),
    "deberta-v2": Architecture(
        config=deberta.DebertaConfig,
        encoder=deberta.Deberta,
        names=deberta.NAMES,
    ),
    "modernbert": Architecture(
        config=modernbert.ModernBertConfig,
        encoder=modernbert.ModernBert,
        names=modernbert.NAMES,
        head=modernbert.head,
    ),
    "nomic_bert": Architecture(
        config=nomic_bert.NomicBertConfig,
        encoder=nomic_bert.NomicBert,
        names=nomic_bert.NAMES,
    ),
    "gpt2": Architecture(
        config=gpt2.Gpt2Config,
        encoder=gpt2.Gpt2,
        names=gpt2.NAMES,
        head=heads.TiedHead,
        objective=heads.CAUSAL_LM,
    ),
    "gpt_neox": Architecture(
        config=gpt_neox.GptNeoXConfig,
        encoder=gpt_neox.GptNeoX,
        names=gpt_neox.NAMES,
        head=heads.OwnHead,
        objective=heads.CAUSAL_LM,
    ),
}


def read(
    mapping: Mapping[str, Any],
) -> tuple[Architecture, encoder_config.EncoderConfig]:
    """Returns the architecture and the sizes in a Hugging Face `config.json`.

    Args:
      mapping: the content of the file.

    Raises:
      InputError: the type of the model is not known, or its settings are not supported.
    """
    # The smallest published BERTs name no type.
    model_type = mapping.get("model_type")
    model_type = "bert" if model_type is None else model_type
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        raise InputError(
            "This model cannot be loaded: its model_type is "
            f"{encoder_config.said(model_type)}. Choose a model of one of the types "
            f"{', '.join(ARCHITECTURES)}."
        )
    architecture = ARCHITECTURES[model_type]
    return architecture, architecture.config.from_hugging_face(mapping)


def of_config(config: encoder_config.EncoderConfig) -> tuple[str, Architecture]:
    """Returns the architecture that has such a config, and its first name."""
    for name, architecture in ARCHITECTURES.items():
        if type(config) is architecture.config:
            return name, architecture
    raise TypeError(f"No architecture has a {type(config).__name__}.")


@functools.lru_cache(maxsize=16)
def abstract(
    config: encoder_config.EncoderConfig, *, dtype: jax.typing.DTypeLike = jnp.float32
) -> encoder.Encoder:
    """Returns an encoder that holds shapes instead of arrays.

    Args:
      config: its sizes.
      dtype: type of the parameters and of the matrix products.
    """
    _, architecture = of_config(config)
    return eval_shape(architecture.encoder, config, dtype=dtype)


def eval_shape(
    make_model: Callable[[Any, blocks.Maker], Any],
    config: encoder_config.EncoderConfig,
    *,
    dtype: jax.typing.DTypeLike,
) -> Any:
    """Returns what `make_model` makes, with shapes instead of arrays."""
    return make_model(config, blocks.Maker(rngs=None, dtype=dtype, param_dtype=dtype))

"""Loads trained encoders, from local folders or the Hugging Face hub."""

import dataclasses
import json
import os
import pathlib
from typing import Any

import jax.numpy as jnp
from flax import nnx

from tfvis_jax.errors import InputError
from tfvis_jax.models import bert, bert_config, hub, weights
from tfvis_jax.models import masked_lm as masked_lm_module

_DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainedBert:
    """A trained BERT and where it came from.

    Attributes:
      name: the name given to `load`; with `folder` it identifies the model of a run.
      folder: holds config.json, weights and tokenizer files.
      config: the sizes.
      encoder: the BERT, which returns hidden states.
      masked_lm: the model with its masked language model head, whose `bert` is
        `encoder` itself; None unless requested.
    """

    name: str
    folder: pathlib.Path
    config: bert_config.BertConfig
    encoder: bert.Bert
    masked_lm: masked_lm_module.BertForMaskedLM | None


def load(
    name_or_folder: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    masked_lm: bool = False,
) -> PretrainedBert:
    """Loads a trained BERT.

    Args:
      name_or_folder: a Hugging Face folder, or the name of a model on its hub.
      dtype: type of the parameters and matrix products: "float32", or "bfloat16" for
        half the memory. Hidden states are float32 in both cases.
      masked_lm: If True, load the masked language model head as well.

    Raises:
      InputError: the model cannot be found, is not a supported BERT, or is damaged.
    """
    if dtype not in _DTYPES:
        raise InputError(f"Expected `dtype` to be one of {_DTYPES}, got {dtype!r}.")
    folder = hub.resolve(name_or_folder)
    config = bert_config.BertConfig.from_hugging_face(
        _read_json(folder / "config.json")
    )
    if masked_lm:
        model = weights.load_masked_lm(folder, config=config, dtype=jnp.dtype(dtype))
        encoder = model.bert
    else:
        model = None
        encoder = weights.load_bert(folder, config=config, dtype=jnp.dtype(dtype))
    return PretrainedBert(
        name=os.fspath(name_or_folder),
        folder=folder,
        config=config,
        encoder=encoder,
        masked_lm=model,
    )


def has_masked_lm_head(name_or_folder: str | os.PathLike[str]) -> bool:
    """Returns whether a trained BERT has a masked language model head.

    No weights are loaded: `load` may find that it does not fit the encoder.

    Raises:
      InputError: the model cannot be found or is damaged.
    """
    return weights.has_masked_lm_head(hub.resolve(name_or_folder))


def untrained(pretrained: PretrainedBert, *, seed: int) -> PretrainedBert:
    """Returns the same architecture with random weights from Flax's initializers.

    It is a control: what a dictionary explains of its hidden states does not depend on
    anything the model has learned. It has no masked language model head.
    """
    encoder = bert.Bert(pretrained.config, rngs=nnx.Rngs(seed))
    return dataclasses.replace(pretrained, encoder=encoder, masked_lm=None)


def read_config(name_or_folder: str | os.PathLike[str]) -> bert_config.BertConfig:
    """Returns the sizes of a trained BERT without loading its weights.

    Raises:
      InputError: the model cannot be found or is not a supported BERT.
    """
    folder = hub.resolve(name_or_folder)
    return bert_config.BertConfig.from_hugging_face(_read_json(folder / "config.json"))


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    # RecursionError: it is nested too deeply to be a configuration.
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not valid JSON ({error}); download it again."
        ) from error
    if not isinstance(mapping, dict):
        raise InputError(
            f"Expected a JSON object in {path}, got {type(mapping).__name__}; download "
            "it again."
        )
    return mapping

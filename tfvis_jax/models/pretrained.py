"""The one way to get a trained encoder: `load`."""

import dataclasses
import json
import os
import pathlib

import jax.numpy as jnp
from flax import nnx

from tfvis_jax.errors import InputError
from tfvis_jax.models import bert, bert_config, hub, weights
from tfvis_jax.models import masked_lm as masked_lm_module

_DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainedBert:
    """A trained BERT and where it came from."""

    # As given to `load`; together with `folder` it says which model a run used.
    name: str
    # Holds config.json, weights and tokenizer files.
    folder: pathlib.Path
    config: bert_config.BertConfig
    encoder: bert.Bert
    # Its `bert` is `encoder` itself. None unless asked for.
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
      dtype: "float32", or "bfloat16" for parameters and matrix products of half the
        size; hidden states are float32 either way.
      masked_lm: whether to load the masked language model head as well.

    Raises:
      InputError: the model cannot be had, is not a supported BERT, or is damaged.
    """
    if dtype not in _DTYPES:
        raise InputError(f"`dtype` must be one of {_DTYPES}, got {dtype!r}.")
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
    """Whether a trained BERT comes with a masked language model head; loads nothing.

    Raises:
      InputError: the model cannot be had or is damaged.
    """
    return weights.has_masked_lm_head(hub.resolve(name_or_folder))


def untrained(pretrained: PretrainedBert, *, seed: int) -> PretrainedBert:
    """Returns the same architecture with random weights, drawn as Flax draws them.

    What a dictionary explains of its hidden states, it does not explain because the
    model learnt anything. There is no masked-LM head.
    """
    encoder = bert.Bert(pretrained.config, rngs=nnx.Rngs(seed))
    return dataclasses.replace(pretrained, encoder=encoder, masked_lm=None)


def read_config(name_or_folder: str | os.PathLike[str]) -> bert_config.BertConfig:
    """Returns the shape of a trained BERT without loading its weights.

    Raises:
      InputError: the model cannot be had or is not a supported BERT.
    """
    folder = hub.resolve(name_or_folder)
    return bert_config.BertConfig.from_hugging_face(_read_json(folder / "config.json"))


def _read_json(path: pathlib.Path) -> dict:
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{path} is not valid JSON ({error}); download it again."
        ) from error
    if not isinstance(mapping, dict):
        raise InputError(f"{path} must hold a JSON object; download it again.")
    return mapping

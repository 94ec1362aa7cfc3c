"""Loads trained encoders, from local folders or the Hugging Face hub."""

import dataclasses
import json
import os
import pathlib
from typing import Any

import jax.numpy as jnp
from flax import nnx

from tfvis_jax.errors import InputError
from tfvis_jax.models import blocks, encoder, encoder_config, heads, hub, weights
from tfvis_jax.models import registry as registry_lib

_DTYPES = ("float32", "bfloat16")
_HEADS = (heads.MASKED_LM, heads.CAUSAL_LM)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A trained encoder and where it came from.

    Attributes:
      name: the name given to `load`; with `folder` it identifies the model of a run.
      folder: holds config.json, weights and tokenizer files.
      config: the sizes.
      encoder: returns hidden states, or the outputs at its site.
      language_model: the model with its language model head, whose `encoder` is
        `encoder` itself; None unless requested.
      ignored: names of the stored tensors that are not used, such as poolers and heads.
    """

    name: str
    folder: pathlib.Path
    config: encoder_config.EncoderConfig
    encoder: encoder.Encoder
    language_model: heads.LanguageModel | None = None
    ignored: tuple[str, ...] = ()

    def at(self, site: str) -> "Pretrained":
        """Returns the model with an encoder that returns the outputs at a site.

        Args:
          site: one of `sites.SITES`: "hidden", "attention_out" or "mlp_out".

        Raises:
          InputError: there is no such site.
        """
        inner, model = self.encoder.at(site), self.language_model
        if model is not None:
            model = model.on(inner)
        return dataclasses.replace(self, encoder=inner, language_model=model)


def load(
    name_or_folder: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    head: str | None = None,
) -> Pretrained:
    """Loads a trained encoder.

    Args:
      name_or_folder: a Hugging Face folder, or the name of a model on its hub.
      dtype: type of the parameters and matrix products: "float32", or "bfloat16" for
        half the memory. Hidden states are float32 in both cases.
      head: "masked_lm" or "causal_lm" to load that language model head as well.

    Raises:
      InputError: the model cannot be found, is of a type or has a setting that is not
        supported, has not that head, or is damaged.
    """
    if dtype not in _DTYPES:
        raise InputError(f"Expected `dtype` to be one of {_DTYPES}, got {dtype!r}.")
    if head not in (None, *_HEADS):
        raise InputError(f"Expected `head` to be None or of {_HEADS}, got {head!r}.")
    folder = hub.resolve(name_or_folder)
    mapping = _read_json(folder / "config.json")
    architecture, config = registry_lib.read(mapping)
    settings: dict[str, Any] = {
        "architecture": architecture,
        "config": config,
        "dtype": jnp.dtype(dtype),
    }
    model = None
    if head is None:
        inner, ignored = weights.load_encoder(folder, **settings)
    elif head != architecture.objective:
        raise InputError(
            f"Expected a model with a {head} head, got {os.fspath(name_or_folder)} of "
            f"model_type {mapping.get('model_type', 'bert')}, whose head is "
            f"{architecture.objective}; ask for that, or choose another model."
        )
    else:
        model, ignored = weights.load_language_model(folder, **settings)
        inner = model.encoder
    return Pretrained(
        name=os.fspath(name_or_folder),
        folder=folder,
        config=config,
        encoder=inner,
        language_model=model,
        ignored=ignored,
    )


def head_of(name_or_folder: str | os.PathLike[str]) -> str | None:
    """Returns which language model head a trained encoder has.

    No weights are loaded: `load` may find that it does not fit the encoder.

    Returns:
      "masked_lm", "causal_lm" or None.

    Raises:
      InputError: the model cannot be found, is not supported or is damaged.
    """
    folder = hub.resolve(name_or_folder)
    architecture, _ = registry_lib.read(_read_json(folder / "config.json"))
    if weights.has_head(folder, architecture=architecture):
        return architecture.objective
    return None


def untrained(pretrained: Pretrained, *, seed: int) -> Pretrained:
    """Returns the same architecture with random weights from Flax's initializers.

    It is a control: what a dictionary explains of its hidden states does not depend on
    anything the model has learned. It has no language model head.
    """
    _, architecture = registry_lib.of_config(pretrained.config)
    inner = architecture.encoder(pretrained.config, blocks.Maker(rngs=nnx.Rngs(seed)))
    other = dataclasses.replace(pretrained, encoder=inner, language_model=None)
    return other.at(pretrained.encoder.site)


def read_config(
    name_or_folder: str | os.PathLike[str],
) -> encoder_config.EncoderConfig:
    """Returns the sizes of a trained encoder without loading its weights.

    Raises:
      InputError: the model cannot be found or is not supported.
    """
    folder = hub.resolve(name_or_folder)
    return registry_lib.read(_read_json(folder / "config.json"))[1]


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

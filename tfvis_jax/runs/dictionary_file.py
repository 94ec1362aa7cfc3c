"""`dictionary.safetensors`: the trained factors, with all that using them takes."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
import safetensors
import safetensors.numpy

from tfvis_jax import config as config_lib
from tfvis_jax import files, schema
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.learning import state as state_lib
from tfvis_jax.runs import setup

_METADATA = "tfvis-dictionary/1"
# Norms are 1 within the rounding of float32; more is another kind of array.
_UNIT = 1e-2


class _Metadata(msgspec.Struct):
    layers: Annotated[tuple[schema.Count, ...], msgspec.Meta(min_length=1)]
    model: str
    l1_penalty: schema.AboveZero


@dataclasses.dataclass(frozen=True)
class TrainedDictionary:
    """Factors and the scales of the layers that they describe.

    Attributes:
      factors: [n_factors, d_model] float32, unit rows.
      layer_scale: [n_layers] float32; hidden states are divided by it before encoding.
      layers: which hidden states, 0 being the embedding output.
      model: folder or Hugging Face Hub name of the BERT.
      l1_penalty: λ at the end of training.
    """

    factors: np.ndarray
    layer_scale: np.ndarray
    layers: tuple[int, ...]
    model: str
    l1_penalty: float

    def solver(self, config: config_lib.SolverConfig) -> config_lib.SolverConfig:
        """Returns a run's solver at the λ at which training ended."""
        return dataclasses.replace(config, l1_penalty=self.l1_penalty)

    def of_layers(self, layers: Sequence[int] | None) -> "TrainedDictionary":
        """Returns the dictionary for some of its layers; for all if None.

        Raises:
          InputError: a layer is none of the dictionary's, or none is given.
        """
        if layers is None:
            return self
        chosen = tuple(sorted(set(layers)))
        if not chosen or not set(chosen) <= set(self.layers):
            raise InputError(
                f"Expected layers out of {list(self.layers)}, got {list(layers)}."
            )
        places = [self.layers.index(layer) for layer in chosen]
        return dataclasses.replace(
            self, layers=chosen, layer_scale=self.layer_scale[places]
        )

    @functools.cached_property
    def content_hash(self) -> str:
        """SHA-256 of factors and scales: identifies what was computed from them."""
        return hashlib.sha256(
            self.factors.tobytes() + self.layer_scale.tobytes()
        ).hexdigest()


def from_state(state: state_lib.TrainState, opened: setup.Setup) -> TrainedDictionary:
    """Returns what a training state has learned, on the host."""
    return TrainedDictionary(
        factors=np.asarray(state.dictionary),
        layer_scale=np.asarray(state.layer_scale),
        layers=opened.layers,
        model=opened.config.model,
        l1_penalty=float(state.l1_penalty),
    )


def save(path: pathlib.Path, trained: TrainedDictionary) -> None:
    """Writes the file, atomically."""
    content = safetensors.numpy.save(
        {"dictionary": trained.factors, "layer_scale": trained.layer_scale},
        # One entry: the library writes several in an order that changes.
        metadata={
            _METADATA: json.dumps(
                {
                    "layers": trained.layers,
                    "model": trained.model,
                    "l1_penalty": trained.l1_penalty,
                }
            )
        },
    )
    with files.write_atomically(path) as file:
        file.write(content)


def load(path: pathlib.Path) -> TrainedDictionary:
    """Reads the file; InputError if it is missing, damaged or something else."""
    if not path.is_file():
        raise InputError(
            f"{path} does not exist: the training of the run has not finished. "
            f"`{command_line('train', path.parent)}` resumes it."
        )
    remedy = "Remove it and run `tfvis train` again; the checkpoints are kept."
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(_METADATA, "")
            factors, layer_scale = map(file.get_tensor, ("dictionary", "layer_scale"))
    # A type that NumPy does not have ends in a TypeError or an AttributeError.
    except (
        *(safetensors.SafetensorError, OSError, ValueError, TypeError),
        AttributeError,
    ) as error:
        raise InputError(
            f"{path} is damaged, or no dictionary of tfvis: {error}. {remedy}"
        ) from error
    metadata = schema.decode(
        text.encode("utf-8", "replace"),
        _Metadata,
        where=f"The metadata of {path}",
        remedy=remedy,
    )
    trained = TrainedDictionary(
        factors, layer_scale, metadata.layers, metadata.model, metadata.l1_penalty
    )
    if why := _wrong(trained):
        raise schema.damaged(path, why, remedy=remedy)
    return trained


def check_fits(trained: TrainedDictionary, opened: setup.Setup) -> None:
    """Refuses a dictionary that cannot be of a model.

    Raises:
      InputError: it has other layers, or factors of another length than the model's
        hidden states.
    """
    model = opened.pretrained.config
    d_model, last = trained.factors.shape[1], trained.layers[-1]
    if d_model != model.d_model or last > model.n_layers:
        raise InputError(
            f"Expected {opened.run.dictionary} to be of {opened.pretrained.name}, with "
            f"{model.n_layers} layers of {model.d_model} numbers; got layers up to "
            f"{last} and factors of {d_model} numbers. Restore what belongs together."
        )


def _wrong(trained: TrainedDictionary) -> str:
    """Returns what is wrong with a dictionary; an empty text if nothing is."""
    factors, scale, layers = trained.factors, trained.layer_scale, trained.layers
    for name, array, axes in (("dictionary", factors, 2), ("layer_scale", scale, 1)):
        if array.dtype != np.float32 or array.ndim != axes or not array.size:
            return (
                f"Expected a `{name}` of float32 with {axes} axes, got {array.dtype} "
                f"of shape {array.shape}"
            )
    norms = np.linalg.norm(factors.astype(np.float64), axis=1)
    # A factor that has never started is 0.
    distance = np.where(norms == 0, 0, np.abs(norms - 1))
    if not np.all(distance <= _UNIT):
        worst = int(np.argmax(distance))
        return f"Expected factors of norm 1, got {norms[worst]} for factor {worst}"
    if len(scale) != len(layers) or not np.all((scale > 0) & (scale < np.inf)):
        return f"Expected {len(layers)} finite scales of layers > 0, got {scale}"
    if list(layers) != sorted(set(layers)):
        return f"Expected layers that increase, got {layers}"
    return ""

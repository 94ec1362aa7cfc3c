"""`dictionary.safetensors`: the trained factors, with all that using them takes."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Sequence

import numpy as np
import safetensors
import safetensors.numpy

from tfvis_jax import config as config_lib
from tfvis_jax import files
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.learning import state as state_lib
from tfvis_jax.runs import setup


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
            "tfvis-dictionary/1": json.dumps(
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
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = json.loads(file.metadata()["tfvis-dictionary/1"])
            return TrainedDictionary(
                factors=file.get_tensor("dictionary"),
                layer_scale=file.get_tensor("layer_scale"),
                layers=tuple(metadata["layers"]),
                model=metadata["model"],
                l1_penalty=metadata["l1_penalty"],
            )
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged, or no dictionary of tfvis: {error}. Remove it and run "
            "`tfvis train` again; the checkpoints are kept."
        ) from error

"""Codes in the form in which delphi caches activations, to label and score factors.

A folder for each layer, ``layers.6``, with our number of the layer: labels that delphi
writes under this name are read back as those of the same layer.

    config.json                the text and the model, whose tokenizer delphi loads
    0_204.safetensors …        of the factors 0 … 204: ``locations`` [n, 3], window,
                               position and factor (from the first one of the file);
                               ``activations`` [n] float16, or float32 in a layer whose
                               largest is above 65,504; ``tokens`` [windows, length]

Form: EleutherAI/delphi, `delphi/latents/cache.py` and `loader.py`, November 2025.
"""

import json
import pathlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy

# As delphi has by default.
N_FILES = 5
_SMALL = 2**16
_LARGEST_HALF = float(np.finfo(np.float16).max)


class Firings(NamedTuple):
    """Some tokens of a layer and what fires there, in any order.

    Attributes:
      window: [n] int64, index into ``tokens``.
      position: [n] int64.
      factor: [n] int64.
      activation: [n] α.
    """

    window: np.ndarray
    position: np.ndarray
    factor: np.ndarray
    activation: np.ndarray


def write_layer(
    folder: pathlib.Path,
    layer: int,
    firings: Iterable[Firings],
    *,
    tokens: np.ndarray,
    n_factors: int,
    config: dict[str, Any],
) -> int:
    """Writes a layer; holds all its firings in memory.

    Half precision ends at 65,504. A layer with more, which only an autoencoder of large
    activations has, is written in single precision, which delphi reads as well.

    Args:
      folder: to which the folder of the layer is added.
      layer: number of the layer.
      firings: read once.
      tokens: [windows, length] int32 ids.
      n_factors: of the dictionary.
      config: what ``config.json`` says.

    Returns:
      How many activations were written: those that half precision rounds to 0 are not.
    """
    place = folder / f"layers.{layer}"
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(config, indent=4), encoding="utf-8")
    none = np.zeros(0, np.uint32)
    nothing = Firings(none, none, none, none.astype(np.float16))
    # Parts that half precision can hold are held in it.
    parts = [nothing, *map(_half, firings)]
    window, position, factor, activation = map(np.concatenate, zip(*parts, strict=True))
    edges = np.linspace(0, n_factors, N_FILES + 1).astype(int)
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        chosen = (factor >= start) & (factor < stop)
        # A file without firings cannot be read by delphi.
        if not chosen.any():
            continue
        locations = np.stack(
            [window[chosen], position[chosen], factor[chosen] - start], axis=1
        )
        small = locations.max(initial=0) < _SMALL
        safetensors.numpy.save_file(
            {
                "locations": locations.astype(np.uint16 if small else np.uint32),
                "activations": activation[chosen],
                "tokens": np.ascontiguousarray(tokens, np.int32),
            },
            place / f"{start}_{stop - 1}.safetensors",
        )
    return len(factor)


def _half(part: Firings) -> Firings:
    """Returns what is above 0 in half precision, in it if all are within its range."""
    activation = part.activation
    if activation.max(initial=0) <= _LARGEST_HALF:
        activation = activation.astype(np.float16)
    # What half precision rounds to 0 is left out of either.
    kept = np.minimum(activation, _LARGEST_HALF).astype(np.float16) > 0
    return Firings(
        window=part.window[kept].astype(np.uint32),
        position=part.position[kept].astype(np.uint32),
        factor=part.factor[kept].astype(np.uint32),
        activation=activation[kept],
    )

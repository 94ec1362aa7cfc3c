"""`dictionary.safetensors`: the file of a `trained_dictionary`."""

import dataclasses
import json
import pathlib
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import safetensors
import safetensors.numpy

from tfvis_jax import files, schema, sites
from tfvis_jax.errors import InputError, command_line
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.runs import linear_encoder, trained_dictionary

_METADATA = "tfvis-dictionary/1"
# Norms are 1 within the rounding of float32; more is another kind of array.
_UNIT = 1e-2


class _Encoder(msgspec.Struct):
    kind: str
    k: schema.Positive | None = None


class _Metadata(msgspec.Struct):
    layers: Annotated[tuple[schema.Count, ...], msgspec.Meta(min_length=1)]
    model: str
    l1_penalty: schema.AboveZero | None
    encoder: _Encoder | None = None
    # Earlier versions had this one alone.
    site: Literal["hidden", "attention_out", "mlp_out"] = sites.HIDDEN


def save(path: pathlib.Path, trained: trained_dictionary.TrainedDictionary) -> None:
    """Writes the file, atomically."""
    with files.write_atomically(path) as file:
        file.write(to_bytes(trained))


def to_bytes(trained: trained_dictionary.TrainedDictionary) -> bytes:
    """Returns the content of the file."""
    arrays = {"dictionary": trained.factors, "layer_scale": trained.layer_scale}
    if trained.whitening is not None:
        arrays |= {
            f"whitening.{name}": np.asarray(array)
            for name, array in vars(trained.whitening).items()
        }
    about: dict[str, Any] = {
        "layers": trained.layers,
        "model": trained.model,
        "l1_penalty": trained.l1_penalty,
        "site": trained.site,
    }
    if trained.encoder is not None:
        arrays |= {
            f"encoder.{name}": array for name, array in trained.encoder.arrays().items()
        }
        about["encoder"] = trained.encoder_settings
    return safetensors.numpy.save(
        arrays,
        # One entry: the library writes several in an order that changes.
        metadata={_METADATA: json.dumps(about)},
    )


def load(path: pathlib.Path) -> trained_dictionary.TrainedDictionary:
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
            names_in_file = list(file.keys())
            names = [f.name for f in dataclasses.fields(whitening_lib.Whitening)]
            whitening = None
            if f"whitening.{names[0]}" in names_in_file:
                whitening = whitening_lib.Whitening(
                    *(file.get_tensor(f"whitening.{name}") for name in names)
                )
            encoder_arrays = {
                name.removeprefix("encoder."): file.get_tensor(name)
                for name in names_in_file
                if name.startswith("encoder.")
            }
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
    try:
        encoder = metadata.encoder and linear_encoder.LinearEncoder(
            kind=metadata.encoder.kind, k=metadata.encoder.k, **encoder_arrays
        )
    # An array is missing that every encoder has, or is one that none has.
    except TypeError as error:
        why = f"its encoder is none: {error}"
        raise schema.damaged(path, why, remedy=remedy) from error
    if encoder_arrays and encoder is None:
        why = f"its metadata do not say what {sorted(encoder_arrays)} are of"
        raise schema.damaged(path, why, remedy=remedy)
    trained = trained_dictionary.TrainedDictionary(
        factors,
        layer_scale,
        metadata.layers,
        metadata.model,
        metadata.l1_penalty,
        whitening,
        metadata.site,
        encoder,
    )
    if why := _wrong(trained):
        raise schema.damaged(path, why, remedy=remedy)
    return trained


def _wrong(trained: trained_dictionary.TrainedDictionary) -> str:
    """Returns what is wrong with a dictionary; an empty text if nothing is."""
    factors, scale, layers = trained.factors, trained.layer_scale, trained.layers
    whitening = trained.whitening
    arrays = [("dictionary", factors, 2), ("layer_scale", scale, 1)]
    if whitening is not None:
        arrays += [
            (f"whitening.{n}", np.asarray(a), 2) for n, a in vars(whitening).items()
        ]
    for name, array, axes in arrays:
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
    if whitening is not None:
        shapes = [tuple(array.shape) for array in vars(whitening).values()]
        d_model = factors.shape[1]
        expected = [(len(layers), d_model), (d_model, d_model), (d_model, d_model)]
        if shapes != expected:
            return f"Expected a whitening of shapes {expected}, got {shapes}"
        if not all(np.isfinite(array).all() for array in vars(whitening).values()):
            return "Expected a whitening of finite numbers, got NaN or infinity"
    if list(layers) != sorted(set(layers)):
        return f"Expected layers that increase, got {layers}"
    if layers[0] < sites.first_layer(trained.site):
        return f"Expected layers from 1 at site {trained.site}, got {layers}"
    return _wrong_codes(trained)


def _wrong_codes(trained: trained_dictionary.TrainedDictionary) -> str:
    """Returns what is wrong with how codes are found; an empty text if nothing is."""
    encoder = trained.encoder
    if (encoder is None) == (trained.l1_penalty is None):
        have = "neither" if encoder is None else "both"
        return f"Expected either λ or an encoder, got {have}"
    if encoder is None:
        return ""
    n_factors, d_model = trained.factors.shape
    return linear_encoder.wrong(encoder, d_model=d_model, n_factors=n_factors)

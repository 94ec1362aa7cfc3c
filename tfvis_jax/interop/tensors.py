"""Reads a safetensors file that must hold certain tensors, and nothing else."""

import pathlib
from collections.abc import Mapping

import numpy as np
import safetensors

from tfvis_jax import schema
from tfvis_jax.errors import InputError

Shape = tuple[int, ...]
_DTYPES = ("F64", "F32", "F16", "BF16")


def read(
    path: pathlib.Path,
    shapes: Mapping[str, Shape],
    *,
    optional: Mapping[str, Shape] | None = None,
) -> dict[str, np.ndarray]:
    """Reads tensors, checking names, shapes and types before any is loaded.

    Args:
      path: of the file.
      shapes: of the tensors that it must hold, by name.
      optional: of those that it may hold beside.

    Returns:
      float32 arrays by name.

    Raises:
      InputError: the file cannot be read, lacks a tensor, holds others, or holds other
        than finite floats of these shapes.
    """
    known = {**shapes, **(optional or {})}
    if not path.is_file():
        raise InputError(f"Expected the weights of an autoencoder at {path}, got none.")
    try:
        # What is too large for float32 is found below.
        with (
            np.errstate(over="ignore"),
            safetensors.safe_open(path, framework="np") as file,
        ):
            names = set(file.keys())
            _check_names(path, names, expected=set(shapes), known=set(known))
            for name in sorted(names):
                part = file.get_slice(name)
                found, dtype = tuple(part.get_shape()), part.get_dtype()
                if found != known[name] or dtype not in _DTYPES:
                    raise InputError(
                        f"Expected {name} of shape {known[name]} and a type among "
                        f"{_DTYPES} in {path}, got {dtype} of shape {found}. Its "
                        "cfg.json is of another autoencoder."
                    )
            arrays = {
                name: np.asarray(file.get_tensor(name)).astype(np.float32)
                for name in sorted(names)
            }
    except InputError:
        raise
    except (safetensors.SafetensorError, OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{path} is damaged, or no safetensors file: {error}. Download it again."
        ) from error
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError(
                f"Expected finite numbers in {name} of {path}, got NaN or infinity. "
                "Download it again."
            )
    return arrays


def _check_names(
    path: pathlib.Path, names: set[str], *, expected: set[str], known: set[str]
) -> None:
    if missing := sorted(expected - names):
        raise InputError(
            f"Expected {', '.join(missing)} in {path}, got only "
            f"{schema.short(sorted(names))}. Other tensors are another architecture "
            "than its cfg.json says."
        )
    if surplus := sorted(names - known):
        raise InputError(
            f"Expected only {', '.join(sorted(known))} in {path}, got "
            f"{schema.short(surplus)} beside. What they do is not known; without them "
            "codes would be wrong."
        )

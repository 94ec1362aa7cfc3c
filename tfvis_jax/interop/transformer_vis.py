"""The dictionaries of Yun et al. (2021), as their code writes them.

A `.npy` file of [d_model, n_factors]: the factors are its columns, of norm 1. They were
learned from hidden states as BERT gives them, without special tokens; the file names
neither the model, nor the layers, nor λ.
"""

import os
import pathlib

import numpy as np

from tfvis_jax import files, npy
from tfvis_jax.errors import InputError
from tfvis_jax.runs import trained_dictionary

# Norms are 1 within the rounding of float32; more is another kind of array.
_UNIT = 1e-2


def read(path: str | os.PathLike[str], *, d_model: int) -> np.ndarray:
    """Reads factors.

    Args:
      path: the `.npy` file.
      d_model: width of the model's hidden states.

    Returns:
      [n_factors, d_model] float32, rows of norm 1.

    Raises:
      InputError: the file is missing or damaged; holds other than finite floats of
        shape [d_model, n_factors]; or its columns are not of norm 1.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"Expected a dictionary as .npy at {path}, found no file.")
    try:
        array = npy.open_array(path)
    except (OSError, npy.NotAnArray) as error:
        raise InputError(f"{path} is no whole .npy file: {error}.") from error
    kind = f"{array.dtype} of shape {list(array.shape)}"
    if array.ndim != 2 or array.dtype.kind != "f" or not array.size:
        raise InputError(
            f"Expected floats of shape [{d_model}, n_factors] in {path}, got {kind}."
        )
    if array.shape[0] != d_model:
        turned = " Transpose it: factors are columns." if d_model in array.shape else ""
        raise InputError(
            f"Expected columns of {d_model} numbers, the width of the model's hidden "
            f"states, in {path}, got {kind}.{turned}"
        )
    factors = np.ascontiguousarray(array.T, np.float32)
    norms = np.linalg.norm(factors.astype(np.float64), axis=1)
    # A factor that has never started is 0. NaN is no norm either.
    wrong = ~((norms == 0) | (np.abs(norms - 1) <= _UNIT))
    if wrong.any():
        worst = int(np.argmax(wrong))
        raise InputError(
            f"Expected columns of norm 1 in {path}, got {norms[worst]:.4g} for column "
            f"{worst}. Other columns have other activations, and another λ."
        )
    return factors


def write(
    path: str | os.PathLike[str], trained: trained_dictionary.TrainedDictionary
) -> None:
    """Writes factors of raw hidden states, so that the authors' code reads them.

    Args:
      path: the `.npy` file.
      trained: of a run that neither scales nor whitens its layers, as those of the
        preset ``paper``.

    Raises:
      InputError: the run scales its layers, or whitens them.
    """
    if trained.whitening is not None or not np.all(trained.layer_scale == 1):
        raise InputError(
            "Expected a dictionary of raw hidden states, got one of states that were "
            "divided by each layer's scale or whitened, which the file cannot say. "
            "Train with --preset=paper."
        )
    with files.write_atomically(pathlib.Path(path)) as file:
        np.save(file, np.ascontiguousarray(trained.factors.T), allow_pickle=False)

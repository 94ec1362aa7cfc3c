"""Reads the tensors of a Hugging Face checkpoint folder by name, one at a time."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable

import numpy as np
import safetensors

from tfvis_jax.errors import InputError
from tfvis_jax.models import torch_zip

# In order of preference; an index lists the shards of a checkpoint in several files.
WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor of a checkpoint; only `read` loads its bytes.

    Attributes:
      shape: its shape.
      read: loads it.
    """

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def open_folder(folder: pathlib.Path) -> dict[str, StoredTensor]:
    """Returns every tensor of the checkpoint in `folder`, by its stored name.

    Raises:
      InputError: there are no weights, or a file is missing, damaged or unsafe.
    """
    for name in WEIGHT_FILES:
        path = folder / name
        if not path.is_file():
            continue
        shards = _shards(path) if path.suffix == ".json" else [path]
        tensors: dict[str, StoredTensor] = {}
        for shard in shards:
            tensors |= _open_file(shard)
        return tensors
    raise InputError(
        f"Expected weights in {folder} (one of {', '.join(WEIGHT_FILES)}), got none; "
        "copy them from where the model came from."
    )


def _shards(index: pathlib.Path) -> list[pathlib.Path]:
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{index} is not an index of weight files ({error!r}); download it again."
        ) from error
    # Only files beside the index are read, wherever the index may point.
    paths = [index.parent / pathlib.PurePath(str(name)).name for name in names]
    absent = [path.name for path in paths if not path.is_file()]
    if absent:
        raise InputError(
            f"{index} lists files that are not beside it: {', '.join(absent)}; "
            "download them."
        )
    return paths


def _open_file(path: pathlib.Path) -> dict[str, StoredTensor]:
    if path.suffix == ".safetensors":
        return _open_safetensors(path)
    return {
        name: StoredTensor(shape=tensor.shape, read=functools.partial(np.array, tensor))
        for name, tensor in torch_zip.read(path).items()
    }


def _open_safetensors(path: pathlib.Path) -> dict[str, StoredTensor]:
    try:
        # Left open, because the readers below use its memory map.
        file = safetensors.safe_open(path, framework="np")
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(
            f"{path} cannot be read as safetensors ({error}). It is damaged, truncated "
            "or a Git LFS pointer: download it again (or run `git lfs pull`)."
        ) from error
    return {
        name: StoredTensor(
            shape=tuple(file.get_slice(name).get_shape()),
            read=functools.partial(file.get_tensor, name),
        )
        for name in file.keys()  # noqa: SIM118 (not a mapping)
    }

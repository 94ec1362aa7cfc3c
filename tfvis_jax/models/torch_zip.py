"""Reads tensors from a `torch.save` file without torch and without running its code.

Since torch 1.6 such a file is a zip archive: `data.pkl` describes the tensors, and one
member per storage holds the bytes. A pickle can name any function to call, so only
the few names that describe tensors are accepted, and nothing is allocated that the
length of the file does not bound.
"""

import functools
import math
import pathlib
import zipfile
from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.models import torch_pickle

_REMEDY = (
    "If you trust the file, save the model again as safetensors with torch: "
    "`AutoModel.from_pretrained(folder).save_pretrained(new_folder)`."
)
# Tied weights are stored once under two or three names.
_MAX_SHARING = 4
_STORAGE_DTYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": jnp.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a state dict saved by `torch.save`, by name.

    Tensors are views of the storages they share. bfloat16 is kept.

    Raises:
      InputError: the file is not a zip-based torch file, is damaged, holds anything but
        named tensors, or has a pickle that requests other Python code.
    """
    with path.open("rb") as file:
        start = file.read(2)
    if start != b"PK":
        found = "the old pickle format" if start[:1] == b"\x80" else "another format"
        raise InputError(
            f"Expected {path} to be a zip-based torch file (torch 1.6 or later), got "
            f"{found}. {_REMEDY}"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            folder, described = _describe(archive, path=path)
            if not isinstance(described, dict) or not all(
                isinstance(tensor, torch_pickle.Tensor) for tensor in described.values()
            ):
                raise InputError(
                    f"Expected only named tensors (a state dict) in {path}, got other "
                    f"objects. {_REMEDY}"
                )
            _check_elements(described.values(), limit=path.stat().st_size)
            read_storage = functools.partial(
                _read_storage, archive, folder=folder, held={}
            )
            return {
                str(name): _view(read_storage(tensor.storage), tensor)
                for name, tensor in described.items()
            }
    except (InputError, MemoryError):
        raise
    # A damaged archive can raise any exception.
    except Exception as error:
        raise InputError(
            f"{path} is damaged or truncated ({error}); download it again."
        ) from error


def _describe(archive: zipfile.ZipFile, *, path: pathlib.Path) -> tuple[str, Any]:
    """Returns the folder in the archive and what its pickle describes."""
    members = archive.namelist()
    _check_sizes(archive, path=path)
    pickles = [name for name in members if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("no data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    byte_order = folder + "byteorder"
    if byte_order in members and archive.read(byte_order) != b"little":
        raise InputError(
            f"Expected little-endian tensors in {path}, got big-endian. {_REMEDY}"
        )
    try:
        return folder, torch_pickle.read(archive.read(pickles[0]))
    except torch_pickle.ForbiddenNameError as error:
        raise InputError(
            f"{path} requests {error}, which is not needed to describe "
            f"tensors and is not run. {_REMEDY}"
        ) from error


def _check_sizes(archive: zipfile.ZipFile, *, path: pathlib.Path) -> None:
    """Checks that the members take no more memory than the file is long."""
    members = archive.infolist()
    # torch does not compress, and a small compressed file can take any memory.
    if any(m.compress_type != zipfile.ZIP_STORED for m in members):
        raise InputError(
            f"Expected an archive without compression in {path}, as torch writes it, "
            f"got a compressed one. {_REMEDY}"
        )
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise ValueError("its members are larger than the file")


def _check_elements(tensors: Iterable[torch_pickle.Tensor], *, limit: int) -> None:
    """Checks that the tensors, read one by one, take little more than the file.

    A stride of 0 repeats an element any number of times.
    """
    total = 0
    for tensor in tensors:
        dtype = np.dtype(_STORAGE_DTYPES[tensor.storage.dtype_name])
        n_bytes = math.prod(tensor.shape) * dtype.itemsize
        total += n_bytes
        if n_bytes > limit or total > _MAX_SHARING * limit:
            raise ValueError("tensors that are larger than the file")


def _read_storage(
    archive: zipfile.ZipFile,
    storage: torch_pickle.Storage,
    *,
    folder: str,
    held: dict[str, bytes],
) -> np.ndarray:
    dtype = np.dtype(_STORAGE_DTYPES[storage.dtype_name])
    member = archive.getinfo(f"{folder}data/{storage.key}")
    if member.file_size != storage.n_elements * dtype.itemsize:
        raise ValueError(f"{member.filename!a} has the wrong size")
    if storage.key not in held:
        held[storage.key] = archive.read(member)
    return np.frombuffer(held[storage.key], dtype)


def _view(storage: np.ndarray, tensor: torch_pickle.Tensor) -> np.ndarray:
    """Returns the tensor as a view, after checking that it lies inside `storage`."""
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, storage.dtype)
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in steps)
    smallest = min(tensor.offset, *tensor.shape, *tensor.strides, 0)
    # A damaged or malicious file could otherwise read memory outside the storage.
    if smallest < 0 or last >= storage.size:
        raise ValueError("a tensor reaches outside its storage")
    return np.lib.stride_tricks.as_strided(
        storage[tensor.offset :],
        tensor.shape,
        [stride * storage.itemsize for stride in tensor.strides],
        writeable=False,
    )

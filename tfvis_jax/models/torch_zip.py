"""Reads tensors from a `torch.save` file without torch and without running its code.

Since torch 1.6 such a file is a zip archive: `data.pkl` describes the tensors, and one
member per storage holds the bytes. A pickle can name any function to call, so this
module accepts only the few names that describe tensors and refuses all others.
"""

import collections
import functools
import pathlib
import pickle
import zipfile
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError

_REMEDY = (
    "If you trust the file, save the model again as safetensors with torch: "
    "`AutoModel.from_pretrained(folder).save_pretrained(new_folder)`."
)
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
            described = _Unpickler(archive, path=path).load()
            if not isinstance(described, dict) or not all(
                isinstance(tensor, _Tensor) for tensor in described.values()
            ):
                raise InputError(
                    f"Expected only named tensors (a state dict) in {path}, got other "
                    f"objects. {_REMEDY}"
                )
            storage = functools.cache(functools.partial(_read_storage, archive))
            return {
                str(name): _view(storage(tensor.storage), tensor)
                for name, tensor in described.items()
            }
    except InputError:
        raise
    # A damaged pickle can raise any exception.
    except Exception as error:
        raise InputError(
            f"{path} is damaged or truncated ({error}); download it again."
        ) from error


# Tuples, because a pickle cannot change their state after they are checked.
class _Storage(NamedTuple):
    dtype_name: str
    member: str
    n_elements: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Resolves tensors, storages and `OrderedDict`, and refuses other global names."""

    def __init__(self, archive: zipfile.ZipFile, *, path: pathlib.Path) -> None:
        members = archive.namelist()
        pickles = [name for name in members if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("no data.pkl")
        self._path = path
        self._folder = pickles[0].removesuffix("data.pkl")
        byte_order = self._folder + "byteorder"
        if byte_order in members and archive.read(byte_order) != b"little":
            raise InputError(
                f"Expected little-endian tensors in {path}, got big-endian. {_REMEDY}"
            )
        super().__init__(archive.open(pickles[0]))

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGE_DTYPES:
            return name
        # Bound methods and a C type, whose behaviour a pickle cannot alter.
        allowed = {
            "torch._utils._rebuild_tensor_v2": self._rebuild_tensor,
            "torch._utils._rebuild_parameter": self._rebuild_parameter,
            "collections.OrderedDict": collections.OrderedDict,
        }
        full_name = f"{module}.{name}"
        if full_name not in allowed:
            raise InputError(
                f"{self._path} requests {full_name}, which is not needed to describe "
                f"tensors and is not run. {_REMEDY}"
            )
        return allowed[full_name]

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype_name, key, _, n_elements = pid
        return _Storage(dtype_name, f"{self._folder}data/{key}", n_elements)

    def _rebuild_tensor(
        self,
        storage: _Storage,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        *_: object,
    ) -> _Tensor:
        return _Tensor(storage, offset, shape, strides)

    def _rebuild_parameter(self, tensor: _Tensor, *_: object) -> _Tensor:
        return tensor


def _read_storage(archive: zipfile.ZipFile, storage: _Storage) -> np.ndarray:
    dtype = np.dtype(_STORAGE_DTYPES[storage.dtype_name])
    member = archive.getinfo(storage.member)
    if member.file_size != storage.n_elements * dtype.itemsize:
        raise ValueError(f"{storage.member} has the wrong size")
    return np.frombuffer(archive.read(member), dtype)


def _view(storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
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

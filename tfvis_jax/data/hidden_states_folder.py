"""Stores hidden states on disk as one array over all windows, to train repeatedly.

about.json   model, text and layers; written last: if it is present, everything is
states/      zarr: [num_windows, n_layers, window_length, d_model], unscaled

Windows are grouped into files. A file is written as a whole and holds a checksum of
every window, so any window can be read alone and damage is detected.
"""

import math
import pathlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import tensorstore

from tfvis_jax import files, sites
from tfvis_jax import schema as schema_lib
from tfvis_jax.errors import InputError

DTYPES = ("float32", "bfloat16")
WINDOWS_PER_FILE = 128
# The schema keeps the name under which the first folders were written.
_SCHEMA = "tfvis-activations/1"


class _Schema(msgspec.Struct):
    schema: Any = None


class _About(msgspec.Struct):
    """What `describe` returns."""

    shape: Annotated[
        list[Annotated[int, msgspec.Meta(ge=1, lt=2**40)]],
        msgspec.Meta(min_length=4, max_length=4),
    ]
    layers: Annotated[list[schema_lib.Count], msgspec.Meta(min_length=1)]
    dtype: Literal["float32", "bfloat16"]
    model: schema_lib.Hash
    tokens: schema_lib.Hash
    # Not written for hidden states, which is all that the first folders held.
    site: Literal["hidden", "attention_out", "mlp_out"] = sites.HIDDEN


class StoredHiddenStates:
    """A complete folder of hidden states.

    Attributes:
      folder: where they are stored.
      layers: which hidden states these are; 0 is the embedding output.
      site: where in these layers they are taken, one of `sites.SITES`.
      dtype: name of the type in which they are stored.
      shape: [num_windows, n_layers, window_length, d_model].
    """

    def __init__(self, folder: pathlib.Path, about: _About) -> None:
        """Use `open`, which checks the folder."""
        self.folder = folder
        self.layers = tuple(about.layers)
        self.site: str = about.site
        self.dtype: str = about.dtype
        self.shape = tuple(about.shape)
        self._array = _open_array(folder, msgspec.structs.asdict(about), create=False)

    def read(self, windows: np.ndarray) -> np.ndarray:
        """Returns the hidden states of n windows.

        Args:
          windows: [n] window indices.

        Returns:
          [n, n_layers, window_length, d_model] float32.

        Raises:
          InputError: files are damaged or missing; the message names the first.
        """
        windows = np.asarray(windows)
        try:
            states = self._array[windows].read().result()
        except (ValueError, OSError) as error:
            # tensorstore does not say which file is damaged.
            numbers = np.unique(windows // WINDOWS_PER_FILE)
            bad = (n for n in numbers if not _is_whole(self._array, n))
            raise _damaged(_path(self.folder, next(bad, numbers[0]))) from error
        return np.asarray(states, np.float32)


class Writer:
    """Writes hidden states group by group; resumes an interrupted write."""

    def __init__(self, folder: pathlib.Path, about: dict[str, Any]) -> None:
        """Opens a folder for writing.

        Args:
          folder: where to write; created if absent.
          about: from `describe`.

        Raises:
          InputError: the folder holds other hidden states.
        """
        self._folder, self._about = folder, about
        folder.mkdir(parents=True, exist_ok=True)
        begun = folder / "begun.json"
        if not begun.is_file():
            files.write_json(begun, about)
        elif files.read_json(begun) != about:
            raise InputError(
                f"{folder} holds hidden states of another model, text, layers, site or "
                "type; remove it, or choose another folder."
            )
        try:
            self._array = _open_array(folder, about, create=True)
        except InputError:
            # begun.json matches, so only the description of the array is damaged.
            _zarr(folder).unlink(missing_ok=True)
            self._array = _open_array(folder, about, create=True)

    def groups(self, *, process_index: int, process_count: int) -> Iterator[np.ndarray]:
        """Yields the window indices of each file that this process writes."""
        num_windows = self._about["shape"][0]
        num_files = math.ceil(num_windows / WINDOWS_PER_FILE)
        for number in range(process_index, num_files, process_count):
            first = number * WINDOWS_PER_FILE
            yield np.arange(first, min(first + WINDOWS_PER_FILE, num_windows))

    def has(self, windows: np.ndarray) -> bool:
        """Returns whether the file of one of the `groups` is intact, by reading it."""
        return _is_whole(self._array, int(windows[0]) // WINDOWS_PER_FILE)

    def write(self, windows: np.ndarray, states: np.ndarray) -> None:
        """Writes the hidden states of the windows of one file.

        Args:
          windows: [n] window indices, from `groups`.
          states: [n, n_layers, window_length, d_model].

        Raises:
          InputError: the disk is full.
        """
        kind = self._array.dtype.numpy_dtype
        first, stop = int(windows[0]), int(windows[-1]) + 1
        # A damaged file cannot be overwritten.
        _path(self._folder, first // WINDOWS_PER_FILE).unlink(missing_ok=True)
        try:
            self._array[first:stop].write(states.astype(kind)).result()
        except ValueError as error:
            if files.is_disk_full(error):
                raise files.no_space(self._folder) from error
            raise

    def finish(self) -> None:
        """Marks the folder as complete."""
        files.write_json(self._folder / "about.json", self._about)


def describe(
    *,
    shape: tuple[int, int, int, int],
    layers: tuple[int, ...],
    dtype: str,
    model: str,
    tokens: str,
    site: str = sites.HIDDEN,
) -> dict[str, Any]:
    """Returns the description of hidden states that is stored with them.

    Args:
      shape: [num_windows, n_layers, window_length, d_model].
      layers: which hidden states; 0 is the embedding output.
      dtype: one of `DTYPES`.
      model: checksum of the weights.
      tokens: checksum of the windows' tokens.
      site: where in these layers, one of `sites.SITES`.

    Raises:
      InputError: ``dtype`` is not one of `DTYPES`.
    """
    if dtype not in DTYPES:
        raise InputError(f"Expected one of the types {DTYPES}, got {dtype!r}.")
    about = {
        "schema": _SCHEMA,
        "shape": list(shape),
        "layers": list(layers),
        "dtype": dtype,
        "model": model,
        "tokens": tokens,
    }
    return about if site == sites.HIDDEN else about | {"site": site}


def open(folder: pathlib.Path, *, model: str, tokens: str) -> StoredHiddenStates:
    """Opens the hidden states of given windows in a given model.

    Args:
      folder: written by `Writer`.
      model: checksum of the weights.
      tokens: checksum of the windows' tokens.

    Raises:
      InputError: they are incomplete or damaged, or belong to another model or text.
    """
    if not (folder / "about.json").is_file():
        raise InputError(
            f"{folder} holds no complete hidden states; `tfvis hidden_states RUN` "
            "writes them, or resumes."
        )
    path = folder / "about.json"
    remedy = "`tfvis hidden_states RUN` writes it again and keeps the others."
    schema = schema_lib.read(path, _Schema, remedy=remedy).schema
    if schema != _SCHEMA:
        raise InputError(
            f"Expected hidden states of schema {_SCHEMA} in {folder}, got "
            f"{schema_lib.short(schema)}; remove the folder and write them again."
        )
    about = schema_lib.read(path, _About, remedy=remedy)
    if about.shape[1] != len(about.layers):
        raise schema_lib.damaged(
            path,
            f"Expected {about.shape[1]} layers, as in its shape, got {about.layers}",
            remedy=remedy,
        )
    for name, ours in (("model", model), ("tokens", tokens)):
        if getattr(about, name) != ours:
            what = {
                "model": "another model, or one with another --dtype",
                "tokens": "other text or windows",
            }[name]
            raise InputError(
                f"The hidden states in {folder} belong to {what}; write new ones to "
                "another folder."
            )
    return StoredHiddenStates(folder, about)


def _open_array(
    folder: pathlib.Path, about: dict[str, Any], *, create: bool
) -> tensorstore.TensorStore:
    shape = about["shape"]
    spec: dict[str, Any] = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": str(folder / "states")},
        # By default, missing data reads as zeros, and zeros are not written.
        "fill_missing_data_reads": False,
        "store_data_equal_to_fill_value": True,
    }
    if create:
        spec["metadata"] = {
            "shape": shape,
            "data_type": about["dtype"],
            "chunk_grid": _grid(WINDOWS_PER_FILE, shape),
            "codecs": [
                {
                    "name": "sharding_indexed",
                    "configuration": {
                        # One chunk per window, so that any window is read alone.
                        "chunk_shape": [1, *shape[1:]],
                        "codecs": [
                            {"name": "bytes", "configuration": {"endian": "little"}},
                            {"name": "crc32c"},
                        ],
                    },
                }
            ],
        }
    try:
        array = tensorstore.open(spec, create=create, open=True).result()
    # Damage of the description ends in more than one kind of error.
    except Exception as error:
        if files.is_disk_full(error):
            raise files.no_space(folder) from error
        raise _damaged(_zarr(folder)) from error
    grid = _grid(WINDOWS_PER_FILE, shape)["configuration"]["chunk_shape"]
    found = (
        list(array.shape),
        array.dtype.name,
        list(array.chunk_layout.write_chunk.shape or ()),
    )
    if found != (list(shape), about["dtype"], grid):
        raise _damaged(_zarr(folder))
    return array


def _is_whole(array: tensorstore.TensorStore, number: int) -> bool:
    """Returns whether every window of a file matches its checksum."""
    first = int(number) * WINDOWS_PER_FILE
    try:
        array[first : min(first + WINDOWS_PER_FILE, array.shape[0])].read().result()
    except (ValueError, OSError):
        return False
    return True


def _path(folder: pathlib.Path, number: int) -> pathlib.Path:
    return folder / "states" / "c" / str(number) / "0" / "0" / "0"


def _zarr(folder: pathlib.Path) -> pathlib.Path:
    return folder / "states" / "zarr.json"


def _damaged(path: pathlib.Path) -> InputError:
    what = "is damaged" if path.is_file() else "is missing"
    return InputError(
        f"The file {path} of the stored hidden states {what}; "
        "`tfvis hidden_states RUN` writes it again and keeps the others."
    )


def _grid(windows: int, shape: list[int]) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": [windows, *shape[1:]]}}

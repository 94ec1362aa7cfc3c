"""Where in the corpus each factor fires most, per layer, and how often it fires.

One pass over all windows in order. Stored are references (window, position, α); words
and contexts are read from the windows when they are shown.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from tfvis_jax import files
from tfvis_jax.analysis import top_lists
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.training import dictionary_file, encoding, setup

SCHEMA = "tfvis-examples/1"
_ARRAYS = ("activation", "window", "position", "firing")


@dataclasses.dataclass(frozen=True)
class Examples:
    """What fires each factor, over the whole corpus.

    Attributes:
      layers: the dictionary's layers.
      activation: [n_layers, n_factors, n] float32, falling; 0 where fewer fired.
      window: [n_layers, n_factors, n] int32, −1 where fewer fired.
      position: [n_layers, n_factors, n] int32, token in the window; −1 likewise.
      firing: [n_layers, n_factors] int64, tokens on which the factor fires.
      n_tokens: tokens that were encoded, the same for every layer.
      dictionary_hash: `content_hash` of the dictionary that they belong to.
    """

    layers: tuple[int, ...]
    activation: np.ndarray
    window: np.ndarray
    position: np.ndarray
    firing: np.ndarray
    n_tokens: int
    dictionary_hash: str

    @property
    def density(self) -> np.ndarray:
        """Fraction of tokens on which a factor fires, [n_layers, n_factors]."""
        return self.firing / max(self.n_tokens, 1)


def collect(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    windows: windows_lib.Windows,
    *,
    n: int,
    progress: Callable[[int, int], None],
) -> Examples:
    """Encodes every window of the corpus and keeps each factor's n best tokens.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens, training and held-out alike.
      n: examples per layer and factor.
      progress: called with (windows done, windows in all).
    """
    n_layers, n_factors = len(trained.layers), len(trained.factors)
    lists = [top_lists.TopLists(n_factors=n_factors, n=n) for _ in trained.layers]
    firing = np.zeros((n_layers, n_factors), np.int64)
    n_tokens = done = 0
    everything = np.arange(len(windows))
    for batch, layers in encoding.encode_windows(opened, trained, windows, everything):
        places = batch.window_ids.astype(np.int64)[:, None] * windows.window_length
        places = (places + np.arange(windows.window_length)).reshape(-1)
        valid = batch.row_mask.reshape(-1)
        for index, rows in enumerate(layers):
            codes = np.asarray(rows.codes)[valid]
            lists[index].add(codes, places[valid])
            firing[index] += np.count_nonzero(codes, axis=0)
        n_tokens += int(valid.sum())
        done += int(np.sum(batch.window_ids >= 0))
        progress(done, len(windows))
    activation, place = (
        np.stack(arrays)
        for arrays in zip(*(top.finish() for top in lists), strict=True)
    )
    window, position = np.divmod(place, windows.window_length)
    return Examples(
        layers=trained.layers,
        activation=activation,
        window=window.astype(np.int32),
        position=np.where(place < 0, -1, position).astype(np.int32),
        firing=firing,
        n_tokens=n_tokens,
        dictionary_hash=trained.content_hash,
    )


def save(folder: pathlib.Path, examples: Examples) -> None:
    """Writes the examples; older ones stay until the new ones are whole.

    Schema `tfvis-examples/1`: one .npy file for each array of `Examples`, under its
    name, and `index.json` with `schema`, `layers`, `n_tokens` and `dictionary_hash`.
    """
    with files.whole_folder(folder) as partial:
        for name in _ARRAYS:
            np.save(partial / f"{name}.npy", getattr(examples, name))
        files.write_json(
            partial / "index.json",
            {
                "schema": SCHEMA,
                "layers": list(examples.layers),
                "n_tokens": examples.n_tokens,
                "dictionary_hash": examples.dictionary_hash,
            },
        )


def load(folder: pathlib.Path, trained: dictionary_file.TrainedDictionary) -> Examples:
    """Reads the examples, memory-mapped.

    Raises:
      InputError: they are missing, not whole, of another schema, or belong to another
        dictionary than ``trained``.
    """
    again = f"`tfvis examples {folder.parent}` computes them"
    if not (folder / "index.json").is_file():
        raise InputError(f"There are no examples in {folder} yet; {again}.")
    index = files.read_json(folder / "index.json")
    if index.get("schema") != SCHEMA:
        raise InputError(
            f"Expected examples of schema {SCHEMA} in {folder}, got "
            f"{index.get('schema')}; {again} anew."
        )
    if index.get("dictionary_hash") != trained.content_hash:
        raise InputError(
            f"The examples in {folder} belong to another dictionary; {again} anew."
        )
    try:
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in _ARRAYS
        }
    except (OSError, ValueError) as error:
        raise InputError(
            f"The examples in {folder} are damaged ({error}); {again} anew."
        ) from error
    return Examples(
        layers=tuple(index["layers"]),
        n_tokens=index["n_tokens"],
        dictionary_hash=index["dictionary_hash"],
        **arrays,
    )

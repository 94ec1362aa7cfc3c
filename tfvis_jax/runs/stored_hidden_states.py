"""Stores and opens the hidden states of a run (`data.hidden_states_folder`)."""

import hashlib
import json
import math
import pathlib
from collections.abc import Callable

import jax
import numpy as np

from tfvis_jax import sharding
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import hidden_states_folder, loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import setup


def fill(
    folder: pathlib.Path,
    opened: setup.Setup,
    windows: windows_lib.Windows,
    *,
    dtype: str,
    progress: Callable[[int, int], None],
    mesh: jax.sharding.Mesh | None = None,
) -> None:
    """Writes the hidden states of all windows; resumes where it was interrupted.

    Several processes share the files, and the devices of each share its windows. Files
    that exist are read, and damaged ones are written again.

    Args:
      folder: to write to.
      opened: model and layers.
      windows: tokens of the corpus.
      dtype: one of `hidden_states_folder.DTYPES`.
      progress: called with (windows done, windows in all), of this process.
      mesh: devices to use, of all processes; this process's first one if None.
    """
    layers = opened.layers
    length, d_model = windows.window_length, opened.pretrained.config.d_model
    about = hidden_states_folder.describe(
        shape=(len(windows), len(layers), length, d_model),
        layers=layers,
        dtype=dtype,
        model=setup.weights_hash(opened.pretrained),
        tokens=windows_hash(windows),
        site=opened.config.site,
    )
    with sharding.first_process_first("stored hidden states"):
        writer = hidden_states_folder.Writer(folder, about)
    groups = list(
        writer.groups(
            process_index=jax.process_index(), process_count=jax.process_count()
        )
    )
    encode = _encoder(opened, windows, mesh=sharding.of_this_process(mesh))
    done, total = 0, sum(map(len, groups))
    progress(done, total)
    for group in groups:
        if not writer.has(group):
            states = encode(group)
            _check_finite(states, layers=layers)
            writer.write(group, states)
        done += len(group)
        progress(done, total)
    sharding.wait_for_all("hidden states")
    if sharding.is_first_process():
        writer.finish()
    sharding.wait_for_all("all hidden states")


def _encoder(
    opened: setup.Setup, windows: windows_lib.Windows, *, mesh: jax.sharding.Mesh
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from windows [n] to hidden states [n, layers, length, d]."""
    layers, num_devices = opened.layers, mesh.size
    # Every device takes as many.
    size = math.ceil(opened.config.windows_per_batch / num_devices) * num_devices
    encoder = sharding.place(mesh, opened.pretrained.encoder, jax.P())
    scale = np.ones(len(layers), np.float32)

    def encode(chosen: np.ndarray) -> np.ndarray:
        states = []
        for batch in loader.batches(windows, chosen, batch_size=size, shuffle=False):
            token_ids, token_mask = sharding.place_rows(
                mesh, (batch.token_ids, batch.token_mask), size=size
            )
            with jax.set_mesh(mesh):
                found = hidden_states_lib.scaled_hidden_states(
                    encoder, token_ids, token_mask, scale, layers=layers
                )
            states.append(np.moveaxis(np.asarray(found), 0, 1)[batch.window_ids >= 0])
        return np.concatenate(states)

    return encode


def open_for(
    folder: pathlib.Path, opened: setup.Setup, windows: windows_lib.Windows
) -> hidden_states_folder.StoredHiddenStates:
    """Opens hidden states for a run.

    Raises:
      InputError: they are of another model, text, layers or site.
    """
    found = hidden_states_folder.open(
        folder,
        model=setup.weights_hash(opened.pretrained),
        tokens=windows_hash(windows),
    )
    if found.layers != opened.layers:
        raise InputError(
            f"Expected the hidden states of layers {list(opened.layers)}; {folder} has "
            f"those of {list(found.layers)}."
        )
    if found.site != opened.config.site:
        raise InputError(
            f"Expected rows of the run's site, {opened.config.site}; {folder} has "
            f"those of {found.site}. Write new ones to another folder."
        )
    return found


def windows_hash(windows: windows_lib.Windows) -> str:
    """Returns a checksum of what decides all tokens: inputs, tokeniser, settings."""
    text = json.dumps([windows.index["settings"], len(windows)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_finite(states: np.ndarray, *, layers: tuple[int, ...]) -> None:
    for number, layer in enumerate(layers):
        if not np.isfinite(states[:, number]).all():
            raise InputError(
                f"Hidden states of layer {layer} are not finite (NaN or infinity). "
                "Try another --dtype or model."
            )

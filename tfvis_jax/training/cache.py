"""Fills and opens the hidden states of a run on disk (`data.activations`)."""

import hashlib
import json
import pathlib
from collections.abc import Callable

import jax
import numpy as np

from tfvis_jax import sharding
from tfvis_jax.data import activations, loader
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.training import setup


def fill(
    folder: pathlib.Path,
    opened: setup.Setup,
    windows: windows_lib.Windows,
    *,
    dtype: str,
    progress: Callable[[int, int], None],
) -> None:
    """Writes the hidden states of all windows; goes on where it was interrupted.

    Several processes share the files; each runs the encoder on its first device.

    Args:
      folder: where to.
      opened: model and layers.
      windows: tokens of the corpus.
      dtype: one of `activations.DTYPES`.
      progress: called with (windows done, windows in all), of this process.
    """
    layers = opened.layers
    length, d_model = windows.window_length, opened.pretrained.config.d_model
    about = activations.describe(
        shape=(len(windows), len(layers), length, d_model),
        layers=layers,
        dtype=dtype,
        model=setup.weights_hash(opened.pretrained),
        tokens=windows_hash(windows),
    )
    writer = activations.Writer(folder, about)
    share = {
        "process_index": jax.process_index(),
        "process_count": jax.process_count(),
    }
    groups = list(writer.missing(**share))
    total = sum(map(len, groups))
    done = 0
    progress(done, total)
    for group in groups:
        states = []
        for batch in loader.batches(
            windows, group, batch_size=opened.config.windows_per_batch, shuffle=False
        ):
            found = hidden_states_lib.scaled_hidden_states(
                opened.pretrained.encoder,
                batch.token_ids,
                batch.token_mask,
                np.ones(len(layers), np.float32),
                layers=layers,
            )
            real = np.moveaxis(np.asarray(found), 0, 1)[batch.window_ids >= 0]
            _check_finite(real, layers=layers)
            states.append(real)
        writer.write(group, np.concatenate(states))
        done += len(group)
        progress(done, total)
    sharding.wait_for_all("hidden states")
    if sharding.is_first_process():
        writer.finish()
    sharding.wait_for_all("all hidden states")


def open_for(
    folder: pathlib.Path, opened: setup.Setup, windows: windows_lib.Windows
) -> activations.Activations:
    """Opens hidden states for a run.

    Raises:
      InputError: they are of another model, text or layers.
    """
    found = activations.open(
        folder,
        model=setup.weights_hash(opened.pretrained),
        tokens=windows_hash(windows),
    )
    if found.layers != opened.layers:
        raise InputError(
            f"Expected the hidden states of layers {list(opened.layers)}, {folder} has "
            f"{list(found.layers)}."
        )
    return found


def windows_hash(windows: windows_lib.Windows) -> str:
    """Returns a checksum of what decides all tokens: inputs, tokeniser, settings."""
    text = json.dumps([windows.index["settings"], len(windows)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_finite(states, *, layers):
    for number, layer in enumerate(layers):
        if not np.isfinite(states[:, number]).all():
            raise InputError(
                f"Hidden states of layer {layer} are not finite (NaN or infinity). "
                "Another --dtype or model may help."
            )

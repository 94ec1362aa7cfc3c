"""Codes of all windows in order, a batch on each device; bit for bit as on one device.

Every device runs the same program on batches of the same shape, and none waits for the
rows of another: a row's code does not depend on how many devices there are.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import dictionary_file, encoding, setup


class EncodedLayer(NamedTuple):
    """One layer of a batch of windows; rows are tokens in reading order.

    Attributes:
      batch: the windows.
      codes: [batch * length, n_factors] float32.
      norms: [batch * length] float32, ‖x‖ of the scaled hidden states.
    """

    batch: loader.Batch
    codes: np.ndarray
    norms: np.ndarray


def encode(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    windows: windows_lib.Windows,
    chosen: np.ndarray,
    *,
    devices: Sequence[jax.Device],
) -> Iterator[tuple[int, list[EncodedLayer]]]:
    """Encodes windows in order; the next layer is computed while one is looked at.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      windows: its tokens.
      chosen: [n] window numbers.
      devices: of this process; each takes a batch.

    Yields:
      Place of the layer among the layers, and that layer of as many batches as there
      are devices. All layers of these batches come before the next.

    Raises:
      InputError: hidden states that are not finite; names layer and windows.
    """
    mesh = jax.make_mesh((len(devices),), (sharding.DATA,), devices=devices)
    shared = jax.NamedSharding(mesh, jax.P())
    encoder, dictionary, scale = jax.device_put(
        (opened.pretrained.encoder, trained.factors, trained.layer_scale), shared
    )
    solver = trained.solver(opened.config.solver)
    states_of, encode_layer = _programs(mesh, layers=trained.layers, solver=solver)
    batches = loader.batches(
        windows, chosen, batch_size=opened.config.windows_per_batch, shuffle=False
    )
    waiting: list[tuple] = []
    while group := list(itertools.islice(batches, len(devices))):
        ids, token_mask, row_mask = (
            _stack(mesh, [getattr(batch, name) for batch in group])
            for name in ("token_ids", "token_mask", "row_mask")
        )
        states = states_of(encoder, scale, ids, token_mask)
        for index in range(len(trained.layers)):
            rows = encode_layer(dictionary, states[index], row_mask)
            for found in waiting:
                yield _fetch(*found, layers=trained.layers)
            waiting = [(index, group, rows)]
    for found in waiting:
        yield _fetch(*found, layers=trained.layers)


@functools.lru_cache(maxsize=4)
def _programs(
    mesh: jax.sharding.Mesh,
    *,
    layers: tuple[int, ...],
    solver: config_lib.SolverConfig,
):
    """Returns the two programs, compiled once for all calls."""

    def states_of(encoder, scale, token_ids, token_mask):
        states = hidden_states_lib.scaled_hidden_states(
            encoder, token_ids, token_mask, scale, layers=layers
        )
        return tuple(states)

    def encode_layer(dictionary, states, row_mask):
        rows = encoding.encode_layer(states, row_mask, dictionary, solver=solver)
        return rows.codes, jnp.linalg.norm(rows.x, axis=-1), rows.gap

    return (
        _on_each(mesh, states_of, n_shared=2),
        _on_each(mesh, encode_layer, n_shared=1),
    )


def _on_each(mesh, work, *, n_shared):
    """Runs work on each device's own batch; the first arguments all devices share."""

    def on_one(*arguments):
        own = [array[0] for array in arguments[n_shared:]]
        result = work(*arguments[:n_shared], *own)
        return jax.tree.map(lambda array: array[None], result)

    split = jax.P(sharding.DATA)

    def on_all(*arguments):
        specs = [jax.P()] * n_shared + [split] * (len(arguments) - n_shared)
        return jax.shard_map(on_one, mesh=mesh, in_specs=tuple(specs), out_specs=split)(
            *arguments
        )

    return jax.jit(on_all)


def _stack(mesh, arrays):
    """Puts one array on each device; empty windows where there are fewer."""
    missing = mesh.size - len(arrays)
    stacked = np.stack([*arrays, *[np.zeros_like(arrays[0])] * missing])
    return jax.device_put(stacked, jax.NamedSharding(mesh, jax.P(sharding.DATA)))


def _fetch(index, group, rows, *, layers):
    codes, norms, gap = (np.asarray(array) for array in rows)
    for batch, found in zip(group, gap, strict=False):
        # One row's certificate is a number unless its hidden state is none.
        finite = np.isfinite(found).reshape(batch.row_mask.shape).all(axis=1)
        if not finite.all():
            raise InputError(
                f"Hidden states of layer {layers[index]} are not finite (NaN or "
                f"infinity) in windows {batch.window_ids[~finite].tolist()} of the "
                "run's tokens. Another --dtype or model may help."
            )
    return index, [
        EncodedLayer(batch, codes[place], norms[place])
        for place, batch in enumerate(group)
    ]

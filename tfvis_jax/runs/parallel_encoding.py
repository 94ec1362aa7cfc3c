"""Encode windows in order, one batch per device: the pass over any text.

Every device runs the same program on batches of the same shape and solves only its own
rows. The codes are therefore bit for bit those of a single device.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import kept_programs, sharding
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.learning import whitening
from tfvis_jax.models import encoder as encoder_lib
from tfvis_jax.runs import coder as coder_lib
from tfvis_jax.runs import encoding, setup, trained_dictionary

Devices = sharding.Devices
_Program = Callable[..., Any]


class PlacedLayer(NamedTuple):
    """The codes of a batch of windows a device at one layer, where they were computed.

    Attributes:
      number: index of the layer, among those of the dictionary.
      batches: up to one a device; the last devices may have empty windows.
      codes: [devices, batch * length, n_factors] float32.
      norms: [devices, batch * length] float32, as of `EncodedLayer`.
      gap: [devices, batch * length] float32, likewise.
      x: [devices, batch * length, d_model] float32.
      residual: likewise; None unless asked for.
    """

    number: int
    batches: list[loader.Batch]
    codes: jax.Array
    norms: jax.Array
    gap: jax.Array
    x: jax.Array
    residual: jax.Array | None = None


class EncodedLayer(NamedTuple):
    """The codes of a batch of windows at one layer; rows are tokens in reading order.

    Attributes:
      batch: the batch of windows.
      codes: [batch * length, n_factors] float32.
      norms: [batch * length] float32, ‖x‖ of the whitened, scaled hidden states.
      gap: [batch * length] float32, relative duality gaps; NaN where an encoder found
        the codes.
      x: [batch * length, d_model] float32, whitened and scaled hidden states; None
        unless asked for.
      residual: [batch * length, d_model] float32, x − αD; None unless asked for.
    """

    batch: loader.Batch
    codes: np.ndarray
    norms: np.ndarray
    gap: np.ndarray
    x: np.ndarray | None = None
    residual: np.ndarray | None = None


def encode(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    chosen: np.ndarray,
    *,
    devices: Devices,
    with_special: bool = False,
    with_x: bool = False,
    with_residual: bool = False,
) -> Iterator[tuple[int, list[EncodedLayer]]]:
    """Encodes windows in order; computes the next layer while the caller reads one.

    Args:
      opened: model and settings of the run.
      trained: dictionary of the run.
      windows: token windows, of the run or of another text.
      chosen: [n] indices of the windows to encode.
      devices: devices of this process; each encodes one batch at a time.
      with_special: If True, also encode the special tokens around a text.
      with_x: If True, also return the hidden states.
      with_residual: If True, also return what the codes leave of them.

    Yields:
      The index of a layer and the codes at that layer of up to ``len(devices)``
      batches. All layers of these batches come before the next batches.

    Raises:
      InputError: if hidden states are not finite; names the layer and the windows.
    """
    for layer in encode_in_place(
        opened,
        trained,
        windows,
        chosen,
        devices=devices,
        with_special=with_special,
        with_residual=with_residual,
    ):
        yield layer.number, _fetch(layer, with_x=with_x)


def encode_in_place(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    chosen: np.ndarray,
    *,
    devices: Devices,
    with_special: bool = False,
    with_residual: bool = False,
) -> Iterator[PlacedLayer]:
    """Does what `encode` does, and leaves the codes on the devices.

    Args:
      opened: model and settings of the run.
      trained: dictionary of the run.
      windows: token windows, of the run or of another text.
      chosen: [n] indices of the windows to encode.
      devices: devices of this process; each encodes one batch at a time.
      with_special: If True, also encode the special tokens around a text.
      with_residual: If True, also return what the codes leave of the hidden states.

    Yields:
      Layers of up to ``len(devices)`` batches; all layers of these batches come before
      the next batches.

    Raises:
      InputError: if hidden states are not finite; names the layer and the windows.
    """
    mesh = sharding.side_by_side(devices)
    # Copied to every device once, not with every batch.
    encoder, coder, scaling = sharding.place_copies(
        mesh,
        (
            opened.pretrained.encoder,
            trained.coder(opened.config.solver),
            trained.scaling,
        ),
    )
    states_of = _states_program(mesh, layers=trained.layers)
    encode_layer = _layer_program(mesh, with_residual=with_residual)
    batches = loader.batches(
        windows, chosen, batch_size=opened.config.windows_per_batch, shuffle=False
    )
    # JAX dispatches asynchronously: each layer is handed out after the next was
    # started.
    waiting: list[PlacedLayer] = []
    while group := list(itertools.islice(batches, len(devices))):
        ids, token_mask, row_mask = (
            _stack(mesh, [getattr(batch, name) for batch in group])
            for name in ("token_ids", "token_mask", "row_mask")
        )
        if with_special:
            row_mask = token_mask
        states = states_of(encoder, scaling, ids, token_mask)
        for index in range(len(trained.layers)):
            rows = encode_layer(coder, states[index], row_mask)
            for found in waiting:
                _check_finite(found, layers=trained.layers)
                yield found
            waiting = [PlacedLayer(index, group, *rows)]
    for found in waiting:
        _check_finite(found, layers=trained.layers)
        yield found


def row_encoder(
    trained: trained_dictionary.TrainedDictionary,
    solver: config_lib.SolverConfig,
    *,
    devices: Devices,
) -> Callable[..., jax.Array]:
    """Returns a function that finds the codes of rows that somebody else has made.

    It runs the program of `encode`, and compiles no other for rows of the same number.

    Args:
      trained: dictionary of the run.
      solver: settings of the run's solver.
      devices: devices of this process; each encodes its own rows.

    Returns:
      From states [devices, batch, length, d_model], whitened and scaled, and the mask
      [devices, batch, length] of those that are wanted, to codes
      [devices, batch * length, n_factors].
    """
    mesh = sharding.side_by_side(devices)
    coder = sharding.place_copies(mesh, trained.coder(solver))
    encode_layer = _layer_program(mesh, with_residual=False)

    def encode_rows(states: jax.Array | np.ndarray, mask: np.ndarray) -> jax.Array:
        # What lies there already is not copied.
        placed = sharding.place_apart(mesh, states), sharding.place_apart(mesh, mask)
        return encode_layer(coder, *placed)[0]

    return encode_rows


# Cached, because these are closures, and jit compiles each new function object.
@functools.lru_cache(maxsize=4)
def _states_program(mesh: jax.sharding.Mesh, *, layers: tuple[int, ...]) -> _Program:
    """Returns the model as a jitted program, cached across calls."""

    def states_of(
        encoder: encoder_lib.Encoder,
        scaling: whitening.Scaling,
        token_ids: jax.Array,
        token_mask: jax.Array,
    ) -> tuple[jax.Array, ...]:
        states = hidden_states_lib.scaled_hidden_states(
            encoder, token_ids, token_mask, *scaling, layers=layers
        )
        return tuple(states)

    return sharding.on_each(mesh, states_of, n_shared=2)


@functools.lru_cache(maxsize=4)
def _layer_program(mesh: jax.sharding.Mesh, *, with_residual: bool) -> _Program:
    """Returns the coder as a jitted program, cached across calls."""

    def encode_layer(
        coder: coder_lib.Coder, states: jax.Array, row_mask: jax.Array
    ) -> tuple[jax.Array, ...]:
        rows = encoding.encode_layer(states, row_mask, coder)
        # Whoever wants x runs the program of those who do not: compiling another takes
        # longer than handing out an array that is there.
        norms = jnp.linalg.norm(rows.x, axis=-1)
        found = rows.codes, norms, rows.gap, rows.x
        return (*found, rows.residual) if with_residual else found

    return kept_programs.Kept(
        sharding.on_each(mesh, encode_layer, n_shared=1),
        name="encode_layer_on_each" + ("_with_residual" if with_residual else ""),
    )


def _stack(mesh: jax.sharding.Mesh, arrays: Sequence[np.ndarray]) -> jax.Array:
    """Puts one array on each device; devices without a batch get empty windows."""
    missing = mesh.size - len(arrays)
    return sharding.place_apart(
        mesh, np.stack([*arrays, *[np.zeros_like(arrays[0])] * missing])
    )


def _check_finite(layer: PlacedLayer, *, layers: tuple[int, ...]) -> None:
    """Raises InputError where hidden states of a layer are not finite."""
    # Not strict: the last group may have fewer batches than there are devices.
    for batch, norms in zip(layer.batches, np.asarray(layer.norms), strict=False):
        # The norm of a row is finite if and only if its hidden state is.
        finite = np.isfinite(norms).reshape(batch.row_mask.shape).all(axis=1)
        if not finite.all():
            raise InputError(
                f"Hidden states of layer {layers[layer.number]} are not finite (NaN or "
                f"infinity) in windows {batch.window_ids[~finite].tolist()} of the "
                "text. Another --dtype or model may help."
            )


def _fetch(layer: PlacedLayer, *, with_x: bool) -> list[EncodedLayer]:
    """Copies one layer to the host."""
    wanted = {"codes": layer.codes, "norms": layer.norms, "gap": layer.gap}
    if with_x:
        wanted["x"] = layer.x
    if layer.residual is not None:
        wanted["residual"] = layer.residual
    # Not of devices that had no batch.
    arrays = {
        name: sharding.shares(array, n=len(layer.batches))
        for name, array in wanted.items()
    }
    return [
        EncodedLayer(batch, **{name: array[place] for name, array in arrays.items()})
        for place, batch in enumerate(layer.batches)
    ]

"""Initialises training: measures the layers' moments and chooses first factors."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from tfvis_jax import sharding
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import loader
from tfvis_jax.learning import first_state
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.models import encoder as encoder_lib
from tfvis_jax.runs import setup
from tfvis_jax.training import metrics_log

# Minimum number of batches on which the layers are measured.
_MIN_BATCHES = 4


def initial_state(
    opened: setup.Setup,
    batches: Iterator[loader.Batch],
    *,
    encoder: encoder_lib.Encoder,
    mesh: jax.sharding.Mesh,
) -> state_lib.TrainState:
    """Returns the state before the first step.

    Args:
      opened: model, layers and settings.
      batches: the windows in training order; every process reads the same first few,
        whole.
      encoder: the model, placed on the mesh.
      mesh: where to place the state, split by `state.partition`. Up to rounding, its
        values do not depend on the mesh.

    Raises:
      InputError: the model returns hidden states that are not finite.
    """
    config = opened.config
    x, layer, scale, whitening, key = _sample(
        opened, batches, encoder=encoder, mesh=mesh
    )
    if not config.layer_scale:
        scale = np.ones_like(scale)
    if whitening is not None:
        x = (x - whitening.mean[layer]) @ whitening.matrix
    return first_state.from_sample(
        x / scale[layer][:, None],
        scale,
        solver=config.solver.of_training,
        dictionary=config.dictionary,
        sparsity=config.sparsity,
        key=key,
        whitening=whitening,
        mesh=mesh,
    )


class _Sample(NamedTuple):
    """What the first state is made of.

    Attributes:
      x: [n, d_model], rows as the encoder gives them.
      layer: [n], the index of each row's layer.
      scale: [n_layers] float32.
      whitening: None without one.
      key: decides which rows become factors.
    """

    x: np.ndarray
    layer: np.ndarray
    scale: np.ndarray
    whitening: whitening_lib.Whitening | None
    key: jax.Array


@jax.jit
def _measured(
    seed: jax.Array, index: jax.Array, hidden_states: jax.Array, row_mask: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns Σ ‖x‖² by layer, all rows in random order, and the dictionary's key."""
    # Training draws from stream 0 of the seed.
    key_rows, key = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1))
    n_layers = len(hidden_states)
    [order] = hidden_states_lib.shuffle_rows(
        jax.random.fold_in(key_rows, index),
        row_mask,
        num_parts=1,
        n_layers=n_layers,
        n_selected=n_layers * row_mask.size,
    )
    return hidden_states_lib.sum_squared_norms(hidden_states, row_mask), order, key


def _sample(
    opened: setup.Setup,
    batches: Iterator[loader.Batch],
    *,
    encoder: encoder_lib.Encoder,
    mesh: jax.sharding.Mesh,
) -> _Sample:
    """Measures the first batches and draws rows from them."""
    n_layers, row_fraction = len(opened.layers), opened.config.row_fraction
    strength = opened.config.whitening
    total, products = np.zeros(()), np.zeros(())
    squared_norms, n_tokens = np.zeros(n_layers), 0
    # Every batch gives the same key, which is made with it to save a program.
    rows, layers, keys, n_rows = [], [], [], 0
    for index, batch in enumerate(batches):
        hidden_states = _unscaled(opened, batch, encoder=encoder, mesh=mesh)
        norms, order, key = _measured(
            np.uint32(opened.config.seed),
            np.uint32(index),
            hidden_states,
            batch.row_mask,
        )
        norms = np.asarray(norms)
        keys.append(key)
        metrics_log.check_hidden_states(
            float(np.sum(norms)),
            batch=index + 1,
            window_ids=batch.window_ids,
        )
        squared_norms += norms
        n_tokens += int(batch.row_mask.sum())
        if strength:
            sums = whitening_lib.moments(hidden_states, batch.row_mask)
            total, products = (
                a + np.float64(b) for a, b in zip((total, products), sums, strict=True)
            )
        # The same fraction of rows as in training.
        n_chosen = math.ceil(int(batch.row_mask.sum()) * n_layers * row_fraction)
        # On the host: on the device, each number of rows would be a program.
        chosen = np.asarray(order)[:n_chosen]
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        rows.append(flat[chosen])
        layers.append(chosen // batch.token_ids.size)
        n_rows += len(chosen)
        if n_rows >= opened.config.dictionary.n_factors and index + 1 >= _MIN_BATCHES:
            break
    scale, whitening = np.sqrt(squared_norms / max(n_tokens, 1)), None
    if strength:
        mean = total / max(n_tokens, 1)
        covariance = products / max(n_tokens, 1) - mean[:, :, None] * mean[:, None]
        whitening = whitening_lib.fit(mean, covariance, strength=strength)
        scale = whitening_lib.scales(covariance, whitening)
    # A layer of zeros is left as it is.
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    x, layer = np.concatenate(rows), np.concatenate(layers)
    return _Sample(x, layer, scale, whitening, keys[0])


def _unscaled(
    opened: setup.Setup,
    batch: loader.Batch,
    *,
    encoder: encoder_lib.Encoder,
    mesh: jax.sharding.Mesh,
) -> np.ndarray:
    """Returns unscaled hidden states, [n_layers, batch, length, d_model].

    By the program that training without whitening runs, so that no other is compiled.
    """
    if batch.hidden_states is not None:
        return np.moveaxis(batch.hidden_states, 1, 0)
    scale = sharding.place(mesh, np.ones(len(opened.layers), np.float32), jax.P())
    tokens = sharding.place(
        mesh, (batch.token_ids, batch.token_mask), sharding.rows(mesh)
    )
    with jax.set_mesh(mesh):
        states = hidden_states_lib.scaled_hidden_states(
            encoder, *tokens, scale, None, layers=opened.layers
        )
    return sharding.fetch(states)

"""Where training starts: the scale of each layer and the first factors."""

import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import loader
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import penalty
from tfvis_jax.training import metrics_log, setup
from tfvis_jax.training import state as state_lib

# Batches that the layer scales are measured on, at least.
_MIN_BATCHES = 4
# Rows that the first λ is found on.
_PENALTY_ROWS = 2048


def initial_state(
    opened: setup.Setup,
    batches: Iterator[loader.Batch],
) -> state_lib.TrainState:
    """Returns the state before the first step.

    Args:
      opened: model, layers and settings.
      batches: the windows in training order; only the first few are read.

    Raises:
      InputError: the model gives hidden states that are not finite.
    """
    config = opened.config
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    key_rows, key_dictionary = jax.random.split(key)
    x, layer, scale = _sample(opened, batches, key=key_rows)
    if not config.layer_scale:
        scale = np.ones_like(scale)
    return from_sample(
        jnp.asarray(x / scale[layer][:, None]),
        jnp.asarray(scale),
        solver=config.solver,
        dictionary=config.dictionary,
        key=key_dictionary,
    )


def from_sample(
    x: jax.Array,
    layer_scale: jax.Array,
    *,
    solver: config_lib.SolverConfig,
    dictionary: config_lib.DictionaryConfig,
    key: jax.Array,
) -> state_lib.TrainState:
    """Returns the state before the first step, from a sample of the rows.

    Args:
      x: [rows, d_model], scaled, in random order.
      layer_scale: [n_layers].
      solver: its λ is the first, or is found where it names a target L0.
      dictionary: number of factors and how to choose them.
      key: decides which rows become factors.
    """
    size = {"n_factors": dictionary.n_factors, "key": key}
    if dictionary.initialisation == "normal":
        factors = dictionary_lib.initialise_normal(d_model=x.shape[1], **size)
    elif dictionary.initialisation == "spread":
        factors = dictionary_lib.initialise_spread(x, **size)
    else:
        factors = dictionary_lib.initialise_from_samples(x, **size)
    l1_penalty = solver.l1_penalty
    if solver.target_l0 is not None:
        l1_penalty = penalty.for_l0(
            x[:_PENALTY_ROWS], factors, target_l0=solver.target_l0
        )
    return state_lib.create(
        factors, layer_scale, l1_penalty=l1_penalty, config=dictionary
    )


def _sample(opened, batches, *, key):
    """Returns rows [n, d_model], the layer of each, and the layers' scales."""
    n_layers, row_fraction = len(opened.layers), opened.config.row_fraction
    squared_norms, n_tokens = np.zeros(n_layers), 0
    rows, layers, n_rows = [], [], 0
    for index, batch in enumerate(batches):
        hidden_states = _unscaled(opened, batch)
        norms = hidden_states_lib.sum_squared_norms(hidden_states, batch.row_mask)
        metrics_log.check_hidden_states(
            float(np.sum(norms)), batch=index + 1, window_ids=batch.window_ids
        )
        squared_norms += np.asarray(norms)
        n_tokens += int(batch.row_mask.sum())
        n_chosen = math.ceil(int(batch.row_mask.sum()) * n_layers * row_fraction)
        order = hidden_states_lib.shuffle_rows(
            jax.random.fold_in(key, index),
            batch.row_mask,
            num_parts=1,
            n_layers=n_layers,
            n_selected=n_layers * batch.row_mask.size,
        )
        chosen = np.asarray(order[0, :n_chosen])
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        rows.append(np.asarray(flat[chosen]))
        layers.append(chosen // batch.token_ids.size)
        n_rows += len(chosen)
        if n_rows >= opened.config.dictionary.n_factors and index + 1 >= _MIN_BATCHES:
            break
    scale = np.sqrt(squared_norms / max(n_tokens, 1))
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.concatenate(rows), np.concatenate(layers), scale


def _unscaled(opened, batch):
    """Returns hidden states, [n_layers, batch, length, d_model]."""
    scale = jnp.ones((len(opened.layers),))
    if batch.hidden_states is not None:
        return hidden_states_lib.scale_stored(batch.hidden_states, scale)
    return hidden_states_lib.scaled_hidden_states(
        opened.pretrained.encoder,
        batch.token_ids,
        batch.token_mask,
        scale,
        layers=opened.layers,
    )

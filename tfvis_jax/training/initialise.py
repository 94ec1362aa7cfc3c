"""Where training starts: the scale of each layer and the first factors."""

import functools
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import loader
from tfvis_jax.runs import setup
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import penalty
from tfvis_jax.training import metrics_log
from tfvis_jax.training import state as state_lib

# Batches that the layer scales are measured on, at least.
_MIN_BATCHES = 4
# Rows that the first λ is found on.
PENALTY_ROWS = 2048


def initial_state(
    opened: setup.Setup,
    batches: Iterator[loader.Batch],
    *,
    mesh: jax.sharding.Mesh | None = None,
) -> state_lib.TrainState:
    """Returns the state before the first step.

    Args:
      opened: model, layers and settings.
      batches: the windows in training order; only the first few are read, by every
        process the same.
      mesh: where it will lie, as `state.partition` has it; one device if None.

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
        x / scale[layer][:, None],
        scale,
        solver=config.solver,
        dictionary=config.dictionary,
        sparsity=config.sparsity,
        key=key_dictionary,
        mesh=mesh,
    )


def from_sample(
    x: jax.typing.ArrayLike,
    layer_scale: jax.typing.ArrayLike,
    *,
    solver: config_lib.SolverConfig,
    dictionary: config_lib.DictionaryConfig,
    sparsity: config_lib.SparsityConfig,
    key: jax.Array,
    mesh: jax.sharding.Mesh | None = None,
) -> state_lib.TrainState:
    """Returns the state before the first step, from a sample of the rows.

    On a mesh its arrays are made where they will lie, each device its share; their
    values do not depend on the mesh.

    Args:
      x: [rows, d_model], scaled, in random order.
      layer_scale: [n_layers].
      solver: its λ is the first.
      dictionary: number of factors and how to choose them.
      sparsity: where it has a target L0, the first λ is the one that gives it.
      key: decides which rows become factors.
      mesh: where it will lie; one device if None.
    """
    x = np.asarray(x)
    where = sharding.one_device() if mesh is None else mesh
    factors = _factors(x, dictionary, key=key, mesh=where)
    l1_penalty = solver.l1_penalty
    if sparsity.target_l0 is not None:
        with jax.set_mesh(where):
            rows = sharding.place(where, x[:PENALTY_ROWS], jax.P())
            l1_penalty = penalty.for_l0(rows, factors, target_l0=sparsity.target_l0)

    def create(factors, layer_scale, l1_penalty):
        return state_lib.create(
            factors, layer_scale, l1_penalty=l1_penalty, config=dictionary
        )

    arguments = (factors, np.asarray(layer_scale), np.float32(l1_penalty))
    shapes = jax.eval_shape(create, *arguments)
    layouts = jax.tree.map(
        lambda leaf: leaf.sharding, state_lib.with_layout(shapes, where)
    )
    state = jax.jit(create, out_shardings=layouts, donate_argnums=0)(*arguments)
    return state if mesh is not None else jax.device_put(state, where.devices.item())


def _factors(x, dictionary, *, key, mesh):
    """Returns the first factors, [n_factors, d_model], each device's where they lie."""
    n_factors, d_model = dictionary.n_factors, x.shape[1]
    if dictionary.initialisation == "normal":
        make = functools.partial(
            dictionary_lib.initialise_normal, key, n_factors=n_factors, d_model=d_model
        )
        return sharding.make_by_factor(mesh, make)
    if dictionary.initialisation == "spread":
        # Each is drawn by its distance to all before: whole, on one device.
        whole = dictionary_lib.initialise_spread(
            jnp.asarray(x), n_factors=n_factors, key=key
        )
        return sharding.place(mesh, whole, sharding.factors(mesh))
    mean = np.mean(x, axis=0, dtype=np.float64).astype(x.dtype)
    chosen = np.asarray(
        dictionary_lib.choose_samples(key, num_rows=len(x), n_factors=n_factors)
    )

    def read(numbers):
        rows = x[chosen[np.maximum(numbers - 1, 0)]] - mean
        rows[numbers == 0] = mean
        return rows

    rows = sharding.read_by_factor(mesh, read, shape=(n_factors, d_model))
    return sharding.make_by_factor(
        mesh, functools.partial(dictionary_lib.from_samples, key=key), rows
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

"""The state before the first step, made of a sample of the rows."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import for_l0

# Rows that the first λ is found on.
PENALTY_ROWS = 2048


def from_sample(
    x: jax.typing.ArrayLike,
    layer_scale: jax.typing.ArrayLike,
    *,
    solver: config_lib.SolverConfig,
    dictionary: config_lib.DictionaryConfig,
    sparsity: config_lib.SparsityConfig,
    key: jax.Array,
    whitening: whitening_lib.Whitening | None = None,
    mesh: jax.sharding.Mesh | None = None,
) -> state_lib.TrainState:
    """Returns the state before the first step, from a sample of the rows.

    On a mesh its arrays are made where they will lie, each device its share; their
    values do not depend on the mesh.

    Args:
      x: [rows, d_model], whitened and scaled, in random order.
      layer_scale: [n_layers].
      solver: its λ is the first.
      dictionary: number of factors and how to choose them.
      sparsity: where it has a target L0, the first λ is the one that gives it.
      key: decides which rows become factors.
      whitening: of the rows; None for none.
      mesh: where it will lie; one device if None.
    """
    x = np.asarray(x)
    where = sharding.one_device() if mesh is None else mesh
    make_factors, rows = _factors(x, dictionary, key=key, mesh=where)
    create = creator(make_factors, dictionary)
    arguments = (
        rows,
        np.asarray(layer_scale),
        np.float32(solver.l1_penalty),
        jax.tree.map(np.asarray, whitening),
    )
    specs = state_lib.partition(jax.eval_shape(create, *arguments), where)
    state = sharding.make(where, create, *arguments, specs=specs)
    # They are as large as the dictionary.
    del rows, arguments
    if sparsity.target_l0 is not None:
        with jax.set_mesh(where):
            sample = sharding.place(where, x[:PENALTY_ROWS], jax.P())
            found = for_l0(sample, state.dictionary, target_l0=sparsity.target_l0)
        l1_penalty = sharding.place(where, np.float32(found), jax.P())
        state = dataclasses.replace(state, l1_penalty=l1_penalty)
    return state if mesh is not None else jax.device_put(state, where.devices.item())


def creator(
    make_factors: Callable[[Any], jax.Array], config: config_lib.DictionaryConfig
) -> Callable[..., state_lib.TrainState]:
    """Returns the function that makes a first state, to be compiled as one program.

    Args:
      make_factors: from what it is given first to the factors, [n_factors, d_model].
      config: number of factors and how they will move.
    """

    def create(
        rows: jax.Array | None,
        layer_scale: jax.Array,
        l1_penalty: jax.Array,
        whitening: whitening_lib.Whitening | None,
    ) -> state_lib.TrainState:
        return state_lib.create(
            make_factors(rows),
            layer_scale,
            l1_penalty=l1_penalty,
            config=config,
            whitening=whitening,
        )

    return create


def _factors(
    x: np.ndarray,
    dictionary: config_lib.DictionaryConfig,
    *,
    key: jax.Array,
    mesh: jax.sharding.Mesh,
) -> tuple[Callable[[Any], jax.Array], jax.Array | None]:
    """Returns the function that makes [n_factors, d_model] factors, and its argument.

    The function pays no regard to devices; its argument lies where the factors will.
    """
    n_factors, d_model = dictionary.n_factors, x.shape[1]
    if dictionary.initialisation == "normal":
        return (
            lambda _: dictionary_lib.initialise_normal(
                key, n_factors=n_factors, d_model=d_model
            ),
            None,
        )
    if dictionary.initialisation == "spread":
        # Each is drawn by its distance to all before: whole, on one device.
        whole = dictionary_lib.initialise_spread(
            jax.device_put(x), n_factors=n_factors, key=key
        )
        return lambda factors: factors, sharding.place(
            mesh, whole, sharding.factors(mesh)
        )
    mean = np.mean(x, axis=0, dtype=np.float64).astype(x.dtype)
    chosen = np.asarray(
        dictionary_lib.choose_samples(key, num_rows=len(x), n_factors=n_factors)
    )

    def read(numbers: np.ndarray) -> np.ndarray:
        rows = np.tile(mean, (len(numbers), 1))
        others = numbers > 0
        rows[others] = x[chosen[numbers[others] - 1]] - mean
        return rows

    rows = sharding.read_by_factor(mesh, read, shape=(n_factors, d_model))
    return functools.partial(dictionary_lib.from_samples, key=key), rows

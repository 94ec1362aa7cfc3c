"""The state before the first step, made of a sample of the rows."""

import functools

import jax
import jax.numpy as jnp
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
    factors = _factors(x, dictionary, key=key, mesh=where)
    l1_penalty = solver.l1_penalty
    if sparsity.target_l0 is not None:
        with jax.set_mesh(where):
            rows = sharding.place(where, x[:PENALTY_ROWS], jax.P())
            l1_penalty = for_l0(rows, factors, target_l0=sparsity.target_l0)

    def create(
        factors: jax.Array,
        layer_scale: jax.Array,
        l1_penalty: jax.Array,
        whitening: whitening_lib.Whitening | None,
    ) -> state_lib.TrainState:
        return state_lib.create(
            factors,
            layer_scale,
            l1_penalty=l1_penalty,
            config=dictionary,
            whitening=whitening,
        )

    numbers = np.asarray(layer_scale), np.float32(l1_penalty)
    arguments = (factors, *numbers, jax.tree.map(np.asarray, whitening))
    shapes = jax.eval_shape(create, *arguments)
    layouts = jax.tree.map(
        lambda leaf: leaf.sharding, state_lib.with_layout(shapes, where)
    )
    state = jax.jit(create, out_shardings=layouts, donate_argnums=0)(*arguments)
    return state if mesh is not None else jax.device_put(state, where.devices.item())


def _factors(
    x: np.ndarray,
    dictionary: config_lib.DictionaryConfig,
    *,
    key: jax.Array,
    mesh: jax.sharding.Mesh,
) -> jax.Array:
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

    def read(numbers: np.ndarray) -> np.ndarray:
        rows = np.tile(mean, (len(numbers), 1))
        others = numbers > 0
        rows[others] = x[chosen[numbers[others] - 1]] - mean
        return rows

    rows = sharding.read_by_factor(mesh, read, shape=(n_factors, d_model))
    return sharding.make_by_factor(
        mesh, functools.partial(dictionary_lib.from_samples, key=key), rows
    )

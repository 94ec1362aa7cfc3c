"""What a training run has learnt so far, and where in the corpus it stands."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.sparse_coding import registry


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that a resumed run needs; the rest is a function of seed and batch.

    Attributes:
      dictionary: [n_factors, d_model], unit rows.
      update_state: of the dictionary's optax transformation.
      layer_scale: [n_layers], what the rows of each layer are divided by: their
        root-mean-square norm, ones, or what makes L0 equal.
      whitening: what the rows are centred by and multiplied with; None for none.
      l1_penalty: scalar, λ.
      idle: [n_factors] int32, steps since each factor last fired.
      batch: scalar int32, window batches consumed.
      step: scalar int32, dictionary steps taken.
    """

    dictionary: jax.Array
    update_state: optax.OptState
    layer_scale: jax.Array
    whitening: whitening_lib.Whitening | None
    l1_penalty: jax.Array
    idle: jax.Array
    batch: jax.Array
    step: jax.Array


def step_size(config: config_lib.DictionaryConfig, *, progress: jax.Array) -> jax.Array:
    """Returns the step size, falling linearly with the progress of the run, 0 to 1."""
    return config.step_size * (1 - (1 - config.final_step_fraction) * progress)


def create(
    dictionary: jax.Array,
    layer_scale: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    config: config_lib.DictionaryConfig,
    whitening: whitening_lib.Whitening | None = None,
) -> TrainState:
    """Returns the state before the first step."""
    return TrainState(
        dictionary=dictionary,
        update_state=registry.update(config).transformation().init(dictionary),
        layer_scale=layer_scale,
        whitening=whitening,
        l1_penalty=jnp.asarray(l1_penalty, jnp.float32),
        idle=jnp.zeros_like(dictionary[:, 0], jnp.int32),
        batch=jnp.zeros((), jnp.int32),
        step=jnp.zeros((), jnp.int32),
    )


def abstract(
    *,
    n_factors: int,
    d_model: int,
    n_layers: int,
    config: config_lib.DictionaryConfig,
    whitened: bool = False,
) -> TrainState:
    """Returns the shapes of a state, which is what loading a checkpoint needs."""

    def zeros() -> TrainState:
        square = jnp.zeros((d_model, d_model))
        whitening = whitening_lib.Whitening(
            jnp.zeros((n_layers, d_model)), square, square
        )
        return create(
            jnp.zeros((n_factors, d_model)),
            jnp.zeros((n_layers,)),
            l1_penalty=0.0,
            config=config,
            whitening=whitening if whitened else None,
        )

    return jax.eval_shape(zeros)


def partition(state: TrainState, mesh: sharding.AnyMesh) -> TrainState:
    """Returns how each array of a state is split over a mesh: by factor, or not.

    Args:
      state: arrays, or their shapes from `abstract`.
      mesh: from `sharding.make_mesh`.
    """

    def by_factor(tree: Any) -> Any:
        # What updates remember is of each factor; scalars are of all.
        return jax.tree.map(
            lambda leaf: sharding.factors(mesh) if leaf.ndim else jax.P(), tree
        )

    whole = jax.tree.map(lambda _: jax.P(), state)
    return dataclasses.replace(
        whole,
        dictionary=by_factor(state.dictionary),
        update_state=by_factor(state.update_state),
        idle=by_factor(state.idle),
    )


def with_layout(state: TrainState, mesh: jax.sharding.Mesh) -> TrainState:
    """Adds to the shapes of a state where its arrays lie, as loading needs it."""

    def add(leaf: jax.Array, spec: jax.P) -> jax.ShapeDtypeStruct:
        layout = jax.NamedSharding(mesh, spec)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=layout)

    return jax.tree.map(add, state, partition(state, mesh))

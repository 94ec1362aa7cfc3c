"""What a training run has learnt so far, and where in the corpus it stands."""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from tfvis_jax import config as config_lib
from tfvis_jax.sparse_coding import dictionary as dictionary_lib


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that a resumed run needs; the rest is a function of seed and batch.

    Attributes:
      dictionary: [n_factors, d_model], unit rows.
      update_state: of the dictionary's optax transformation.
      layer_scale: [n_layers], root-mean-square row norm of each layer, or ones.
      batch: scalar int32, window batches consumed.
      step: scalar int32, dictionary steps taken.
    """

    dictionary: jax.Array
    update_state: optax.OptState
    layer_scale: jax.Array
    batch: jax.Array
    step: jax.Array


def dictionary_update(
    config: config_lib.DictionaryConfig,
) -> optax.GradientTransformationExtraArgs:
    """Returns the diagonal-Hessian direction of a dictionary step."""
    return dictionary_lib.scale_by_code_energy(
        config.energy_length,
        config.energy_floor,
        bias_correction=config.bias_correction,
    )


def step_size(config: config_lib.DictionaryConfig, *, progress: jax.Array) -> jax.Array:
    """Returns the step size, falling linearly with the progress of the run, 0 to 1."""
    return config.step_size * (1 - (1 - config.final_step_fraction) * progress)


def create(
    dictionary: jax.Array,
    layer_scale: jax.Array,
    *,
    config: config_lib.DictionaryConfig,
) -> TrainState:
    """Returns the state before the first step."""
    return TrainState(
        dictionary=dictionary,
        update_state=dictionary_update(config).init(dictionary),
        layer_scale=layer_scale,
        batch=jnp.zeros((), jnp.int32),
        step=jnp.zeros((), jnp.int32),
    )


def abstract(
    *,
    n_factors: int,
    d_model: int,
    n_layers: int,
    config: config_lib.DictionaryConfig,
) -> TrainState:
    """Returns the shapes of a state, which is what loading a checkpoint needs."""
    return jax.eval_shape(
        lambda: create(
            jnp.zeros((n_factors, d_model)), jnp.zeros((n_layers,)), config=config
        )
    )

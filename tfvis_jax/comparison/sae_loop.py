"""The training loop of sparse autoencoders, in one compiled program.

Rows come scaled, so that their mean squared distance from the mean row is 1. Adam; the
rate rises over the first twentieth of the steps and falls to zero over the last fifth.
The gradient's part along a factor is removed, and the factor put back on the unit
sphere after every step (Bricken et al., 2023).

"relu" meets its target by a controller: a step changes log λ by gain · log(L0/target).
"jumprelu" adds (L0/target − 1)², which pushes either way (Rajamanoharan et al., 2024b).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from tfvis_jax.comparison import losses, sae
from tfvis_jax.sparse_coding import dictionary

_WARM_UP = 1 / 20
_DECAY = 1 / 5
# Where λ of "relu" starts: near its final value on hidden states of BERT.
_FIRST_PENALTY = 0.1
# Change of log λ in a step for every unit of log (L0 / target).
_GAIN = 0.03


class History(NamedTuple):
    """Course of the training, [steps] each.

    Attributes:
      error: ‖x − x̂‖² of the batch as a fraction of the variance.
      l0: mean number of active factors.
      penalty: λ of "relu"; of others 0.
      n_dead: number of dead factors.
    """

    error: jax.Array
    l0: jax.Array
    penalty: jax.Array
    n_dead: jax.Array


@functools.partial(jax.jit, static_argnames=("config",))
def fit(
    x: jax.Array,
    mean: jax.Array,
    *,
    learning_rate: jax.Array | float,
    key: jax.Array,
    config: sae.SAEConfig,
) -> tuple[sae.SparseAutoencoder, History]:
    """Trains an autoencoder on scaled rows.

    Args:
      x: [rows, d_model].
      mean: [d_model], the mean row, where the decoder's bias starts.
      learning_rate: scalar, traced.
      key: of the initial factors and of the shuffling.
      config: settings; ``learning_rate`` and ``seed`` are not read, ``batch_size`` is
        at most the number of rows.

    Returns:
      The autoencoder, for scaled rows and not calibrated, and the course of its
      training.
    """
    key_init, key_shuffle = jax.random.split(key)
    model = sae.SparseAutoencoder(config, offset=mean, rngs=nnx.Rngs(params=key_init))
    if config.kind == "jumprelu":
        model.calibrate(x[: config.batch_size])
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    steps_per_pass = x.shape[0] // config.batch_size
    num_steps = config.num_passes * steps_per_pass
    optimizer = optax.adam(_schedule(learning_rate, num_steps=num_steps))

    def step(carry: _Carry, rows: jax.Array) -> tuple[_Carry, History]:
        loss = functools.partial(_loss, x=x[rows], carry=carry, config=config)
        gradient, batch = jax.grad(
            lambda params: loss(nnx.merge(graph, params, rest)), has_aux=True
        )(carry.params)
        carry = _descend(carry, gradient, optimizer=optimizer)
        return _observe(carry, batch, config=config)

    def one_pass(carry: _Carry, index: jax.Array) -> tuple[_Carry, History]:
        order = jax.random.permutation(
            jax.random.fold_in(key_shuffle, index), x.shape[0]
        )
        batches = order[: steps_per_pass * config.batch_size]
        return jax.lax.scan(
            step, carry, batches.reshape(steps_per_pass, config.batch_size)
        )

    carry = _Carry(
        params=params,
        optimizer=optimizer.init(params),
        log_penalty=jnp.log(jnp.float32(_FIRST_PENALTY)),
        rows_since_firing=jnp.zeros(config.n_factors, jnp.int32),
    )
    carry, history = jax.lax.scan(one_pass, carry, jnp.arange(config.num_passes))
    return nnx.merge(graph, carry.params, rest), jax.tree.map(jnp.ravel, history)


class _Carry(NamedTuple):
    """State of the training loop."""

    params: nnx.State[Any, Any]
    optimizer: optax.OptState
    log_penalty: jax.Array
    rows_since_firing: jax.Array


class _Batch(NamedTuple):
    """Metrics of one batch, and which factors fired."""

    error: jax.Array
    l0: jax.Array
    fires: jax.Array
    n_dead: jax.Array


def _loss(
    model: sae.SparseAutoencoder,
    *,
    x: jax.Array,
    carry: _Carry,
    config: sae.SAEConfig,
) -> tuple[jax.Array, _Batch]:
    """Returns the loss of one batch and its metrics."""
    p = model.preactivations(x)
    codes = model.select(p)
    decoder = model.decoder[...]
    loss, residual = losses.nested_error(
        x,
        codes,
        decoder,
        offset=model.offset[...],
        prefixes=sae.prefix_sizes(config),
    )
    dead = carry.rows_since_firing >= config.dead_after
    fires = codes > 0
    l0 = jnp.mean(jnp.sum(fires, axis=1, dtype=jnp.float32))
    if config.kind == "relu":
        loss += jnp.exp(carry.log_penalty) * jnp.mean(jnp.sum(codes, axis=1))
    elif config.kind == "jumprelu":
        loss += (model.soft_l0(p) / config.target_l0 - 1) ** 2
    else:
        loss += config.auxiliary_weight * losses.dead_factor_error(
            p, residual, decoder, dead=dead
        )
    return loss, _Batch(
        error=jnp.mean(jnp.sum(residual**2, axis=1)),
        l0=l0,
        fires=jnp.any(fires, axis=0),
        n_dead=jnp.sum(dead),
    )


def _descend(
    carry: _Carry, gradient: Any, *, optimizer: optax.GradientTransformation
) -> _Carry:
    """Takes one step of Adam along the sphere of unit factors."""
    factors: Any = carry.params["decoder"]
    gradient["decoder"][...] = losses.tangent(gradient["decoder"][...], factors[...])
    # Optax raises a float to the power of its integer step count.
    with jax.numpy_dtype_promotion("standard"):
        updates, state = optimizer.update(gradient, carry.optimizer)
    params: Any = optax.apply_updates(carry.params, updates)
    params["decoder"][...] = dictionary.project_unit_norm(params["decoder"][...])
    return carry._replace(params=params, optimizer=state)


def _observe(
    carry: _Carry, batch: _Batch, *, config: sae.SAEConfig
) -> tuple[_Carry, History]:
    """Moves λ and the record of firing; returns the history."""
    rows_since_firing = carry.rows_since_firing + config.batch_size
    history = History(
        error=batch.error,
        l0=batch.l0,
        penalty=jnp.exp(carry.log_penalty) if config.kind == "relu" else jnp.zeros(()),
        n_dead=batch.n_dead,
    )
    excess = jnp.log((batch.l0 + 1e-3) / config.target_l0)
    return carry._replace(
        log_penalty=carry.log_penalty + _GAIN * jnp.clip(excess, -1, 1),
        rows_since_firing=jnp.where(batch.fires, 0, rows_since_firing),
    ), history


def _schedule(
    learning_rate: jax.Array | float, *, num_steps: int
) -> Callable[[Any], jax.Array]:
    """Returns the learning rate as a function of the step."""
    warm_up = max(1, round(_WARM_UP * num_steps))
    decay = max(1, round(_DECAY * num_steps))

    def rate(count: jax.Array) -> jax.Array:
        done = count.astype(jnp.float32)
        rising = (done + 1) / warm_up
        falling = (num_steps - done) / decay
        return learning_rate * jnp.minimum(1, jnp.minimum(rising, falling))

    return rate

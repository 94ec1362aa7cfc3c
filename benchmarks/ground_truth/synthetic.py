"""Rows with known factors: a world of correlated, hierarchical, rarely firing features.

The generator follows SynthSAEBench (Chanin & Garriga-Alonso, "SynthSAEBench: Evaluating
Sparse Autoencoders on Scalable Realistic Synthetic Data", arXiv 2602.14687); the
defaults of `world_config.WorldConfig` are its 16,384-feature benchmark. A row is

    x = Σ_f α_f d_f + b + noise,        α_f = fires_f · max(0, μ_f + σ_f ε),

1. Feature f has the base rate p_f = p_min + (p_max − p_min)·z_f, where z is f^−exponent
   scaled to run from 1 to 0.
2. Features fire together by a Gaussian copula of low rank: f fires where
   ⟨c_f, g⟩ + √(1 − ‖c_f‖²)·ε_f exceeds a threshold, with c_f ~ scale·N(0, I).
3. Features are numbered breadth first through a forest of full trees, the most frequent
   being the roots; those beyond the last tree stand alone. A child fires only if its
   parent does, its magnitude is multiplied by α_parent / μ_parent, and of exclusive
   siblings that fire together one, drawn uniformly, stays.
4. So that rates stay near p, the copula's rates are p_f / p_parent, times
   1 + Σ p_sibling / p_parent among exclusive siblings, and at most 1.
5. Directions d start uniform on the sphere and take Adam steps down
   Σ_{f≠g} ⟨d_f, d_g⟩² + n Σ_f (‖d_f‖² − 1)²; then they are normalised.
6. μ falls linearly over the features, σ is |N(mean, std)|, b is a random direction.

What is not theirs: random numbers (so no world equals the published one, only its
law), step 5's gradient over all pairs at once, `mean_l0` (multiplies the base rates
until the expected L0 is the one asked for) and `noise` (published: none). Features left
over when trees are full are theirs too; trees that are cut off are refused.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.ground_truth import world_config
from tfvis_jax.sparse_coding import dictionary as dictionary_lib

_ADAM = (0.9, 0.999)
# Features compared with all others at a time.
_CHUNK = 1024


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=(
        "features",
        "bias",
        "thresholds",
        "magnitudes",
        "spreads",
        "correlations",
    ),
    meta_fields=("config",),
)
@dataclasses.dataclass(frozen=True)
class World:
    """What `sample` draws from; a pytree.

    Attributes:
      features: [n_true, d_model], unit rows, most frequent first.
      bias: [d_model].
      thresholds: [n_true], above which the copula's normal means firing.
      magnitudes: [n_true], μ.
      spreads: [n_true], σ.
      correlations: [n_true, rank], c; the copula's correlation of two features is
        their scalar product.
      config: its settings; static.
    """

    features: jax.Array
    bias: jax.Array
    thresholds: jax.Array
    magnitudes: jax.Array
    spreads: jax.Array
    correlations: jax.Array
    config: world_config.WorldConfig


def make_world(key: jax.Array, config: world_config.WorldConfig) -> World:
    """Draws a world.

    Args:
      key: decides everything that is random.
      config: settings of the world.

    Raises:
      InputError: `mean_l0` cannot be reached.
    """
    keys = jax.random.split(key, 4)
    rates = world_config.copula_rates(world_config.base_rates(config), config)
    correlations = config.correlation_scale * jax.random.normal(
        keys[1], (config.n_true, config.correlation_rank)
    )
    largest = jnp.max(jnp.sum(correlations**2, axis=1))
    # All are scaled alike, as published, where one leaves no variance of its own.
    correlations = correlations * jnp.where(
        largest < 1, 1, jnp.sqrt(0.99 / jnp.maximum(largest, 1))
    )
    spreads = config.spread_mean + config.spread_std * jax.random.normal(
        keys[2], (config.n_true,)
    )
    bias = jax.random.normal(keys[3], (config.d_model,))
    return World(
        features=_directions(keys[0], config),
        bias=config.bias_norm * bias / jnp.linalg.norm(bias),
        thresholds=-jax.scipy.special.ndtri(jnp.asarray(rates, jnp.float32)),
        magnitudes=jnp.linspace(
            config.first_magnitude, config.last_magnitude, config.n_true
        ),
        spreads=jnp.abs(spreads),
        correlations=correlations,
        config=config,
    )


def sample(
    key: jax.Array, world: World, *, batch_size: int
) -> tuple[jax.Array, jax.Array]:
    """Draws rows and the codes that made them.

    Args:
      key: decides the rows.
      world: what to draw from.
      batch_size: number of rows; static.

    Returns:
      x [batch, d_model] and its true codes [batch, n_true], non-negative.
    """
    config = world.config
    # What a draw does not depend on must not decide whether a program is compiled anew.
    config = world_config.WorldConfig(
        n_true=config.n_true,
        d_model=config.d_model,
        n_roots=config.n_roots,
        branching=config.branching,
        depth=config.depth,
        exclusive=config.exclusive,
        scale_by_parent=config.scale_by_parent,
        noise=config.noise,
    )
    world = dataclasses.replace(world, config=config)
    return _sample(key, world, batch_size=batch_size)


@functools.partial(jax.jit, static_argnames="batch_size")
def _sample(
    key: jax.Array, world: World, *, batch_size: int
) -> tuple[jax.Array, jax.Array]:
    keys = jax.random.split(key, 5)
    shape = (batch_size, world.config.n_true)
    common = jax.random.normal(keys[0], (batch_size, world.correlations.shape[1]))
    own = jnp.sqrt(1 - jnp.sum(world.correlations**2, axis=1))[None]
    normal = common @ world.correlations.T + own * jax.random.normal(keys[1], shape)
    magnitudes = world.magnitudes[None] + (
        world.spreads[None] * jax.random.normal(keys[2], shape)
    )
    fires = normal > world.thresholds[None]
    codes = jnp.where(fires, jnp.maximum(magnitudes, 0), 0)
    codes = _descend(keys[3], codes, world)
    x = jnp.matmul(codes, world.features, precision="highest") + world.bias[None]
    if world.config.noise:
        x = x + world.config.noise * jax.random.normal(keys[4], x.shape)
    return x, codes


def _descend(key: jax.Array, codes: jax.Array, world: World) -> jax.Array:
    """Applies the forest from the roots down to the codes of a batch."""
    config = world.config
    for number, (parents, children) in enumerate(config.levels()):
        parent = codes[:, parents, None]
        child = codes[:, children].reshape(len(codes), -1, config.branching)
        if config.scale_by_parent:
            child = child * parent / world.magnitudes[None, parents, None]
        child = jnp.where(parent > 0, child, 0)
        if config.exclusive:
            lot = jax.random.uniform(jax.random.fold_in(key, number), child.shape)
            lot = jnp.where(child > 0, lot, -1)
            child = jnp.where(lot == jnp.max(lot, axis=2, keepdims=True), child, 0)
        codes = codes.at[:, children].set(child.reshape(len(codes), -1))
    return codes


def _directions(key: jax.Array, config: world_config.WorldConfig) -> jax.Array:
    """Returns [n_true, d_model] unit directions, pushed apart."""
    features = dictionary_lib.initialise_normal(
        key, n_factors=config.n_true, d_model=config.d_model
    )
    features = _push_apart(features, config.orthogonal_steps, config.orthogonal_rate)
    return dictionary_lib.project_unit_norm(features)


@jax.jit
def _push_apart(
    features: jax.Array, num_steps: jax.Array | int, rate: jax.Array | float
) -> jax.Array:
    """Takes Adam steps down Σ_{f≠g} ⟨d_f, d_g⟩² + n Σ_f (‖d_f‖² − 1)²."""
    n_true = features.shape[0]

    def step(
        number: jax.Array, carry: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        features, mean, square = carry
        squared_norm = jnp.sum(features**2, axis=1, keepdims=True)
        overlap = features @ (features.T @ features) - squared_norm * features
        gradient = overlap + n_true * (squared_norm - 1) * features
        mean = _ADAM[0] * mean + (1 - _ADAM[0]) * gradient
        square = _ADAM[1] * square + (1 - _ADAM[1]) * gradient**2
        seen = 1 + jnp.asarray(number, features.dtype)
        step = (mean / (1 - _ADAM[0] ** seen)) / (
            jnp.sqrt(square / (1 - _ADAM[1] ** seen)) + 1e-8
        )
        return features - rate * step, mean, square

    zeros = jnp.zeros_like(features)
    return jax.lax.fori_loop(0, num_steps, step, (features, zeros, zeros))[0]


def mean_largest_cosine(features: jax.Array) -> float:
    """Returns the mean over features of the largest |cosine| with another one.

    Superposition as SynthSAEBench measures it: about 0.15 in its 16,384-feature world.

    Args:
      features: [n, d_model], unit rows, n ≥ 2.
    """
    features = np.asarray(features)
    largest = []
    for start in range(0, len(features), _CHUNK):
        cosines = np.abs(features[start : start + _CHUNK] @ features.T)
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = 0
        largest.append(np.max(cosines, axis=1))
    return float(np.mean(np.concatenate(largest), dtype=np.float64))

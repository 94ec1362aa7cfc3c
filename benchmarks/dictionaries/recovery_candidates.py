"""Dictionaries learned in a world whose features are known, one after the other.

oracle                the true features, the most frequent ones, with our solver
nested_sparse_coding  `ground_truth.nested_coding`
lasso                 learned and coded by the lasso at one λ; refitted codes
sparse_coding         `comparison.sparse_coding`, made for hidden states: learned from
                      dense lasso codes, coded by the lasso and a threshold
omp, ...              learned and coded by a greedy solver
sae_...               `comparison.train_sae`
random_factors        directions that nothing is learned of
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.ground_truth import nested_coding, synthetic, world_config
from tfvis_jax import config as config_lib
from tfvis_jax.comparison import method as method_lib
from tfvis_jax.comparison import sae, sparse_coding, train_sae
from tfvis_jax.errors import InputError
from tfvis_jax.learning import learn
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import pursue, updates

SAE_METHODS = tuple(f"sae_{kind}" for kind in sae.KINDS)
PURSUITS = config_lib.PURSUITS
METHODS = (
    "oracle",
    "nested_sparse_coding",
    "lasso",
    "sparse_coding",
    *PURSUITS,
    *SAE_METHODS,
    "random_factors",
)
# Of dictionaries learned by pursuit; the step size falls linearly to nothing.
_ROWS_PER_STEP, _STEP_SIZE = 256, 0.15
_ENERGY = updates.scale_by_code_energy(100, 1e-5, bias_correction=True)
_BATCH = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecoveryConfig:
    """Which methods are fitted in a world, and how."""

    methods: tuple[str, ...] = METHODS
    n_factors: int = 128
    l0: tuple[float, ...] = (3, 4, 5)
    num_passes: int = 10
    # Of the autoencoders; each is a candidate.
    learning_rates: tuple[float, ...] = (1e-3, 3e-3)
    # λ of "lasso", on rows whose distance from their mean is 1 in the root mean square.
    l1_penalties: tuple[float, ...] = (0.03, 0.06, 0.12, 0.25)

    def __post_init__(self):
        unknown = sorted(set(self.methods) - set(METHODS))
        if unknown or not self.methods:
            raise InputError(f"Expected --methods among {METHODS}, got {unknown}.")
        if not self.l0 or not all(1 <= l0 <= self.n_factors for l0 in self.l0):
            raise InputError(
                f"Expected --l0 from 1 to --n_factors {self.n_factors}, got {self.l0}."
            )
        for name in ("learning_rates", "l1_penalties"):
            values = getattr(self, name)
            if not values or not all(value > 0 for value in values):
                raise InputError(f"Expected --{name} above 0, got {values}.")


@dataclasses.dataclass(frozen=True)
class FittedDictionary:
    """A fitted method.

    Attributes:
      name: one of `METHODS`.
      target_l0: the L0 that it was fitted to; None for "lasso".
      method: its factors and codes.
      seconds: time of fitting, with compilation.
      rows_seen: rows in all training steps, at most; 0 without training.
      learning_rate: for autoencoders, else None.
      l1_penalty: λ of "lasso", else None.
    """

    name: str
    target_l0: float | None
    method: method_lib.Method
    seconds: float
    rows_seen: int
    learning_rate: float | None = None
    l1_penalty: float | None = None


@dataclasses.dataclass(frozen=True)
class PursuitDictionary:
    """A dictionary whose codes a greedy solver picks.

    Attributes:
      factors: [n_factors, d_model], unit rows.
      offset: [d_model], taken from the rows first.
      solver: one of `PURSUITS`.
      k: most active factors of a row.
    """

    factors: jax.Array
    offset: jax.Array
    solver: str
    k: int

    def codes(self, x: jax.Array) -> jax.Array:
        """Returns the codes [rows, n_factors] >= 0 of ``x`` [rows, d_model]."""
        centred = x - self.offset[None, :]
        return _pursue(centred, self.factors, solver=self.solver, k=self.k)

    def reconstruct(self, x: jax.Array) -> jax.Array:
        """Returns ``offset + codes(x) @ factors``, [rows, d_model]."""
        return self.offset[None, :] + self.codes(x) @ self.factors


def batches(
    world: synthetic.World, *, n_rows: int, seed: int
) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Yields rows [batch, d_model] of a world with their true codes [batch, n_true].

    Args:
      world: what to draw from.
      n_rows: at least so many rows in all; batches are whole.
      seed: decides the rows.
    """
    for number in range(-(-n_rows // _BATCH)):
        key = jax.random.fold_in(jax.random.key(seed), number)
        yield synthetic.sample(key, world, batch_size=_BATCH)


def candidates(
    x: np.ndarray,
    world: synthetic.World,
    settings: RecoveryConfig,
    *,
    seed: int,
    progress: Callable[[str], None],
) -> Iterator[FittedDictionary]:
    """Fits every method for every L0, one after the other.

    Args:
      x: [rows, d_model] float32 to learn from.
      world: that they come from; known to the oracle alone.
      settings: what to fit.
      seed: of first factors and order of rows.
      progress: called with a line of text before each fit.
    """
    for name in settings.methods:
        for l0, learning_rate, l1_penalty in _variants(name, settings):
            values = {"L0": l0, "rate": learning_rate, "λ": l1_penalty}
            given = [f"{what} {v:g}" for what, v in values.items() if v is not None]
            progress(", ".join([name, *given]))
            start = time.perf_counter()
            if name == "lasso":
                fitted = _lasso(x, settings, l1_penalty=l1_penalty, seed=seed)
            else:
                fitted = _fit(
                    x, world, settings, name=name, l0=l0, rate=learning_rate, seed=seed
                )
            jax.block_until_ready(fitted.factors)
            seconds = time.perf_counter() - start
            rows_seen = settings.num_passes * len(x)
            if name in ("oracle", "random_factors"):
                rows_seen = 0
            if isinstance(fitted, train_sae.TrainedSAE):
                rows_seen = fitted.rows_seen
            yield FittedDictionary(
                name, l0, fitted, seconds, rows_seen, learning_rate, l1_penalty
            )


def _variants(
    name: str, settings: RecoveryConfig
) -> list[tuple[float | None, float | None, float | None]]:
    """Returns (L0, learning rate, λ) of every candidate of a name."""
    if name == "lasso":
        return [(None, None, value) for value in settings.l1_penalties]
    rates = settings.learning_rates if name in SAE_METHODS else (None,)
    return [(l0, rate, None) for l0 in settings.l0 for rate in rates]


def _fit(
    x: np.ndarray,
    world: synthetic.World,
    settings: RecoveryConfig,
    *,
    name: str,
    l0: Any,
    rate: Any,
    seed: int,
) -> method_lib.Method:
    shared = {"n_factors": settings.n_factors, "target_l0": l0, "seed": seed}
    if name == "oracle":
        return _oracle(x, world, n_factors=settings.n_factors, l0=l0)
    if name == "random_factors":
        return sparse_coding.random_factors(x, **shared)
    if name == "nested_sparse_coding":
        return nested_coding.fit(x, num_passes=settings.num_passes, **shared)
    if name == "sparse_coding":
        return sparse_coding.fit(x, num_passes=settings.num_passes, **shared)
    if name in PURSUITS:
        return _learn_by_pursuit(x, settings, solver=name, k=round(l0), seed=seed)
    kind = name.removeprefix("sae_")
    config = sae.SAEConfig(
        kind=kind,
        n_factors=settings.n_factors,
        target_l0=round(l0) if kind == "topk" else l0,
        learning_rate=rate,
        num_passes=settings.num_passes,
        seed=seed,
    )
    return train_sae.train(jnp.asarray(x), config=config)


def _oracle(
    x: np.ndarray, world: synthetic.World, *, n_factors: int, l0: float
) -> nested_coding.NestedSparseCoding:
    """Returns the solver with the most frequent true features as its factors."""
    rates = world_config.expected_rates(
        world_config.base_rates(world.config), world.config
    )
    return nested_coding.with_target_l0(
        x,
        world.features[:n_factors],
        centre=np.asarray(world.bias),
        rates=rates[:n_factors],
        target_l0=l0,
    )


def _lasso(
    x: np.ndarray, settings: RecoveryConfig, *, l1_penalty: float, seed: int
) -> sparse_coding.SparseCoding:
    """Returns a dictionary learned at one λ, with the codes of the same λ, refitted."""
    scaled, mean, scale = _scaled(x)
    state = learn(
        scaled,
        solver=config_lib.SolverConfig(l1_penalty=l1_penalty),
        dictionary=config_lib.DictionaryConfig(n_factors=settings.n_factors),
        num_passes=settings.num_passes,
        seed=seed,
    )
    return sparse_coding.SparseCoding(
        factors=state.dictionary,
        offset=jnp.asarray(mean),
        l1_penalty=l1_penalty * float(scale),
    )


def _learn_by_pursuit(
    x: np.ndarray, settings: RecoveryConfig, *, solver: str, k: int, seed: int
) -> PursuitDictionary:
    """Returns a dictionary learned from greedy codes, with the codes of that solver."""
    scaled, mean, _ = _scaled(x)
    rng = np.random.default_rng(seed)
    rows_per_step = min(_ROWS_PER_STEP, len(x))
    factors = dictionary_lib.initialise_normal(
        jax.random.key(seed), n_factors=settings.n_factors, d_model=x.shape[1]
    )
    energy = _ENERGY.init(factors)
    steps_per_pass = len(x) // rows_per_step
    total = settings.num_passes * steps_per_pass
    for number in range(settings.num_passes):
        order = rng.permutation(len(x))[: steps_per_pass * rows_per_step]
        for step, chosen in enumerate(order.reshape(steps_per_pass, rows_per_step)):
            left = 1 - (number * steps_per_pass + step) / total
            factors, energy = _pursuit_step(
                factors,
                energy,
                scaled[chosen],
                jnp.float32(_STEP_SIZE * left),
                solver=solver,
                k=k,
            )
    return PursuitDictionary(factors, jnp.asarray(mean), solver, k)


@functools.partial(jax.jit, static_argnames=("solver", "k"))
def _pursuit_step(
    factors: jax.Array,
    energy: Any,
    x: jax.Array,
    step_size: jax.Array,
    *,
    solver: str,
    k: int,
) -> tuple[jax.Array, Any]:
    codes = _pursue(x, factors, solver=solver, k=k)
    gradient = -codes.T @ (x - codes @ factors) / len(x)
    direction, energy = _ENERGY.update(
        gradient, energy, energy=jnp.mean(codes**2, axis=0)
    )
    return dictionary_lib.project_unit_norm(factors - step_size * direction), energy


def _scaled(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.float32]:
    """Returns rows less their mean at unit distance, that mean, and the distance."""
    mean, scale = method_lib.centre_and_scale(x)
    return (x - mean) / scale, mean, scale


@functools.partial(jax.jit, static_argnames=("solver", "k"))
def _pursue(x: jax.Array, factors: jax.Array, *, solver: str, k: int) -> jax.Array:
    return pursue(x, factors, k=k, method=solver)

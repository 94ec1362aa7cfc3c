"""Dictionaries side by side: the same rows, the same number of factors, equal L0."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.comparison import method as method_lib
from tfvis_jax.comparison import pca, sae, sparse_coding, train_sae
from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import refit

SAE_METHODS = tuple(f"sae_{kind}" for kind in sae.KINDS)
METHODS = ("sparse_coding", *SAE_METHODS, "sample_factors", "random_factors", "pca")
# Sparse coding of an untrained model's hidden states; `compare` makes its rows.
RANDOM_ENCODER = "random_encoder"
# Their codes are least squares on their support already.
_REFITTED = ("sparse_coding", "sample_factors", "random_factors")

# Share of the training rows on which learning rates are chosen, at most so many.
_VALIDATION = 0.1
_MAX_VALIDATION = 8192


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparisonConfig:
    """What is compared.

    Attributes:
      methods: names of methods, of `METHODS`.
      n_factors: factors of every dictionary.
      target_l0: mean numbers of active factors to compare at.
      seeds: every method is fitted with each.
      num_passes: passes over the training rows, of every method that learns.
      learning_rates: tried for autoencoders; the best at the middle L0 is used at every
        L0.
    """

    methods: tuple[str, ...] = METHODS
    n_factors: int = 1024
    target_l0: tuple[int, ...] = (16, 32, 64)
    seeds: tuple[int, ...] = (0,)
    num_passes: int = 10
    learning_rates: tuple[float, ...] = train_sae.LEARNING_RATES

    def __post_init__(self):
        known = (*METHODS, RANDOM_ENCODER)
        unknown = sorted(set(self.methods) - set(known))
        if unknown:
            raise InputError(f"Expected methods among {known}, got {unknown}.")
        for name in ("methods", "target_l0", "seeds", "learning_rates"):
            if not getattr(self, name):
                raise InputError(f"Expected at least one of `{name}`, got none.")
        for name in ("n_factors", "num_passes"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"Expected `{name}` to be at least 1, got {getattr(self, name)}."
                )
        if not all(1 <= l0 <= self.n_factors for l0 in self.target_l0):
            raise InputError(
                f"Expected `target_l0` from 1 to `n_factors` = {self.n_factors}, got "
                f"{self.target_l0}."
            )


@dataclasses.dataclass(frozen=True)
class FittedMethod:
    """A fitted method.

    Attributes:
      name: one of `METHODS`.
      seed: of its training.
      target_l0: the L0 that it was fitted to.
      method: codes and reconstructions.
      seconds: time of fitting, without tuning; for "sparse_coding" it includes learning
        the one dictionary that serves every L0.
      rows_seen: rows in all training steps; 0 without training.
      learning_rate: the one chosen; None for methods without one.
      agreement: mean cosine of its factors and those of the first seed, matched one to
        one; None for the first seed.
    """

    name: str
    seed: int
    target_l0: int
    method: method_lib.Method
    seconds: float
    rows_seen: int
    learning_rate: float | None = None
    agreement: float | None = None


def candidates(
    x: np.ndarray,
    config: ComparisonConfig,
    *,
    done: Sequence[dict[str, Any]] = (),
    progress: Callable[[str], None] = lambda what: None,
) -> Iterator[FittedMethod]:
    """Fits every method at every L0 and seed, one after the other.

    Sparse coding learns one dictionary a seed, for the middle L0, and encodes with it
    for each; autoencoders are trained for each L0. `RANDOM_ENCODER` is skipped: it is
    "sparse_coding" of other rows.

    Args:
      x: [rows, d_model] float32 to learn from, in random order.
      config: what to fit.
      done: rows of `measure` from an earlier call; a method and L0 that they hold for
        every seed is skipped, and their learning rates are reused.
      progress: called with a line of text before each fit.
    """
    finished = {(row["method"], row["target_l0"], row["seed"]) for row in done}
    rates = {row["method"]: row["learning_rate"] for row in done}
    learnt = {}
    for name in config.methods:
        if name == RANDOM_ENCODER:
            continue
        for target_l0 in config.target_l0:
            if finished.issuperset((name, target_l0, seed) for seed in config.seeds):
                continue
            if name in SAE_METHODS and name not in rates:
                progress(f"{name}: {len(config.learning_rates)} learning rates")
                rates[name] = _best_rate(x, name, config)
            first = None
            for seed in config.seeds:
                progress(f"{name}, L0 {target_l0}, seed {seed}")
                if name == "sparse_coding" and seed not in learnt:
                    learnt[seed] = _learn(x, config, seed=seed, progress=progress)
                start = time.perf_counter()
                fitted = _fit(
                    x,
                    name,
                    config,
                    target_l0=target_l0,
                    seed=seed,
                    rate=rates.get(name),
                    learnt=learnt.get(seed),
                )
                jax.block_until_ready(fitted.factors)
                seconds = time.perf_counter() - start
                if name == "sparse_coding":
                    seconds += learnt[seed].seconds
                agreement = None
                if first is None:
                    first = fitted.factors
                else:
                    agreement = method_lib.match_factors(first, fitted.factors)
                yield FittedMethod(
                    name=name,
                    seed=seed,
                    target_l0=target_l0,
                    method=fitted,
                    seconds=seconds,
                    rows_seen=_rows_seen(name, fitted, x, config),
                    learning_rate=rates.get(name),
                    agreement=agreement,
                )


def measure(candidate: FittedMethod, held_out: np.ndarray) -> dict[str, Any]:
    """Returns a row of the comparison, measured on held-out rows.

    Args:
      candidate: what to measure.
      held_out: [rows, d_model] float32.

    Returns:
      ``fvu`` of the method's own codes and ``fvu_debiased`` of non-negative
      least-squares codes on their support (None where codes have either sign), at the
      ``l0`` found.
    """
    metrics = method_lib.measure(candidate.method, held_out)
    debiased = None
    if candidate.name in _REFITTED:
        debiased = metrics.fvu
    elif candidate.name != "pca":
        debiased = method_lib.measure(_Refitted(candidate.method), held_out).fvu
    return {
        "method": candidate.name,
        "seed": candidate.seed,
        "target_l0": candidate.target_l0,
        "l0": metrics.l0,
        "fvu": metrics.fvu,
        "fvu_debiased": debiased,
        "alive": metrics.alive,
        "seconds": candidate.seconds,
        "rows_seen": candidate.rows_seen,
        "learning_rate": candidate.learning_rate,
        "agreement": candidate.agreement,
    }


@dataclasses.dataclass(frozen=True)
class _Refitted:
    """A method whose codes are refitted by least squares on their support."""

    method: method_lib.Method

    @property
    def factors(self) -> jax.Array:
        return self.method.factors

    @property
    def offset(self) -> jax.Array:
        return self.method.offset

    def codes(self, x: jax.Array) -> jax.Array:
        """Returns least-squares codes [rows, n_factors] of ``x`` [rows, d_model]."""
        centred = x - self.offset[None, :]
        return refit(centred, self.factors, self.method.codes(x))

    def reconstruct(self, x: jax.Array) -> jax.Array:
        """Returns ``offset + codes(x) @ factors``, [rows, d_model]."""
        return self.offset[None, :] + self.codes(x) @ self.factors


def _best_rate(x: np.ndarray, name: str, config: ComparisonConfig) -> float:
    """Returns the learning rate with the lowest FVU at the middle L0."""
    if len(config.learning_rates) == 1:
        return config.learning_rates[0]
    held = min(int(len(x) * _VALIDATION), _MAX_VALIDATION)
    tuned = train_sae.tune(
        jnp.asarray(x[held:]),
        validation=jnp.asarray(x[:held]),
        config=_sae_config(
            name, config, target_l0=_middle_l0(config), seed=config.seeds[0]
        ),
        learning_rates=config.learning_rates,
    )
    return tuned.best.config.learning_rate


class _Learnt(NamedTuple):
    """The dictionary of sparse coding, for one seed."""

    factors: jax.Array
    offset: jax.Array
    seconds: float


def _learn(
    x: np.ndarray,
    config: ComparisonConfig,
    *,
    seed: int,
    progress: Callable[[str], None],
) -> _Learnt:
    start = time.perf_counter()

    def tell(done: int, total: int) -> None:
        if done * 10 // total > (done - 1) * 10 // total:
            progress(f"  learning: {done} of {total} steps")

    fitted = sparse_coding.fit(
        x,
        n_factors=config.n_factors,
        target_l0=_middle_l0(config),
        num_passes=config.num_passes,
        seed=seed,
        progress=tell,
    )
    jax.block_until_ready(fitted.factors)
    return _Learnt(fitted.factors, fitted.offset, time.perf_counter() - start)


def _fit(
    x: np.ndarray,
    name: str,
    config: ComparisonConfig,
    *,
    target_l0: int,
    seed: int,
    rate: float | None,
    learnt: _Learnt | None,
) -> method_lib.Method:
    if name in SAE_METHODS:
        settings = _sae_config(name, config, target_l0=target_l0, seed=seed)
        return train_sae.train(
            jnp.asarray(x), config=dataclasses.replace(settings, learning_rate=rate)
        )
    if name == "pca":
        return pca.fit(jnp.asarray(x), n_components=min(target_l0, x.shape[1]))
    if name == "sparse_coding" and learnt is not None:
        _, unseen = method_lib.keep_back(x)
        return sparse_coding.with_target_l0(
            unseen,
            learnt.factors,
            offset=np.asarray(learnt.offset),
            target_l0=target_l0,
        )
    return getattr(sparse_coding, name)(
        x, n_factors=config.n_factors, target_l0=target_l0, seed=seed
    )


def _middle_l0(config: ComparisonConfig) -> int:
    return sorted(config.target_l0)[len(config.target_l0) // 2]


def _rows_seen(
    name: str, fitted: method_lib.Method, x: np.ndarray, config: ComparisonConfig
) -> int:
    if isinstance(fitted, train_sae.TrainedSAE):
        return fitted.rows_seen
    learnt_from, _ = method_lib.keep_back(x)
    return len(learnt_from) * config.num_passes if name == "sparse_coding" else 0


def _sae_config(
    name: str, config: ComparisonConfig, *, target_l0: int, seed: int
) -> sae.SAEConfig:
    return sae.SAEConfig(
        kind=name.removeprefix("sae_"),
        n_factors=config.n_factors,
        target_l0=target_l0,
        num_passes=config.num_passes,
        seed=seed,
    )

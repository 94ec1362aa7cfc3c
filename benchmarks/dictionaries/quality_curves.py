"""Learns for several lengths of time and measures each dictionary at one L0."""

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.comparison import method as method_lib
from tfvis_jax.comparison import methods, sae, sparse_coding, train_sae
from tfvis_jax.errors import InputError

METHODS = ("sparse_coding", *methods.SAE_METHODS)
DEFAULT = ("sparse_coding", "sae_batchtopk", "sae_jumprelu", "sae_matryoshka")
_LEARNING = sparse_coding.Learning()
# Steps of our learning after which all programs are compiled.
_WARM_STEPS = 2

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurveConfig:
    """What is measured.

    Attributes:
      methods: of `METHODS`.
      rows_seen: rows in all steps of a training, one point of a curve each.
      seeds: every point is measured with each.
      learning_rates: tried for autoencoders.
      n_factors: factors of every dictionary.
      target_l0: mean number of active factors in a row.
      learning: how sparse coding learns.
    """

    methods: tuple[str, ...] = DEFAULT
    rows_seen: tuple[int, ...] = (60_000,)
    seeds: tuple[int, ...] = (0,)
    learning_rates: tuple[float, ...] = (3e-3,)
    n_factors: int = 1024
    target_l0: int = 32
    learning: sparse_coding.Learning = _LEARNING

    def __post_init__(self) -> None:
        unknown = sorted(set(self.methods) - set(METHODS))
        if unknown or not self.methods:
            raise InputError(f"Expected --methods of {METHODS}, got {unknown}.")
        if not 1 <= self.target_l0 <= self.n_factors:
            raise InputError(
                f"Expected --l0 from 1 to --n_factors {self.n_factors}, got "
                f"{self.target_l0}."
            )


class Time(NamedTuple):
    """How long something took.

    Attributes:
      seconds: on the clock.
      processor_seconds: of all threads, in the program and in the system.
    """

    seconds: float
    processor_seconds: float


class Learnt(NamedTuple):
    """A method for one L0.

    Attributes:
      method: calibrated.
      rows_seen: rows in all its steps.
      learning: time of learning.
      compiling: of compilation, with a few steps in the case of sparse coding.
      calibrating: of finding what gives the L0.
      learning_rate: of an autoencoder, else None.
    """

    method: method_lib.Method
    rows_seen: int
    learning: Time
    compiling: Time
    calibrating: Time
    learning_rate: float | None = None


def rows(
    x: np.ndarray,
    held_out: np.ndarray,
    config: CurveConfig,
    *,
    progress: Callable[[str], None] = lambda what: None,
) -> Iterator[dict[str, Any]]:
    """Yields one row of the JSON for each method, number of rows seen and seed.

    Args:
      x: [rows, d_model] float32 to learn from, in random order.
      held_out: [held-out rows, d_model] float32.
      config: what to measure.
      progress: called with a line of text before each piece of work.
    """
    # The same rows calibrate every dictionary, however few it has learnt from.
    _, unseen = method_lib.keep_back(x)
    for seed, name, wanted in itertools.product(
        config.seeds, config.methods, sorted(config.rows_seen)
    ):
        progress(f"{name}, {wanted:,} rows seen, seed {seed}")
        part, num_passes = x[:wanted], max(1, wanted // len(x))
        settings: dict[str, Any] = {
            "config": config,
            "num_passes": num_passes,
            "seed": seed,
        }
        learn = _learn if name == "sparse_coding" else _train
        learnt = learn(part, unseen, name=name, **settings)
        figures = method_lib.measure(learnt.method, held_out)
        yield {
            "method": name,
            "seed": seed,
            "rows_seen": learnt.rows_seen,
            **learnt.learning._asdict(),
            "compile_seconds": learnt.compiling.seconds,
            "calibration_processor_seconds": learnt.calibrating.processor_seconds,
            "l0": figures.l0,
            "fvu": figures.fvu,
            "alive": figures.alive,
            "learning_rate": learnt.learning_rate,
        }


def _learn(
    x: np.ndarray,
    unseen: np.ndarray,
    *,
    name: str,
    config: CurveConfig,
    num_passes: int,
    seed: int,
) -> Learnt:
    """Learns by sparse coding."""
    del name

    def learn(
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> tuple[jax.Array, np.ndarray]:
        return sparse_coding.learn_factors(
            x,
            n_factors=config.n_factors,
            target_l0=config.target_l0,
            num_passes=num_passes,
            seed=seed,
            learning=config.learning,
            progress=progress,
        )

    _, compiling = _timed(lambda: _warm(learn))
    (factors, offset), learning = _timed(learn)
    found, calibrating = _timed(
        lambda: sparse_coding.with_target_l0(
            unseen, factors, offset=offset, target_l0=config.target_l0
        )
    )
    kept, _ = method_lib.keep_back(x)
    return Learnt(found, num_passes * len(kept), learning, compiling, calibrating)


class _WarmError(Exception):
    """All programs are compiled."""


def _warm(learn: Callable[..., Any]) -> None:
    def stop(done: int, total: int) -> None:
        del total
        if done >= _WARM_STEPS:
            raise _WarmError

    with contextlib.suppress(_WarmError):
        learn(progress=stop)


def _train(
    x: np.ndarray,
    unseen: np.ndarray,
    *,
    name: str,
    config: CurveConfig,
    num_passes: int,
    seed: int,
) -> Learnt:
    """Trains an autoencoder with every learning rate; returns the best."""
    rows = jnp.asarray(x)
    validation = jnp.asarray(unseen)
    tried = []
    for rate in config.learning_rates:
        settings = sae.SAEConfig(
            kind=name.removeprefix("sae_"),
            n_factors=config.n_factors,
            target_l0=config.target_l0,
            learning_rate=rate,
            num_passes=num_passes,
            seed=seed,
        )
        train, compiling = _timed(
            lambda settings=settings: train_sae.compile_training(rows, config=settings)
        )
        trained, learning = _timed(train)
        found, calibrating = _timed(
            lambda trained=trained: train_sae.calibrate(trained, validation)
        )
        seen = trained.rows_seen
        tried.append(Learnt(found, seen, learning, compiling, calibrating, rate))
    if len(tried) == 1:
        return tried[0]
    return min(tried, key=lambda each: method_lib.measure(each.method, validation).fvu)


def _timed(work: Callable[[], Result]) -> tuple[Result, Time]:
    start, processor_start = time.perf_counter(), time.process_time()
    result = work()
    # A method's arrays are its factors; what else it has is finished with them.
    jax.block_until_ready(getattr(result, "factors", result))
    spent = time.perf_counter() - start
    return result, Time(spent, time.process_time() - processor_start)

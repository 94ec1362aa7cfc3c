"""Trains and tunes sparse autoencoders on rows that fit into memory.

Rows are scaled so that their mean squared distance from the mean row is 1: losses are
then fractions of variance, and learning rates carry over from one model to another. The
result is scaled back.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tfvis_jax.comparison import method, sae, sae_loop
from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import checks

LEARNING_RATES = (1.5e-3, 3e-3, 6e-3)


@dataclasses.dataclass(frozen=True)
class TrainedSAE:
    """A trained autoencoder as a `method.Method`.

    Attributes:
      config: settings of its training.
      model: its parameters, in the scale of the rows given.
      history: course of the training.
      rows_seen: number of rows in all steps.
    """

    config: sae.SAEConfig
    model: sae.SparseAutoencoder
    history: sae_loop.History
    rows_seen: int

    @property
    def decoder(self) -> jax.Array:
        """[n_factors, d_model], unit rows."""
        return self.model.decoder[...]

    factors = decoder

    @property
    def offset(self) -> jax.Array:
        """[d_model], the decoder's bias."""
        return self.model.offset[...]

    def encode(self, x: jax.Array) -> jax.Array:
        """Returns the codes [rows, n_factors] >= 0 of ``x`` [rows, d_model]."""
        return _encode(self.model, x)

    codes = encode

    def decode(self, codes: jax.Array) -> jax.Array:
        """Returns the rows [rows, d_model] that codes [rows, n_factors] stand for."""
        return _decode(self.model, codes)

    def reconstruct(self, x: jax.Array) -> jax.Array:
        """Returns the reconstruction [rows, d_model] of ``x`` [rows, d_model]."""
        return self.decode(self.encode(x))


class Tuned(NamedTuple):
    """The best of several learning rates.

    Attributes:
      best: the autoencoder with the lowest FVU on the validation rows; calibrated.
      fvu: of every learning rate, on the validation rows.
    """

    best: TrainedSAE
    fvu: dict[float, float]


def train(x: jax.Array, *, config: sae.SAEConfig) -> TrainedSAE:
    """Trains one autoencoder and calibrates it.

    The last rows are kept for calibration where there are many (`method.keep_back`).

    Args:
      x: [rows, d_model] float32; at least two rows that differ.
      config: settings; the same settings and rows give the same result.

    Raises:
      InputError: if the rows have another form, are not finite, or are all equal.
    """
    problem = _problem(x, config)
    model, history = sae_loop.fit(*problem.rows, **problem.varying, **problem.static)
    return calibrate(_finished(problem, model, history), problem.unseen)


def compile_training(
    x: jax.Array, *, config: sae.SAEConfig
) -> Callable[[], TrainedSAE]:
    """Compiles the training of one autoencoder and does not run it.

    Args:
      x: as for `train`.
      config: as for `train`.

    Returns:
      What trains, without compiling anything, and returns the autoencoder of `train`
      before it is calibrated.

    Raises:
      InputError: as `train` does.
    """
    problem = _problem(x, config)
    program = sae_loop.fit.lower(
        *problem.rows, **problem.varying, **problem.static
    ).compile()

    def run() -> TrainedSAE:
        return _finished(problem, *program(*problem.rows, **problem.varying))

    return run


class _Problem(NamedTuple):
    """What `sae_loop.fit` is given, and what its result needs."""

    config: sae.SAEConfig
    rows: tuple[jax.Array, jax.Array]
    varying: dict[str, Any]
    static: dict[str, sae.SAEConfig]
    scale: jax.Array
    unseen: jax.Array


def _problem(x: jax.Array, config: sae.SAEConfig) -> _Problem:
    x = jnp.asarray(x)
    _check(x)
    x, unseen = method.keep_back(x)
    mean = jnp.mean(x, axis=0)
    scale = jnp.sqrt(jnp.mean(jnp.sum((x - mean[None, :]) ** 2, axis=1)))
    if not float(scale) > 0:
        raise InputError("Expected rows that differ from each other, got equal ones.")
    # The rate is an argument of its own, so that tuning it compiles once.
    static = dataclasses.replace(
        config,
        batch_size=min(config.batch_size, x.shape[0]),
        learning_rate=1.0,
        seed=0,
    )
    return _Problem(
        config=config,
        rows=(x / scale, mean / scale),
        varying={
            "learning_rate": config.learning_rate,
            "key": jax.random.key(config.seed),
        },
        static={"config": static},
        scale=scale,
        unseen=unseen,
    )


def _finished(
    problem: _Problem, model: sae.SparseAutoencoder, history: sae_loop.History
) -> TrainedSAE:
    """Returns the autoencoder for rows as they were given, not calibrated."""
    batch_size = problem.static["config"].batch_size
    num_rows = problem.rows[0].shape[0] // batch_size * batch_size
    model = model.scaled(problem.scale)
    model.config = problem.config
    rows_seen = problem.config.num_passes * num_rows
    return TrainedSAE(problem.config, model, history, rows_seen)


def tune(
    x: jax.Array,
    *,
    validation: jax.Array,
    config: sae.SAEConfig,
    learning_rates: Sequence[float] = LEARNING_RATES,
) -> Tuned:
    """Trains once with every learning rate and keeps the best.

    Each is calibrated on the validation rows first, so that all have the target L0:
    otherwise the lowest FVU would be that of the densest codes.

    Args:
      x: [rows, d_model] float32 to train on.
      validation: [rows, d_model] of the same text, in neither the training nor the
        reported rows.
      config: settings; its learning rate is not used.
      learning_rates: rates to try.
    """
    trained = [
        calibrate(
            train(x, config=dataclasses.replace(config, learning_rate=rate)), validation
        )
        for rate in learning_rates
    ]
    fvu = [method.measure(candidate, validation).fvu for candidate in trained]
    best = trained[int(np.argmin(fvu))]
    return Tuned(best, dict(zip(learning_rates, fvu, strict=True)))


def calibrate(trained: TrainedSAE, x: jax.Array) -> TrainedSAE:
    """Returns the autoencoder with its L0 at inference set to the target on ``x``.

    Args:
      trained: autoencoder to calibrate; it is not modified.
      x: [rows, d_model] not trained on; the first `method.CALIBRATION_ROWS` are used.
    """
    model = _calibrate(trained.model, jnp.asarray(x[: method.CALIBRATION_ROWS]))
    return dataclasses.replace(trained, model=model)


@jax.jit
def _calibrate(model: sae.SparseAutoencoder, x: jax.Array) -> sae.SparseAutoencoder:
    model = nnx.clone(model)
    model.calibrate(x)
    return model


_encode = jax.jit(lambda model, x: model.encode(x))
_decode = jax.jit(lambda model, codes: model.decode(codes))


def _check(x: jax.Array) -> None:
    if x.ndim != 2 or x.dtype != jnp.float32 or x.shape[0] < 2:
        raise InputError(
            "Expected `x` to be float32 of shape [rows, d_model] with at least two "
            f"rows, got {x.dtype} of shape {x.shape}."
        )
    checks.check_values({"x": x})

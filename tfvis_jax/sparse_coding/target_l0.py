"""Finds the λ that gives a wanted number of active factors, and keeps it there.

People think of sparsity as L0, the mean number of factors in a code; the lasso is
parametrised by λ. L0 falls as λ grows, so a search on a sample of rows finds λ, and a
slow controller follows while the dictionary changes.
"""

import functools
import math
import numbers
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.core import Tracer

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import certificate, checks, encoding
from tfvis_jax.sparse_coding.arrays import Factors, Rows, Scalar

_SEARCHES = 12
# The first λ that is tried, as a share of the one at which all codes are zero.
_FIRST = 0.1
# Change of log L0 with log λ, at most; at least its inverse.
_STEEPEST = 4.0
# A sample of some thousand rows knows its L0 no better than this.
_CLOSE = 0.01
# Looking for λ needs codes whose support is right, not their last digits. But at a
# loose tolerance codes that are on their way to zero still count, not always fewer for
# a larger λ, so that a search may go astray: then it is done again, more exactly.
_TOLERANCES = (1e-3, 1e-5)
# A miss by more than this share is said.
_MISSED = 0.05
# A target that is missed by more than this share is out of reach.
_FAR = 0.5
# λ is sought below the largest correlation of any row, where all codes are zero.
_SMALLEST = 1e-4
# Share of a relative error in L0 that one step corrects, in log λ; the mean over some
# tens of steps decides, not the noise of one batch.
_GAIN = 0.05
# The same for the scale of a layer, which moves once a batch.
_GAIN_OF_LAYERS = 0.2
# Share of the training in which λ warms up.
_WARMUP = 0.3


def for_l0(
    x: Rows,
    dictionary: Factors,
    *,
    target_l0: float,
) -> Scalar:
    """Returns the λ at which codes of ``x`` have ``target_l0`` factors on average.

    Args:
      x: [batch, d_model] sample of rows.
      dictionary: [n_factors, d_model].
      target_l0: mean number of non-zero codes in a row, > 0.

    A warning says so where the nearest λ misses the target by more than 5 %, as with
    few rows, whose L0 moves in jumps.

    Raises:
      InputError: no λ gives so many factors, ``target_l0`` is not positive, there are
        no rows, or arrays are traced, not finite or of other shapes.
    """
    if not (isinstance(target_l0, numbers.Real | jax.Array) and target_l0 > 0):
        raise InputError(f"Expected `target_l0` above 0, got {target_l0!r}.")
    if isinstance(x, Tracer) or isinstance(dictionary, Tracer):
        raise InputError(
            "Expected arrays with known values, got traced ones; find λ outside `jit`."
        )
    checks.check_shapes(x, dictionary)
    checks.check_values({"x": x, "dictionary": dictionary})
    if not len(x):
        raise InputError("Expected some rows to find λ on, got none.")
    x, dictionary = jnp.asarray(x), jnp.asarray(dictionary)
    highest = float(jnp.max(certificate.correlate(x, dictionary)))
    if not highest > 0:
        raise InputError("Expected rows that correlate with some factor, got none.")
    l1_penalty, l0 = highest, 0.0
    for tolerance in _TOLERANCES:
        l1_penalty, l0 = search(
            functools.partial(_mean_l0, x, dictionary, tolerance=tolerance),
            target_l0=target_l0,
            highest=highest,
        )
        # L0 moves in jumps where there are few rows; the nearest is good enough then.
        if l0 >= (1 - _FAR) * target_l0:
            if abs(l0 / target_l0 - 1) > _MISSED:
                warnings.warn(
                    f"Codes of these rows have {l0:.3g} factors on average, not the "
                    f"{target_l0:g} asked for, at the λ that comes nearest, "
                    f"{l1_penalty:.3g}. More rows, or others, may come nearer.",
                    stacklevel=2,
                )
            return jnp.float32(l1_penalty)
    raise InputError(
        f"Expected `target_l0` within reach of the dictionary, got {target_l0}: "
        f"even at λ = {l1_penalty:.1e} a row of the sample uses only {l0:.1f} of "
        f"{dictionary.shape[0]} factors."
    )


def search(
    l0_at: Callable[[float], float], *, target_l0: float, highest: float
) -> tuple[float, float]:
    """Searches the λ at which codes have ``target_l0`` factors on average.

    By secants in log λ and log L0, inside an interval that every third guess halves:
    small λ, whose codes cost most, are seldom tried.

    Args:
      l0_at: maps λ to the mean number of active factors; falls as λ grows.
      target_l0: what it should be.
      highest: λ from which on all codes are zero.

    Returns:
      The λ whose L0 came nearest to the target, and that L0.
    """
    low, high = _SMALLEST * highest, highest
    guess = _FIRST * highest
    found: list[tuple[float, float]] = []
    for number in range(_SEARCHES):
        l0 = l0_at(guess)
        found.append((guess, l0))
        if abs(l0 / target_l0 - 1) <= _CLOSE:
            break
        low, high = (guess, high) if l0 > target_l0 else (low, guess)
        middle = (low * high) ** 0.5
        guess = middle
        # Every third guess halves the interval, however badly a line fits.
        if l0 > 0 and number % 3 < 2:
            line = _on_line(found, target_l0=target_l0)
            guess = line if low < line < high else middle
    return min(found, key=lambda pair: abs(pair[1] - target_l0))


def _on_line(found: list[tuple[float, float]], *, target_l0: float) -> float:
    """Returns the λ of the target on the line through the last two points.

    In both logarithms, where L0 is nearly a line; through the last alone with slope -1.
    """
    penalty, l0 = found[-1]
    slope = -1.0
    if len(found) > 1 and found[-2][1] > 0 and found[-2][1] != l0:
        before, l0_before = found[-2]
        slope = math.log(l0 / l0_before) / math.log(penalty / before)
        slope = min(max(slope, -_STEEPEST), -1 / _STEEPEST)
    return penalty * (target_l0 / l0) ** (1 / slope)


def _mean_l0(
    x: jax.Array, dictionary: jax.Array, l1_penalty: float, *, tolerance: float
) -> float:
    codes = encoding.encode(
        x, dictionary, l1_penalty=l1_penalty, tolerance=tolerance
    ).codes
    return float(_l0(codes))


@jax.jit
def _l0(codes: jax.Array) -> jax.Array:
    return jnp.mean(jnp.sum(codes != 0, axis=1))


def track(
    l1_penalty: jax.Array, l0: jax.Array, *, target_l0: jax.Array | float
) -> jax.Array:
    """Returns λ for the next step: larger where codes were too dense, else smaller.

    Args:
      l1_penalty: λ of this step.
      l0: its mean number of active factors.
      target_l0: what it should be.
    """
    error = jnp.clip(l0 / target_l0 - 1, -1, 1)
    return l1_penalty * jnp.exp(_GAIN * error)


def equalise(
    layer_scale: jax.Array, codes: jax.Array, layer: jax.Array, valid: jax.Array
) -> jax.Array:
    """Returns scales of layers for the next batch: larger where codes were too dense.

    A row that is divided by more has fewer active factors at the same λ. Their
    geometric mean stays.

    Args:
      layer_scale: [n_layers], what rows were divided by.
      codes: [batch, n_factors].
      layer: [batch] int32.
      valid: [batch] bool.
    """
    layers = jnp.arange(len(layer_scale), dtype=layer.dtype)
    belongs = (layer[:, None] == layers[None, :]) & valid[:, None]
    n_active = jnp.sum(codes != 0, axis=1).astype(layer_scale.dtype)
    n_rows = jnp.sum(belongs, axis=0).astype(layer_scale.dtype)
    l0 = jnp.sum(jnp.where(belongs, n_active[:, None], 0), axis=0)
    l0 = l0 / jnp.maximum(n_rows, 1)
    mean = jnp.sum(l0) / jnp.maximum(jnp.sum(n_rows > 0), 1).astype(l0.dtype)
    error = jnp.clip(l0 / jnp.maximum(mean, 1e-9) - 1, -1, 1)
    change = _GAIN_OF_LAYERS * jnp.where(n_rows > 0, error, 0)
    return layer_scale * jnp.exp(change - jnp.mean(change))


def warmup(first: float, *, progress: jax.Array) -> jax.Array:
    """Returns the multiple of λ that training takes: ``first``, falling to 1.

    It falls geometrically in the first 30 % of the training. Codes that are sparser at
    first give factors that leave less of the variance in the end.

    Args:
      first: the multiple at the beginning; static.
      progress: scalar, the share of the training that is done.
    """
    return first ** jnp.maximum(1 - progress / _WARMUP, 0)

"""Rows with a dictionary whose factors they are sums of, made on the device.

Hidden states are anisotropic: a few directions hold most of their variance, and all of
them share a mean. So factors are drawn with a falling spectrum, share a direction, and
fire with frequencies that follow a power law. With the constants below spectral steps
need about as many steps for a row as for hidden states of a MiniLM with as many active
factors (docs/solvers.md), where random factors would need a quarter.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax import sparse_coding

# Factors that a row is a sum of, and that λ is chosen for.
ACTIVE, TARGET_L0 = 40, 35.0
# Falls of the spectrum and of the frequencies of factors, as powers.
_SPECTRUM, _FREQUENCY = 0.35, 0.5
# Of the shared direction in a factor, and of noise in a row, as shares of their norms.
_SHARED, _NOISE = 0.3, 0.3
# Rows that are made at once: ACTIVE factors are gathered for each.
_BLOCK = 2048
# Rows that λ is found on, halvings of its logarithm's range, and how exact codes are.
_SAMPLE, _BISECTIONS, _TOLERANCE = 512, 12, 1e-3


class Planted(NamedTuple):
    """A problem with a known kind of answer.

    Attributes:
      x: [rows, d_model], of a root-mean-square norm of 1.
      dictionary: [n_factors, d_model], unit rows.
    """

    x: jax.Array
    dictionary: jax.Array


@functools.partial(jax.jit, static_argnames=("n_rows", "d_model", "n_factors"))
def make(key: jax.Array, *, n_rows: int, d_model: int, n_factors: int) -> Planted:
    """Makes factors and rows.

    Args:
      key: decides all of it.
      n_rows: number of rows.
      d_model: numbers in a row.
      n_factors: number of factors.
    """
    key_factors, key_shared, key_rows = jax.random.split(key, 3)
    spectrum = (1 + jnp.arange(d_model, dtype=jnp.float32)) ** -_SPECTRUM
    shared = _unit(jax.random.normal(key_shared, (1, d_model)) * spectrum[None])
    own = _unit(jax.random.normal(key_factors, (n_factors, d_model)) * spectrum[None])
    dictionary = _unit(own + _SHARED * shared)
    frequency = (10 + jnp.arange(n_factors, dtype=jnp.float32)) ** -_FREQUENCY
    below = jnp.cumsum(frequency) / jnp.sum(frequency)
    block = min(_BLOCK, n_rows)

    def rows(key: jax.Array) -> jax.Array:
        key_which, key_codes, key_noise = jax.random.split(key, 3)
        drawn = jax.random.uniform(key_which, (block, min(ACTIVE, n_factors)))
        which = jnp.minimum(jnp.searchsorted(below, drawn), n_factors - 1)
        codes = jax.random.exponential(key_codes, which.shape)
        x = jnp.einsum("bk,bkd->bd", codes, dictionary[which])
        noise = jax.random.normal(key_noise, x.shape) * spectrum[None]
        return _mean_norm_one(_mean_norm_one(x) + _NOISE * _mean_norm_one(noise))

    keys = jax.random.split(key_rows, -(-n_rows // block))
    x = jax.lax.map(rows, keys).reshape(-1, d_model)
    return Planted(x[:n_rows], dictionary)


def find_penalty(problem: Planted, *, target_l0: float) -> float:
    """Returns a λ at which rows have about so many active factors.

    One compiled program does it on any accelerator, where `for_l0` may take two.

    Args:
      problem: rows and factors.
      target_l0: mean number of active factors.
    """
    x = problem.x[:_SAMPLE]

    @jax.jit
    def mean_l0(x: jax.Array, dictionary: jax.Array, penalty: jax.Array) -> jax.Array:
        codes = sparse_coding.encode(
            x,
            dictionary,
            l1_penalty=penalty,
            solver="spectral",
            tolerance=_TOLERANCE,
        ).codes
        return jnp.mean(jnp.sum(codes != 0, axis=1).astype(jnp.float32))

    # Rows have norms near 1, so that at λ = 1 hardly a code is left.
    low, high = 1e-4, 1.0
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        if float(mean_l0(x, problem.dictionary, jnp.float32(middle))) > target_l0:
            low = middle
        else:
            high = middle
    return (low * high) ** 0.5


def _unit(rows: jax.Array) -> jax.Array:
    return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)


def _mean_norm_one(rows: jax.Array) -> jax.Array:
    return rows / jnp.sqrt(jnp.mean(jnp.sum(rows**2, axis=1)))

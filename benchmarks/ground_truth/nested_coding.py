"""Nested sparse coding as a method to compare: `nested_learning` and its codes.

Learning infers codes level by level; afterwards all factors are coded together, each
with a λ of its own,

    λ_f = λ · (log(1/p_f) + ½) / mean_g (log(1/p_g) + ½),

since a rare factor needs more evidence than a frequent one: −log p_f is what its firing
costs a priori. The support is then refitted without the penalty.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.ground_truth import nested_learning
from tfvis_jax.comparison import method
from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import encode, refit
from tfvis_jax.sparse_coding import target_l0 as target_l0_lib

# L0 while learning, as a share of what is wanted: more costs variance, less F1.
_LEARNING_SHARE = 0.8
_RARITY_OFFSET = 0.5
_LEAST_RATE = 1e-4
# Rows that λ and offset are found on, at most.
_SAMPLE = 8192
_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class NestedSparseCoding:
    """A nested dictionary with the codes of all its factors.

    Attributes:
      factors: [n_factors, d_model], unit rows, the shortest prefix first.
      offset: [d_model], added to what the codes give.
      centre: [d_model], taken from the rows before they are coded; the offset is this
        and the mean of what codes leave.
      penalties: [n_factors], λ_f.
    """

    factors: jax.Array
    offset: jax.Array
    centre: jax.Array
    penalties: jax.Array

    def codes(self, x: jax.Array) -> jax.Array:
        """Returns the codes [rows, n_factors] >= 0 of ``x`` [rows, d_model]."""
        return _codes(x - self.centre[None, :], self.factors, self.penalties)

    def reconstruct(self, x: jax.Array) -> jax.Array:
        """Returns ``offset + codes(x) @ factors``, [rows, d_model]."""
        return self.offset[None, :] + self.codes(x) @ self.factors


def fit(
    x: np.ndarray,
    *,
    n_factors: int,
    target_l0: float,
    num_passes: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NestedSparseCoding:
    """Learns a nested dictionary for a target L0.

    Args:
      x: [rows, d_model] float32.
      n_factors: number of factors.
      target_l0: mean number of active factors in a row.
      num_passes: times that every row is seen; of many rows, a thirty-second is kept to
        find λ on instead.
      seed: of first factors and order of rows.
      progress: called with (steps done, steps in all).

    Raises:
      InputError: rows do not differ, or no λ gives ``target_l0``.
    """
    _, scale = method.centre_and_scale(x)
    rows, unseen = method.keep_back(x)
    state = nested_learning.learn(
        rows / scale,
        n_factors=n_factors,
        l0=_LEARNING_SHARE * target_l0,
        num_passes=num_passes,
        seed=seed,
        progress=progress,
    )
    return with_target_l0(
        unseen,
        state.factors,
        centre=np.asarray(state.offset) * scale,
        rates=np.asarray(state.rates),
        target_l0=target_l0,
    )


def with_target_l0(
    x: np.ndarray,
    factors: jax.Array,
    *,
    centre: np.ndarray,
    rates: np.ndarray,
    target_l0: float,
) -> NestedSparseCoding:
    """Returns the method whose codes have ``target_l0`` factors on average.

    Args:
      x: [rows, d_model]; λ is found on some of them, evenly spaced.
      factors: [n_factors, d_model], unit rows.
      centre: [d_model], taken from the rows first.
      rates: [n_factors], how often each factor fires.
      target_l0: mean number of active factors in a row.

    Raises:
      InputError: no λ gives ``target_l0``.
    """
    y = jnp.asarray(x[:: -(-len(x) // _SAMPLE)] - centre)
    rarity = np.log(1 / np.clip(rates, _LEAST_RATE, 1)) + _RARITY_OFFSET
    rarity = jnp.asarray(rarity / np.mean(rarity), jnp.float32)
    highest = float(jnp.max((y @ factors.T) / rarity[None, :]))

    def l0_at(l1_penalty: float) -> float:
        codes = _codes(y, factors, l1_penalty * rarity)
        return float(jnp.mean(jnp.sum(codes > 0, axis=1, dtype=jnp.float32)))

    l1_penalty, l0 = target_l0_lib.search(l0_at, target_l0=target_l0, highest=highest)
    if not 0.5 * target_l0 <= l0 <= 2 * target_l0:
        raise InputError(
            f"Expected `target_l0` within reach of the dictionary, got {target_l0}: "
            f"the nearest L0 is {l0:.1f} of {len(factors)} factors."
        )
    penalties = l1_penalty * rarity
    left = jnp.mean(y - _codes(y, factors, penalties) @ factors, axis=0)
    return NestedSparseCoding(
        factors=jnp.asarray(factors),
        offset=centre + left,
        centre=jnp.asarray(centre),
        penalties=penalties,
    )


@jax.jit
def _codes(y: jax.Array, factors: jax.Array, penalties: jax.Array) -> jax.Array:
    found = encode(y, factors, l1_penalty=penalties[None, :], tolerance=_TOLERANCE)
    return refit(y, factors, found.codes)

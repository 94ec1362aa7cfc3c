"""Sparse coding as a method to compare: learned, random or sample factors.

All three encode alike, by gradual pruning. The lasso selects more factors than are
wanted. Then, in rounds, the active codes are refitted by non-negative least squares and
the smallest fifth is dropped, until the mean L0 is the target. Each round has one
threshold for all rows and factors, so that a row keeps as many as it needs. Refitted
codes tell which factors are redundant; the lasso's shrunken codes do not: dropping the
whole surplus at once leaves up to a fifth more variance unexplained.

Random and sample factors are uncomfortably strong baselines (Korznikov et al., 2026,
arXiv:2602.14111).
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax.comparison import method
from tfvis_jax.learning import learn
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import encode, for_l0, refit

# How many more factors than wanted the lasso finds in learning. A dictionary learnt at
# an L0 of 44 is encoded better at 16, 32 and 64 than one learnt at 24, 32 or 86: see
# "How soon a dictionary is good" in docs/quality.md.
_SURPLUS = 12
# In encoding it finds so many more, or so many times as many where that is more.
_ENCODING_SURPLUS = 40
_TIMES = 2
# Share of the factors in use that a round of pruning keeps.
_KEEP = 0.8
# Rows that λ and the thresholds are found on.
_SAMPLE = 4096
_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learning:
    """How the dictionary is learnt.

    Attributes:
      update: direction of the dictionary step, of `config.UPDATES`.
      step_size: its size at first; it falls to a tenth of that.
      rows_per_step: rows in one step.
      tolerance: relative duality gap of the codes of a step.
      surplus: how many more factors than wanted its codes have.
    """

    update: str = "energy"
    step_size: float = 0.2
    rows_per_step: int = 1024
    tolerance: float = _TOLERANCE
    surplus: int = _SURPLUS


@dataclasses.dataclass(frozen=True, kw_only=True)
class SparseCoding:
    """A dictionary whose codes the lasso solver infers, pruned and refitted.

    Attributes:
      factors: [n_factors, d_model], unit rows.
      offset: [d_model], taken from the rows first; zeros for none.
      l1_penalty: λ.
      least_codes: of each round of pruning, below which refitted codes are dropped.
    """

    factors: jax.Array
    offset: jax.Array
    l1_penalty: float
    least_codes: tuple[float, ...] = ()

    def codes(self, x: jax.Array) -> jax.Array:
        """Returns the codes [rows, n_factors] >= 0 of ``x`` [rows, d_model]."""
        centred = x - self.offset[None, :]
        codes = _lasso(centred, self.factors, self.l1_penalty)
        codes = refit(centred, self.factors, codes)
        for least_code in self.least_codes:
            codes = jnp.where(codes >= least_code, codes, 0)
            codes = refit(centred, self.factors, codes)
        return codes

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
) -> SparseCoding:
    """Learns a dictionary for a target L0.

    Args:
      x: [rows, d_model] float32.
      n_factors: number of factors.
      target_l0: mean number of active factors in a row.
      num_passes: times that every row is seen.
      seed: of first factors and order of rows.
      progress: called with (steps done, steps in all).
    """
    _, unseen = method.keep_back(x)
    factors, offset = learn_factors(
        x,
        n_factors=n_factors,
        target_l0=target_l0,
        num_passes=num_passes,
        seed=seed,
        progress=progress,
    )
    return with_target_l0(unseen, factors, offset=offset, target_l0=target_l0)


def learn_factors(
    x: np.ndarray,
    *,
    n_factors: int,
    target_l0: float,
    num_passes: int,
    seed: int,
    learning: Learning = Learning(),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[jax.Array, np.ndarray]:
    """Learns the dictionary of `fit`, without the settings of its codes.

    Args:
      x: [rows, d_model] float32.
      n_factors: number of factors.
      target_l0: mean number of active factors in a row.
      num_passes: times that every row is seen.
      seed: of first factors and order of rows.
      learning: how it is learnt.
      progress: called with (steps done, steps in all).

    Returns:
      The factors [n_factors, d_model] and the offset [d_model] of rows.
    """
    rows, _ = method.keep_back(x)
    offset, scale = method.centre_and_scale(rows)
    state = learn(
        (rows - offset) / scale,
        solver=config_lib.SolverConfig(tolerance=learning.tolerance),
        sparsity=config_lib.SparsityConfig(
            target_l0=_learning_l0(target_l0, learning.surplus, n_factors, x.shape[1])
        ),
        dictionary=config_lib.DictionaryConfig(
            n_factors=n_factors,
            update=learning.update,
            step_size=learning.step_size,
        ),
        rows_per_step=learning.rows_per_step,
        num_passes=num_passes,
        seed=seed,
        progress=progress,
    )
    return state.dictionary, offset


def random_factors(
    x: np.ndarray, *, n_factors: int, target_l0: float, seed: int
) -> SparseCoding:
    """Returns a dictionary of directions drawn from the unit sphere."""
    rows, unseen = method.keep_back(x)
    factors = dictionary_lib.initialise_normal(
        jax.random.key(seed), n_factors=n_factors, d_model=x.shape[1]
    )
    offset = np.mean(rows, axis=0)
    return with_target_l0(unseen, factors, offset=offset, target_l0=target_l0)


def sample_factors(
    x: np.ndarray, *, n_factors: int, target_l0: float, seed: int
) -> SparseCoding:
    """Returns a dictionary of unit rows of the data, less their mean; never trained."""
    rows, unseen = method.keep_back(x)
    offset = np.mean(rows, axis=0)
    chosen = np.random.default_rng(seed).permutation(len(rows))[: 8 * n_factors]
    factors = dictionary_lib.initialise_from_samples(
        jnp.asarray(rows[chosen] - offset),
        n_factors=n_factors,
        key=jax.random.key(seed),
    )
    return with_target_l0(unseen, factors, offset=offset, target_l0=target_l0)


def with_target_l0(
    x: np.ndarray, factors: jax.Array, *, offset: np.ndarray, target_l0: float
) -> SparseCoding:
    """Returns the method whose codes have ``target_l0`` factors on average.

    Args:
      x: [rows, d_model]; λ and thresholds are found on some of them, evenly spaced.
      factors: [n_factors, d_model], unit rows.
      offset: [d_model], taken from the rows first.
      target_l0: mean number of active factors in a row.
    """
    sample = jnp.asarray(x[:: -(-len(x) // _SAMPLE)] - offset)
    first_l0 = _first_l0(target_l0, *factors.shape)
    l1_penalty = float(for_l0(sample, factors, target_l0=first_l0))
    codes = refit(sample, factors, _lasso(sample, factors, l1_penalty))
    num_rounds = max(1, math.ceil(math.log(first_l0 / target_l0) / -math.log(_KEEP)))
    least_codes = []
    for l0 in np.geomspace(first_l0, target_l0, num_rounds + 1)[1:]:
        kept = min(round(l0 * len(sample)), codes.size)
        least_codes.append(float(np.partition(codes, -kept, axis=None)[-kept]))
        codes = jnp.where(codes >= least_codes[-1], codes, 0)
        codes = refit(sample, factors, codes)
    return SparseCoding(
        factors=jnp.asarray(factors),
        offset=jnp.asarray(offset),
        l1_penalty=l1_penalty,
        least_codes=tuple(least_codes),
    )


def _learning_l0(target_l0: float, surplus: int, n_factors: int, d_model: int) -> float:
    # A dictionary that is too small for a surplus gives what it can.
    return max(target_l0, min(target_l0 + surplus, 0.5 * min(n_factors, d_model)))


def _first_l0(target_l0: float, n_factors: int, d_model: int) -> float:
    wanted = max(target_l0 + _ENCODING_SURPLUS, _TIMES * target_l0)
    return max(target_l0, min(wanted, 0.75 * min(n_factors, d_model)))


def _lasso(x: jax.Array, factors: jax.Array, l1_penalty: float) -> jax.Array:
    return encode(x, factors, l1_penalty=l1_penalty, tolerance=_TOLERANCE).codes

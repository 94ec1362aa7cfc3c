"""Dictionaries at equal L0, on rows that none of them was learned from.

λ is found for each dictionary on the measured rows themselves, so that all have the L0
that was asked for; FVU is compared at equal L0 then. Rows are measured one by one, for
intervals over documents.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax.estimators import encode_rows
from tfvis_jax.learning import learn
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.probing import scores
from tfvis_jax.sparse_coding import for_l0, refit
from tfvis_jax.studies import by_document, text_rows

# Rows that λ is found on, evenly spaced; L0 of so many is known within 1 %.
_PENALTY_ROWS = 2048
_BATCH = 4096
# A quick study has few rows; fewer in a step give enough steps to learn from them.
_ROWS_PER_STEP = 512


@dataclasses.dataclass(frozen=True, eq=False)
class Encoded:
    """Codes of rows at a wanted L0, and the error that each row is left with.

    Attributes:
      codes: `scipy.sparse.csr_array` [n, n_factors] of the lasso.
      error: [n] float64, ‖x − x̂‖² of hidden states, codes being refitted on their
        support; in the scale of the run, without its whitening.
      shrunken_error: [n] float64, the same of the lasso's codes.
      l1_penalty: λ.
    """

    codes: Any
    error: np.ndarray
    shrunken_error: np.ndarray
    l1_penalty: float

    @property
    def l0(self) -> float:
        """Mean number of active factors."""
        return self.codes.nnz / self.codes.shape[0]

    @property
    def alive(self) -> float:
        """Share of the factors that fire in some row."""
        fires = np.bincount(self.codes.indices, minlength=self.codes.shape[1])
        return float(np.mean(fires > 0))


def encode(
    factors: np.ndarray,
    measured: text_rows.TextRows,
    *,
    target_l0: float,
    solver: config_lib.SolverConfig,
    n_factors: int | None = None,
) -> Encoded:
    """Encodes rows with the λ that gives a mean number of active factors.

    Args:
      factors: [n_factors, d_model], unit rows; never-started ones (zero) stay silent.
      measured: the rows.
      target_l0: mean number of active factors; at most half of the factors are asked
        for.
      solver: how codes are inferred; its λ is not used.
      n_factors: fill the dictionary up to so many with silent factors, so that
        dictionaries of several sizes share compiled programs.
    """
    target_l0 = min(target_l0, 0.5 * len(factors))
    factors = _filled(factors, n_factors)
    x = measured.x
    sample = np.ascontiguousarray(x[:: -(-len(x) // _PENALTY_ROWS)])
    l1_penalty = float(for_l0(sample, factors, target_l0=target_l0))
    found = codes(x, factors, l1_penalty=l1_penalty, solver=solver)
    error, shrunken = np.zeros((2, len(x)))
    directions = whitening_lib.unwhiten(jnp.asarray(factors), measured.whitening)
    for start in range(0, len(x), _BATCH):
        rows = slice(start, start + _BATCH)
        part = np.zeros((_BATCH, x.shape[1]), np.float32)
        dense = np.zeros((_BATCH, len(factors)), np.float32)
        n = min(_BATCH, len(x) - start)
        # Filled up, so that all batches have one shape.
        part[:n], dense[:n] = measured.hidden[rows], found[rows].toarray()
        kept = refit(part, directions, dense)
        error[rows] = np.asarray(_errors(part, kept, directions))[:n]
        shrunken[rows] = np.asarray(_errors(part, dense, directions))[:n]
    return Encoded(found, error, shrunken, l1_penalty)


def codes(
    x: np.ndarray,
    factors: np.ndarray,
    *,
    l1_penalty: float,
    solver: config_lib.SolverConfig,
    n_factors: int | None = None,
) -> Any:
    """Infers lasso codes, `scipy.sparse.csr_array` [n, n_factors].

    Args:
      x: [n, d_model], scaled.
      factors: [n_factors, d_model], unit rows.
      l1_penalty: λ.
      solver: how codes are inferred; its λ is not used.
      n_factors: as in `encode`.
    """
    return encode_rows(
        x,
        _filled(factors, n_factors),
        l1_penalty=l1_penalty,
        solver=solver.solver,
        tolerance=solver.tolerance,
        max_steps=solver.max_steps,
        output="sparse",
    ).codes


def _filled(factors: np.ndarray, n_factors: int | None) -> np.ndarray:
    """Fills a dictionary up with silent factors."""
    missing = max((n_factors or 0) - len(factors), 0)
    return np.pad(np.asarray(factors), ((0, missing), (0, 0)))


def fvu(
    error: np.ndarray, rows: text_rows.TextRows, resampled: by_document.Resampled
) -> scores.Estimate:
    """Returns Σ ‖x − x̂‖² / Σ ‖x − μ‖² with its interval over documents.

    Args:
      error: [n], from `Encoded`.
      rows: the rows; μ is the mean row of each layer.
      resampled: over the documents of the rows.
    """
    return by_document.quotient(resampled.mean(error), resampled.mean(rows.variance()))


def learn_factors(
    x: np.ndarray,
    *,
    n_factors: int,
    target_l0: float,
    num_passes: int,
    seed: int,
    solver: config_lib.SolverConfig,
    dictionary: config_lib.DictionaryConfig,
) -> np.ndarray:
    """Learns a dictionary from rows in memory, as a run would.

    Args:
      x: [n, d_model], scaled.
      n_factors: number of factors.
      target_l0: mean number of active factors in training.
      num_passes: passes over the rows.
      seed: of first factors and order of rows.
      solver: how codes are inferred.
      dictionary: how factors move; its number is not used.

    Returns:
      [n_factors, d_model] float32.
    """
    state = learn(
        x,
        solver=solver,
        sparsity=config_lib.SparsityConfig(target_l0=target_l0),
        dictionary=dataclasses.replace(dictionary, n_factors=n_factors),
        rows_per_step=_ROWS_PER_STEP,
        num_passes=num_passes,
        seed=seed,
    )
    return np.asarray(state.dictionary)


@jax.jit
def _errors(x: jax.Array, codes: jax.Array, dictionary: jax.Array) -> jax.Array:
    return jnp.sum((x - codes @ dictionary) ** 2, axis=1)

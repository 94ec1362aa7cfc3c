"""A dictionary learnt from rows, as a transformer of scikit-learn."""

import dataclasses
import math
import operator
from typing import Any, Self

import jax
import numpy as np
import numpy.typing as npt

from tfvis_jax import config as config_lib
from tfvis_jax.errors import InputError
from tfvis_jax.estimators import batches, transformer
from tfvis_jax.learning import learn
from tfvis_jax.learning import state as state_lib
from tfvis_jax.sparse_coding import checks

_SOLVER = config_lib.SolverConfig()
_DICTIONARY = config_lib.DictionaryConfig()
# Steps that are taken where the number of passes is left open: ten times as many as the
# running means of the update look back.
_STEPS = 300
# Rows that are read at once to measure their scale.
_BLOCK = 65_536


class DictionaryLearning(transformer.Transformer):
    """Learns a dictionary of non-negative sparse codes, and codes rows with it.

    Minimises ½‖x − αD‖² + λ Σ_f α_f over codes α ≥ 0 and factors of unit norm, by steps
    of the dictionary on batches of rows whose codes are solved to a tolerance. λ is
    given, or moved so that codes have ``target_l0`` factors on average.

    By default rows are divided by their root-mean-square norm, one number `scale_`, so
    that λ and step size mean the same for data of any unit; `inverse_transform` and
    `score` return to the unit of the data. Rows are not centred: a mean that all rows
    share becomes a factor.

    Attributes:
      components_: [n_factors, n_features] float32, factors of unit norm.
      l1_penalty_: λ that was learnt or given, for rows divided by `scale_`.
      scale_: what rows are divided by.
      n_features_in_: number of features.
      n_iter_: passes through the rows of `fit`; calls of `partial_fit`.
      n_steps_: steps of the dictionary.
    """

    components_: np.ndarray
    l1_penalty_: float
    scale_: float
    n_iter_: int
    n_steps_: int
    _state: state_lib.TrainState

    def __init__(
        self,
        n_factors: int = _DICTIONARY.n_factors,
        *,
        target_l0: float | None = None,
        l1_penalty: float | None = None,
        solver: str = "auto",
        tolerance: float = _SOLVER.tolerance,
        max_steps: int = _SOLVER.max_steps,
        step_size: float = _DICTIONARY.step_size,
        rows_per_step: int = 2048,
        num_passes: int | None = None,
        scale: str | None = "rms",
        random_state: int | np.random.RandomState | np.random.Generator | None = 0,
        output: str = "dense",
    ) -> None:
        """Stores the settings, which are checked by `fit`.

        Args:
          n_factors: number of factors; may exceed the number of features.
          target_l0: mean number of active factors of a row, kept by moving λ.
          l1_penalty: λ instead, for rows divided by `scale_`. 0.06 if both are None.
          solver: name of one, as in `sparse_coding.encode`.
          tolerance: largest relative duality gap of a code, while learning and after.
          max_steps: budget of solver steps for a row.
          step_size: of the dictionary at first; falls linearly to a tenth.
          rows_per_step: rows of one dictionary step, at most.
          num_passes: how often every row is used. If None, as often as 300 steps need,
            at least once.
          scale: "rms" divides rows by their root-mean-square norm, None by 1.
          random_state: decides first factors and order of rows; the same number gives
            the same dictionary.
          output: "dense" for an array of codes, "sparse" for a `csr_array`.
        """
        self.n_factors = n_factors
        self.target_l0 = target_l0
        self.l1_penalty = l1_penalty
        self.solver = solver
        self.tolerance = tolerance
        self.max_steps = max_steps
        self.step_size = step_size
        self.rows_per_step = rows_per_step
        self.num_passes = num_passes
        self.scale = scale
        self.random_state = random_state
        self.output = output

    def fit(self, X: npt.ArrayLike, y: None = None) -> Self:
        """Learns a dictionary from rows, forgetting an earlier one.

        Args:
          X: [rows, n_features], finite; may be memory-mapped.
          y: not used.

        Raises:
          InputError: the rows or a setting make no problem.
        """
        solver, sparsity, dictionary = self._configs()
        rows = self._check_rows(X, n_features=None)
        num_passes = self.num_passes
        if num_passes is None:
            num_passes = math.ceil(_STEPS / math.ceil(len(rows) / self.rows_per_step))
        scale = self._measure_scale(rows)
        state = learn(
            rows,
            solver=solver,
            sparsity=sparsity,
            dictionary=dictionary,
            rows_per_step=self.rows_per_step,
            num_passes=num_passes,
            seed=_seed(self.random_state),
            scale=scale,
        )
        self.scale_, self.n_iter_ = scale, num_passes
        self._take(state)
        return self

    def partial_fit(self, X: npt.ArrayLike, y: None = None) -> Self:
        """Goes on learning from further rows, one pass through them.

        The first call chooses factors, `scale_` and λ from its rows, so give it some
        thousands. The step size stays the same, as nobody knows how many calls follow.

        Args:
          X: [rows, n_features], finite.
          y: not used.

        Raises:
          InputError: the rows or a setting make no problem.
        """
        solver, sparsity, dictionary = self._configs()
        is_first = not hasattr(self, "_state")
        before = None if is_first else self._state
        # Of the state, since a later `fit` may have failed on rows of another width.
        d_model = None if before is None else before.dictionary.shape[1]
        rows = self._check_rows(X, n_features=d_model)
        scale = self._measure_scale(rows) if is_first else self.scale_
        if before is not None and len(before.dictionary) != self.n_factors:
            raise InputError(
                f"Expected `n_factors` to stay {len(before.dictionary)} in "
                f"`partial_fit`, got {self.n_factors}; call `fit` to begin again."
            )
        state = learn(
            rows,
            solver=solver,
            sparsity=sparsity,
            dictionary=dataclasses.replace(dictionary, final_step_fraction=1.0),
            rows_per_step=self.rows_per_step,
            seed=_seed(self.random_state),
            scale=scale,
            state=before,
        )
        self.scale_, self.n_iter_ = scale, 1 if is_first else self.n_iter_ + 1
        self._take(state)
        return self

    @property
    def _scale(self) -> float:
        return self.scale_

    def _take(self, state: state_lib.TrainState) -> None:
        # On the host, so that estimators are pickled, copied and saved as any other.
        self._state = jax.tree.map(np.asarray, state)
        self.components_ = np.asarray(state.dictionary)
        self.l1_penalty_ = float(state.l1_penalty)
        self.n_steps_ = int(state.step)

    def _configs(
        self,
    ) -> tuple[
        config_lib.SolverConfig,
        config_lib.SparsityConfig,
        config_lib.DictionaryConfig,
    ]:
        """Returns the settings as learning takes them, checked."""
        if self.target_l0 is not None and self.l1_penalty is not None:
            raise InputError(
                "Expected `target_l0` or `l1_penalty`, got both; leave one None."
            )
        if self.scale not in ("rms", None):
            raise InputError(f'Expected `scale` "rms" or None, got {self.scale!r}.')
        checks.check_count("rows_per_step", self.rows_per_step)
        if self.num_passes is not None:
            checks.check_count("num_passes", self.num_passes)
        l1_penalty = _SOLVER.l1_penalty if self.l1_penalty is None else self.l1_penalty
        solver = config_lib.SolverConfig(
            solver=self.solver,
            l1_penalty=l1_penalty,
            tolerance=self.tolerance,
            max_steps=self.max_steps,
        )
        dictionary = config_lib.DictionaryConfig(
            n_factors=self.n_factors, step_size=self.step_size
        )
        sparsity = config_lib.SparsityConfig(target_l0=self.target_l0)
        return solver, sparsity, dictionary

    def _measure_scale(self, rows: np.ndarray) -> float:
        """Returns the root-mean-square norm of the rows, 1 for rows of zeros."""
        if self.scale is None:
            return 1.0
        energy = 0.0
        for first in range(0, len(rows), _BLOCK):
            block = batches.read(rows[first : first + _BLOCK], first=first)
            energy += float(np.sum(np.square(block, dtype=np.float64)))
        return math.sqrt(energy / len(rows)) or 1.0

    def _coding(self) -> dict[str, Any]:
        return {
            "l1_penalty": self.l1_penalty_,
            "solver": self.solver,
            "tolerance": self.tolerance,
            "max_steps": self.max_steps,
        }

    def _dictionary(self) -> np.ndarray:
        if not hasattr(self, "components_"):
            raise self._not_fitted()
        return self.components_

    def _fitted(self) -> dict[str, Any]:
        fitted = super()._fitted()
        if not hasattr(self, "_state"):
            return fitted
        # Settings and a `fit` that failed may say otherwise.
        n_factors, d_model = self.components_.shape
        fitted |= {"n_factors_": n_factors, "n_features_in_": d_model}
        # The state holds these three.
        for name in ("components_", "l1_penalty_", "n_steps_"):
            fitted.pop(name)
        leaves = jax.tree.leaves(self._state)
        # At least one axis, as arrays are told from plain numbers.
        return fitted | {f"state.{i}": np.ravel(leaf) for i, leaf in enumerate(leaves)}

    def _restore(self, fitted: dict[str, Any]) -> None:
        saved = {name: fitted.pop(name) for name in list(fitted) if "." in name}
        n_factors = fitted.pop("n_factors_", self.n_factors)
        super()._restore(fitted)
        if not saved:
            return
        shapes, structure = jax.tree.flatten(
            state_lib.abstract(
                n_factors=n_factors,
                d_model=self.n_features_in_,
                n_layers=1,
                config=_DICTIONARY,
            )
        )
        leaves = [
            saved[f"state.{i}"].reshape(leaf.shape) for i, leaf in enumerate(shapes)
        ]
        self._take(jax.tree.unflatten(structure, leaves))


def _seed(
    random_state: int | np.random.RandomState | np.random.Generator | None,
) -> int:
    """Returns the number that a random state means, as scikit-learn reads it."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    try:
        seed = operator.index(random_state)
    except TypeError:
        seed = -1
    if seed < 0:
        raise InputError(
            "Expected `random_state` to be a whole number of 0 or more, a NumPy "
            f"generator or None, got {random_state!r}."
        )
    return seed

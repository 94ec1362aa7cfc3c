"""Sparse codes of a dictionary that is given."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tfvis_jax.errors import InputError
from tfvis_jax.estimators import real_arrays, transformer
from tfvis_jax.estimators.batches import read
from tfvis_jax.sparse_coding import Solver


class SparseCoder(transformer.Transformer):
    """Sparse codes of rows by a dictionary that is given.

    Each row x is coded by the lasso,

        minimise over α ≥ 0:  ½‖x − αD‖² + λ Σ_f α_f,

    until its duality gap, relative to ½‖x‖², is within the tolerance. `fit` learns
    nothing but the number of features; `transform` works without it.

    Attributes:
      components_: [n_factors, n_features] float32, the dictionary.
      n_features_in_: number of features, known after `fit`.
    """

    def __init__(
        self,
        dictionary: npt.ArrayLike,
        *,
        l1_penalty: float,
        solver: str | Solver = "auto",
        tolerance: float = 1e-4,
        max_steps: int = 500,
        non_negative: bool = True,
        batch_rows: int | None = None,
        output: str = "dense",
    ) -> None:
        """Stores the settings, which are checked when they are used.

        Args:
          dictionary: [n_factors, n_features]; unit norm is usual, not required.
          l1_penalty: λ > 0, in the units of a row times a factor.
          solver: as in `sparse_coding.encode`.
          tolerance: largest relative duality gap of a finished row.
          max_steps: budget of solver steps for a row.
          non_negative: If True, constrain codes to be ≥ 0.
          batch_rows: rows on the device at once; chosen by the dictionary's size if
            None.
          output: "dense" for an array of codes, "sparse" for a `csr_array`.
        """
        self.dictionary = dictionary
        self.l1_penalty = l1_penalty
        self.solver = solver
        self.tolerance = tolerance
        self.max_steps = max_steps
        self.non_negative = non_negative
        self.batch_rows = batch_rows
        self.output = output

    # Rows decide nothing, so that `transform` may come first.
    _requires_fit = False

    def fit(self, X: npt.ArrayLike, y: None = None) -> Self:
        """Checks the dictionary against rows; nothing is learnt.

        Args:
          X: [rows, n_features].
          y: not used.
        """
        rows = self._check_rows(X, n_features=None)
        if rows.shape[1] != self.components_.shape[1]:
            raise InputError(
                f"Expected rows of {self.components_.shape[1]} features, as the "
                f"dictionary has, got {rows.shape[1]}."
            )
        read(rows)
        return self

    @property
    def components_(self) -> np.ndarray:
        """The dictionary, [n_factors, n_features] float32."""
        dictionary = real_arrays.as_real("dictionary", self.dictionary)
        if dictionary.ndim != 2:
            raise InputError(
                "Expected `dictionary` of shape [n_factors, n_features], got shape "
                f"{dictionary.shape}."
            )
        return np.asarray(dictionary, np.float32)

    def _dictionary(self) -> np.ndarray:
        return self.components_

    def _coding(self) -> dict[str, Any]:
        names = ("l1_penalty", "solver", "tolerance", "max_steps", "non_negative")
        return {name: getattr(self, name) for name in (*names, "batch_rows")}

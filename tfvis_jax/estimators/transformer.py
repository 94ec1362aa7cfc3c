"""Coding rows with a dictionary, as a transformer of scikit-learn."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse

from tfvis_jax.errors import InputError
from tfvis_jax.estimators import saving, scoring
from tfvis_jax.estimators.batches import encode_rows

Codes = np.ndarray | scipy.sparse.csr_array


class Transformer(saving.Saved):
    """What coding with a given and with a learnt dictionary have in common.

    A subclass has `components_` and says how rows are coded (`_coding`), by what they
    are divided (`_scale`), and raises where that is not known yet (`_dictionary`).
    """

    output: str
    _scale = 1.0

    def transform(self, X: npt.ArrayLike) -> Codes:
        """Returns the codes of rows.

        Args:
          X: [rows, n_features_in_], any number of rows; may be memory-mapped.

        Returns:
          [rows, n_factors] float32, an array or, with ``output="sparse"``, a
          `scipy.sparse.csr_array`. A warning tells how many rows did not converge.

        Raises:
          InputError: the rows do not fit, or are not finite.
        """
        dictionary = self._dictionary()
        rows = self._check_rows(X, n_features=dictionary.shape[1])
        found = encode_rows(
            rows,
            dictionary,
            output=self.output,
            scale=self._scale,
            **self._coding(),
        )
        self._warn_not_converged(found.n_not_converged, len(rows))
        return self._in_container(found.codes, X, self.get_feature_names_out())

    def fit_transform(self, X: npt.ArrayLike, y: None = None) -> Codes:
        """Fits to rows and returns their codes; see `fit` and `transform`."""
        return self.fit(X).transform(X)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Returns the rows that codes stand for.

        Args:
          X: [rows, n_factors] codes, dense or sparse.

        Returns:
          [rows, n_features_in_] float32, in the scale of the rows that were coded.
        """
        dictionary = self._dictionary()
        codes = X if scipy.sparse.issparse(X) else np.asarray(X, np.float32)
        if codes.ndim != 2 or codes.shape[1] != len(dictionary):
            raise InputError(
                f"Expected codes of [rows, {len(dictionary)}], got shape {codes.shape}."
            )
        return np.asarray(codes @ (np.float32(self._scale) * dictionary))

    def score(self, X: npt.ArrayLike, y: None = None) -> float:
        """Returns the explained variance of the rows' reconstruction.

        1 − Σ ‖x − x̂‖² / Σ ‖x − μ‖² with μ the mean of these rows: 1 is perfect, 0 is no
        better than the mean. It rises as λ falls; compare dictionaries at the same
        ``target_l0``. NaN where the rows do not differ.

        Args:
          X: [rows, n_features_in_], any number of rows.
          y: not used.
        """
        dictionary = self._dictionary()
        rows = self._check_rows(X, n_features=dictionary.shape[1])
        return scoring.explained_variance(
            rows, dictionary, scale=self._scale, **self._coding()
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Returns the names of the codes' columns: factor0, factor1, …"""
        names = [f"factor{number}" for number in range(len(self._dictionary()))]
        return np.asarray(names, dtype=object)

    def fit(self, X: npt.ArrayLike, y: None = None) -> Self:
        """Fits to rows."""
        raise NotImplementedError

    def _coding(self) -> dict[str, Any]:
        """Returns the arguments of `batches.encode_batches` from the settings."""
        raise NotImplementedError

    def _dictionary(self) -> np.ndarray:
        """Returns [n_factors, d_model] float32; raises where there is none yet."""
        raise NotImplementedError

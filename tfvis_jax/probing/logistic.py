"""Logistic regression on the columns of a matrix, by scikit-learn."""

import dataclasses
from types import ModuleType
from typing import Any

import numpy as np
import scipy.sparse

from tfvis_jax.errors import InputError

# Columns are scaled before the penalty is applied to all alike.
SCALINGS = ("each", "together")
_MAX_ITERATIONS = 1000
_TOLERANCE = 1e-4
_LEAST_PROBABILITY = 1e-12
# Share of its squared mean that a column of equal float32 numbers may vary by.
_ROUNDING = 1e-10


@dataclasses.dataclass(frozen=True, eq=False)
class Classifier:
    """Logistic regression: softmax(((x − centre) / scale) coefᵀ + intercept).

    Attributes:
      columns: [m] int64, the columns of x that are used; None for all.
      centre: [m].
      scale: [m].
      coefficients: [n_classes, m]; the row of a class that was absent is zero.
      intercept: [n_classes]; that of a class that was absent is -inf.
    """

    columns: np.ndarray | None
    centre: np.ndarray
    scale: np.ndarray
    coefficients: np.ndarray
    intercept: np.ndarray

    def probabilities(self, x: Any) -> np.ndarray:
        """Returns the probability of each class, [rows, n_classes].

        Args:
          x: [rows, columns], an array or a CSR matrix.
        """
        weights = self.coefficients / self.scale[None]
        offset = self.intercept - weights @ self.centre
        x = dense(x if self.columns is None else x[:, self.columns])
        logits = x @ weights.T + offset[None]
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        return odds / odds.sum(axis=1, keepdims=True)


def fit(
    x: Any,
    y: np.ndarray,
    *,
    n_classes: int,
    strength: float,
    scaling: str = "each",
    columns: np.ndarray | None = None,
) -> Classifier:
    """Fits logistic regression with an L2 penalty.

    Args:
      x: [rows, columns], an array or a CSR matrix.
      y: [rows] int64 classes; at least two of them occur.
      n_classes: number of classes.
      strength: inverse of the penalty (scikit-learn's C).
      scaling: "each" divides every column by its own deviation, "together" all columns
        by their mean deviation (root mean square).
      columns: the columns that are used; None for all.

    Raises:
      InputError: scikit-learn is not installed.
    """
    linear_model = _linear_model()
    x = dense(x if columns is None else x[:, columns])
    centre, scale = centre_and_scale(x, scaling=scaling)
    model = linear_model.LogisticRegression(
        C=strength, max_iter=_MAX_ITERATIONS, tol=_TOLERANCE
    )
    model.fit((x - centre[None]) / scale[None], y)
    coefficients, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # Only the logit of the second class is stored.
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercept = np.concatenate([np.zeros_like(intercept), intercept])
    full = np.zeros((n_classes, coefficients.shape[1]))
    full[model.classes_] = coefficients
    offsets = np.full(n_classes, -np.inf)
    offsets[model.classes_] = intercept
    return Classifier(columns, centre, scale, full, offsets)


def log_loss(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Returns the mean negative log probability of the true classes."""
    found = probabilities[np.arange(len(y)), y]
    return float(-np.mean(np.log(np.maximum(found, _LEAST_PROBABILITY))))


def centre_and_scale(x: np.ndarray, *, scaling: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns what is taken from the columns, and what they are divided by.

    Columns that do not vary are divided by one.

    Args:
      x: [rows, columns].
      scaling: "each" or "together", as in `fit`.
    """
    mean = x.mean(axis=0, dtype=np.float64)
    variance = x.var(axis=0, dtype=np.float64)
    # The variance of equal numbers is rounding.
    varies = variance > _ROUNDING * np.maximum(mean**2, np.finfo(np.float32).tiny)
    if scaling == "together":
        together = np.sqrt(variance.mean()) if varies.any() else 1.0
        return mean, np.full(len(mean), together)
    return mean, np.sqrt(np.where(varies, variance, 1))


def standardise(x: Any) -> np.ndarray:
    """Returns the rows as an array with columns of mean 0 and deviation 1.

    Columns that do not vary become zeros.
    """
    x = dense(x)
    centre, scale = centre_and_scale(x, scaling="each")
    return (x - centre[None]) / scale[None]


def dense(x: Any) -> np.ndarray:
    """Returns the rows as an array."""
    return x.toarray() if scipy.sparse.issparse(x) else np.asarray(x)


def _linear_model() -> ModuleType:
    # scikit-learn is optional: only probes need it.
    try:
        from sklearn import linear_model
    except ImportError as error:
        raise InputError(
            "Probes need scikit-learn, which is not installed: "
            "pip install 'tfvis_jax[probe]'."
        ) from error
    return linear_model

"""Logistic regression with an L2 penalty on the columns of a matrix."""

import dataclasses
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse

from tfvis_jax.probing import minimise

_LEAST_PROBABILITY = 1e-12
# Principal coordinates with a smaller share of the largest square are rounding.
_LEAST_SQUARE = 1e-12
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


@dataclasses.dataclass(frozen=True, eq=False)
class Coordinates:
    """Rows in their principal coordinates, in which M is diagonal.

    A rotation changes no logistic regression with an L2 penalty, and a few hundred rows
    have fewer coordinates than columns.

    Attributes:
      z: [n, r + 1], centred coordinates and a column of ones.
      squares: [r + 1], Σ_n z² of each.
      loadings: [columns, r], ((x − centre) / scale) @ loadings = z.
      centre: [columns].
      scale: [columns].
    """

    z: np.ndarray
    squares: np.ndarray
    loadings: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    def fit(
        self,
        y: np.ndarray,
        included: np.ndarray,
        *,
        n_classes: int,
        strength: float,
        start: np.ndarray | None = None,
    ) -> np.ndarray:
        """Fits a regression to each set of rows.

        Args:
          y: [n] int64 classes.
          included: [sets, n] bool.
          n_classes: number of classes.
          strength: inverse of the penalty (scikit-learn's C).
          start: what another strength gave.

        Returns:
          [sets, r + 1, logits] coefficients.
        """
        metric = minimise.curvature(n_classes) * strength * self.squares
        metric[:-1] += 1
        return minimise.minimise(
            self.z,
            y,
            included,
            n_classes=n_classes,
            strength=strength,
            solve=lambda gradient: gradient / metric[None, :, None],
            start=start,
        )

    def classifier(self, w: np.ndarray) -> Classifier:
        """Returns one regression [r + 1, logits] for rows as they were given."""
        coefficients, intercept = (self.loadings @ w[:-1]).T, w[-1]
        if len(coefficients) == 1:
            coefficients = np.concatenate([0 * coefficients, coefficients])
            intercept = np.concatenate([[0.0], intercept])
        return Classifier(None, self.centre, self.scale, coefficients, intercept)


def coordinates(x: Any) -> Coordinates:
    """Returns rows in principal coordinates.

    All columns are divided by their mean deviation (root mean square): a column that
    varies little keeps its small weight, as a factor that hardly fires should.

    Args:
      x: [n, columns], an array or a CSR matrix.
    """
    x = dense(x)
    centre = x.mean(axis=0, dtype=np.float64)
    variance = x.var(axis=0, dtype=np.float64)
    together = np.sqrt(variance.mean()) if varies(variance, centre).any() else 1.0
    scale = np.full(len(centre), together)
    scaled = (x - centre[None]) / scale[None]
    n, columns = scaled.shape
    if n < columns:
        squares, left = scipy.linalg.eigh(scaled @ scaled.T, driver="evd")
        kept = squares > _LEAST_SQUARE * max(squares[-1], 1.0)
        root = np.sqrt(squares[kept])
        z, loadings = left[:, kept] * root, scaled.T @ (left[:, kept] / root)
    else:
        squares, loadings = scipy.linalg.eigh(scaled.T @ scaled, driver="evd")
        kept = squares > _LEAST_SQUARE * max(squares[-1], 1.0)
        loadings = loadings[:, kept]
        z = scaled @ loadings
    return Coordinates(
        z=np.concatenate([z, np.ones((n, 1))], axis=1),
        squares=np.append(squares[kept], float(n)),
        loadings=loadings,
        centre=centre,
        scale=scale,
    )


def fit(
    x: Any,
    y: np.ndarray,
    *,
    n_classes: int,
    strength: float,
) -> Classifier:
    """Fits logistic regression with an L2 penalty.

    Args:
      x: [rows, columns], an array or a CSR matrix.
      y: [rows] int64 classes; at least two of them occur.
      n_classes: number of classes.
      strength: inverse of the penalty (scikit-learn's C), after the columns were
        divided as `coordinates` does.
    """
    present, place = np.unique(y, return_inverse=True)
    rows = coordinates(x)
    [w] = rows.fit(
        place,
        np.ones((1, len(y)), bool),
        n_classes=len(present),
        strength=strength,
    )
    found = rows.classifier(w)
    coefficients = np.zeros((n_classes, found.coefficients.shape[1]))
    coefficients[present] = found.coefficients
    intercept = np.full(n_classes, -np.inf)
    intercept[present] = found.intercept
    return dataclasses.replace(found, coefficients=coefficients, intercept=intercept)


def log_loss(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Returns the mean negative log probability of the true classes."""
    found = probabilities[np.arange(len(y)), y]
    return float(-np.mean(np.log(np.maximum(found, _LEAST_PROBABILITY))))


def varies(variance: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Returns whether columns vary: the variance of equal numbers is rounding."""
    return variance > _ROUNDING * np.maximum(mean**2, np.finfo(np.float32).tiny)


def dense(x: Any) -> np.ndarray:
    """Returns the rows as an array."""
    return x.toarray() if scipy.sparse.issparse(x) else np.asarray(x)

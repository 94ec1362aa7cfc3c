"""Greedy choice of a few features for logistic regression, for several sets of rows.

Orthogonal matching pursuit for the logistic loss (Lozano, Świrszcz and Abe 2011): the
next feature is the one whose standardised column correlates most with what the
regression so far gets wrong; then the regression is fitted again.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfvis_jax.probing import logistic, minimise

# Below this share of the largest possible, a gradient is rounding.
_NO_GRADIENT = 1e-12


@dataclasses.dataclass(frozen=True, eq=False)
class Pursued:
    """Regressions on k features each.

    Attributes:
      columns: the features of each set, in the order of their choice; fewer than k
        where nothing was left to explain.
      centre: [sets, k].
      scale: [sets, k].
      w: [sets, k + 1, logits].
      probabilities: [sets, n, classes], of all rows.
    """

    columns: list[list[int]]
    centre: np.ndarray
    scale: np.ndarray
    w: np.ndarray
    probabilities: np.ndarray

    def classifier(self, number: int) -> logistic.Classifier:
        """Returns the regression of one set."""
        columns = self.columns[number]
        w = self.w[number]
        coefficients, intercept = w[: len(columns)].T, w[-1]
        if w.shape[1] == 1:
            coefficients = np.concatenate([0 * coefficients, coefficients])
            intercept = np.concatenate([[0.0], intercept])
        return logistic.Classifier(
            np.array(columns),
            self.centre[number, : len(columns)],
            self.scale[number, : len(columns)],
            coefficients,
            intercept,
        )


def pursue(
    x: np.ndarray,
    y: np.ndarray,
    included: np.ndarray,
    *,
    ks: Sequence[int],
    n_classes: int,
    strength: float,
) -> dict[int, Pursued]:
    """Chooses features one after the other.

    Args:
      x: [n, columns].
      y: [n] int64 classes.
      included: [sets, n] bool, the rows that each set's features and coefficients are
        chosen by; its means and deviations are theirs, too.
      ks: numbers of features that are returned.
      n_classes: number of classes.
      strength: inverse of the penalty.
    """
    sets, n = included.shape
    every = np.arange(sets)
    count = included.sum(axis=1)
    # Centred on all rows first, or the squares would cancel.
    shift = x.mean(axis=0, dtype=np.float64)
    x = np.asarray(x - shift[None], np.float64)
    mean, scale, varies = _moments(x, included, shift)
    truth = np.eye(n_classes)[y]
    share = included @ truth / count[:, None]
    probability = np.broadcast_to(share[:, None], (sets, n, n_classes))
    columns: list[list[int]] = [[] for _ in every]
    chosen = np.zeros((sets, 0), np.int64)
    z = np.ones((sets, n, 1))
    w, found = None, {}
    for k in range(1, max(ks) + 1):
        error = (truth[None] - probability) * included[:, :, None]
        # Of the mean log loss with respect to the coefficients, squared and summed.
        flat = x.T @ np.swapaxes(error, 0, 1).reshape(n, -1)
        gradient = np.swapaxes(flat.reshape(-1, sets, n_classes), 0, 1)
        gradient = gradient - mean[:, :, None] * error.sum(axis=1)[:, None]
        size = np.sum(gradient**2, axis=2) / (scale * count[:, None]) ** 2
        size = np.where(varies, size, 0)
        size[every[:, None], chosen] = 0
        best = np.argmax(size, axis=1)
        tells = size[every, best] > _NO_GRADIENT
        for each in every.tolist():
            if tells[each] or not columns[each]:
                columns[each].append(int(best[each]))
        # A feature that tells nothing is a column of zeros.
        column = (x[:, best].T - mean[every, best][:, None]) / scale[every, best][
            :, None
        ]
        column *= tells[:, None]
        z = np.concatenate([z[:, :, :-1], column[:, :, None], z[:, :, -1:]], axis=2)
        chosen = np.concatenate([chosen, best[:, None]], axis=1)
        w = _fit(z, y, included, n_classes=n_classes, strength=strength, start=w)
        probability = minimise.probabilities(z, w)
        if k in ks:
            found[k] = Pursued(
                columns=[list(each) for each in columns],
                centre=np.take_along_axis(mean + shift[None], chosen, axis=1),
                scale=np.take_along_axis(scale, chosen, axis=1),
                w=w,
                probabilities=probability,
            )
    return found


def _fit(
    z: np.ndarray,
    y: np.ndarray,
    included: np.ndarray,
    *,
    n_classes: int,
    strength: float,
    start: np.ndarray | None,
) -> np.ndarray:
    """Fits each set's regression; ``start`` lacks the feature before the intercept."""
    if start is not None:
        start = np.concatenate(
            [start[:, :-1], np.zeros_like(start[:, :1]), start[:, -1:]], axis=1
        )
    if n_classes == 2:
        start, converged = minimise.newton(
            z, y, included, strength=strength, start=start
        )
        if converged:
            return start
    weighted = z * included[:, :, None]
    metric = minimise.curvature(n_classes) * strength * np.swapaxes(weighted, 1, 2) @ z
    penalised = np.arange(z.shape[2] - 1)
    metric[:, penalised, penalised] += 1
    inverse = np.linalg.inv(metric)
    return minimise.minimise(
        z,
        y,
        included,
        n_classes=n_classes,
        strength=strength,
        solve=lambda gradient: inverse @ gradient,
        start=start,
    )


def _moments(
    x: np.ndarray, included: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns mean and deviation of each set's columns, and whether they vary."""
    weights = included / included.sum(axis=1, keepdims=True)
    mean = weights @ x
    variance = np.maximum(weights @ x**2 - mean**2, 0)
    varies = logistic.varies(variance, mean + shift[None])
    return mean, np.sqrt(np.where(varies, variance, 1)), varies

"""Probes: one feature, a few, or all of them.

A column of the matrix is called a feature here, because it may be a factor, a dimension
of the hidden state or a random direction.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.probing import (
    cross_validation,
    logistic,
    minimise,
    pursuit,
    ranking,
)
from tfvis_jax.probing import task as task_lib

# Numbers of features of sparse probes.
KS = (1, 2, 5, 16)
# Strengths that are tried, as scikit-learn's C.
_STRENGTHS = (1e-2, 1e-1, 1.0, 10.0)
# A few features need no strong penalty; it keeps those finite that separate all rows.
_SPARSE_STRENGTH = 1.0


@dataclasses.dataclass(frozen=True)
class Majority:
    """Predicts the most frequent class of the training rows."""

    def fit(
        self, x: Any, y: np.ndarray, folds: np.ndarray, *, n_classes: int
    ) -> cross_validation.Fitted:
        """Counts the classes."""
        del x, folds
        return _FittedMajority(np.bincount(y, minlength=n_classes) / len(y))


@dataclasses.dataclass(frozen=True)
class SingleFeature:
    """The best feature for one class, its direction and its threshold.

    Attributes:
      positive: index of the class that the feature is for; there are two classes.
      select_by: "average_precision" or "f1" on the training rows.
    """

    positive: int
    select_by: str = "average_precision"

    def fit(
        self, x: Any, y: np.ndarray, folds: np.ndarray, *, n_classes: int
    ) -> cross_validation.Fitted:
        """Measures every feature in both directions and keeps the best.

        Raises:
          InputError: there are not two classes, or no such criterion.
        """
        del folds
        if n_classes != 2 or self.select_by not in ("average_precision", "f1"):
            raise InputError(
                "Expected two classes and a criterion of average_precision or f1, got "
                f"{n_classes} and {self.select_by!r}."
            )
        columns, is_positive = logistic.dense(x), y == self.positive
        found = []
        for direction in (1, -1):
            if self.select_by == "f1":
                criteria, _ = ranking.column_f1(direction * columns, is_positive)
                best = int(np.argmax(criteria))
                found.append((float(criteria[best]), direction, best))
            else:
                criterion, best = ranking.best_column(direction * columns, is_positive)
                found.append((criterion, direction, best))
        criterion, direction, feature = max(found, key=lambda each: each[0])
        _, [threshold] = ranking.column_f1(
            direction * columns[:, [feature]], is_positive
        )
        return _FittedFeature(
            criterion, feature, direction, float(threshold), self.positive
        )


@dataclasses.dataclass(frozen=True)
class SparseProbe:
    """Logistic regression on ``k`` features, chosen one after the other.

    The first is the feature whose standardised means differ most between the classes,
    as in Gurnee et al. (2023). Each further one is the feature that correlates most
    with what the probe so far gets wrong; then the probe is fitted again. This is
    orthogonal matching pursuit for the logistic loss (Lozano, Świrszcz and Abe, 2011).
    Choosing all k by the means alone picks features that tell the same thing.

    Attributes:
      k: number of features.
    """

    k: int

    def fit(
        self, x: Any, y: np.ndarray, folds: np.ndarray, *, n_classes: int
    ) -> cross_validation.Fitted:
        """Chooses features and fits."""
        return _fit_path(x, y, folds, ks=(self.k,), n_classes=n_classes)[self.k]


@dataclasses.dataclass(frozen=True)
class FullProbe:
    """Logistic regression on all features.

    The penalty is the one with the lowest log loss when each of the training folds is
    predicted from the others. Penalties are tried from the strongest on, until the loss
    rises.
    """

    def fit(
        self, x: Any, y: np.ndarray, folds: np.ndarray, *, n_classes: int
    ) -> cross_validation.Fitted:
        """Chooses the penalty and fits."""
        left_out = np.unique(folds)[:, None] == folds[None]
        # The last set is of all rows: the probe, if its penalty is chosen.
        included = np.concatenate([~left_out, np.ones((1, len(y)), bool)])
        rows = logistic.coordinates(x)
        found: list[tuple[float, float, np.ndarray]] = []
        w = None
        for strength in _STRENGTHS:
            w = rows.fit(y, included, n_classes=n_classes, strength=strength, start=w)
            loss = _left_out_loss(minimise.probabilities(rows.z, w), y, left_out)
            found.append((-loss, strength, w[-1]))
            # A weaker penalty fits longer, and would be worse still.
            if len(found) > 1 and found[-1][0] < found[-2][0]:
                break
        criterion, strength, w = max(found, key=lambda each: each[0])
        return _FittedLogistic(criterion, rows.classifier(w), {"strength": strength})


def cross_validate_path(
    x: Any, task: task_lib.Task, *, ks: Sequence[int] = KS
) -> dict[int, cross_validation.Predictions]:
    """Predicts every row by sparse probes of several sizes, in the time of the largest.

    Args:
      x: [rows, features], an array or a CSR matrix.
      task: what to predict.
      ks: numbers of features.

    Returns:
      For each of ``ks`` what `cross_validate` returns with a `SparseProbe`.

    Raises:
      InputError: as in `cross_validate`.
    """

    def fit(
        x: Any, y: np.ndarray, folds: np.ndarray
    ) -> dict[int, cross_validation.Fitted]:
        return _fit_path(x, y, folds, ks=ks, n_classes=len(task.classes))

    return cross_validation.cross_validate_all(x, task, fit)


@dataclasses.dataclass(frozen=True, eq=False)
class _FittedMajority:
    shares: np.ndarray
    criterion: float = 0.0

    @property
    def chosen(self) -> dict[str, Any]:
        return {"class": int(np.argmax(self.shares))}

    def scores(self, x: Any) -> np.ndarray:
        return np.tile(self.shares, (x.shape[0], 1))

    def predict(self, x: Any) -> np.ndarray:
        return np.full(x.shape[0], np.argmax(self.shares))


@dataclasses.dataclass(frozen=True, eq=False)
class _FittedFeature:
    criterion: float
    feature: int
    direction: int
    threshold: float
    positive: int

    @property
    def chosen(self) -> dict[str, Any]:
        return {
            "feature": self.feature,
            "direction": self.direction,
            "threshold": self.threshold,
        }

    def scores(self, x: Any) -> np.ndarray:
        value = self._value(x)
        columns = [-value, value] if self.positive else [value, -value]
        return np.stack(columns, axis=1)

    def predict(self, x: Any) -> np.ndarray:
        is_found = self._value(x) > self.threshold
        return np.where(is_found, self.positive, 1 - self.positive)

    def _value(self, x: Any) -> np.ndarray:
        column = logistic.dense(x[:, [self.feature]])[:, 0]
        return self.direction * column.astype(np.float64)


@dataclasses.dataclass(frozen=True, eq=False)
class _FittedLogistic:
    criterion: float
    classifier: logistic.Classifier
    chosen: dict[str, Any]

    def scores(self, x: Any) -> np.ndarray:
        return self.classifier.probabilities(x)

    def predict(self, x: Any) -> np.ndarray:
        return np.argmax(self.classifier.probabilities(x), axis=1)


def _left_out_loss(
    probabilities: np.ndarray, y: np.ndarray, left_out: np.ndarray
) -> float:
    """Returns the log loss of each fold predicted from the others.

    Args:
      probabilities: [sets, n, classes]; the first sets are those of ``left_out``.
      y: [n] int64 classes.
      left_out: [folds, n] bool.
    """
    loss = sum(
        np.sum(rows) * logistic.log_loss(found[rows], y[rows])
        for found, rows in zip(probabilities, left_out, strict=False)
    )
    return float(loss / len(y))


def _fit_path(
    x: Any,
    y: np.ndarray,
    folds: np.ndarray,
    *,
    ks: Sequence[int],
    n_classes: int,
) -> dict[int, cross_validation.Fitted]:
    """Fits sparse probes of several sizes, and measures each on left-out folds."""
    left_out = np.unique(folds)[:, None] == folds[None]
    included = np.concatenate([~left_out, np.ones((1, len(y)), bool)])
    path = pursuit.pursue(
        logistic.dense(x),
        y,
        included,
        ks=ks,
        n_classes=n_classes,
        strength=_SPARSE_STRENGTH,
    )
    return {
        k: _FittedLogistic(
            -_left_out_loss(found.probabilities, y, left_out),
            found.classifier(-1),
            {"features": found.columns[-1]},
        )
        for k, found in path.items()
    }

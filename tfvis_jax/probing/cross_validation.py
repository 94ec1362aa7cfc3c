"""Every row predicted by a probe that has not seen its document.

A probe gets the rows of the training folds when it is fitted, and nothing else: what it
selects (features, threshold, direction, penalty) cannot depend on a row that is tested.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import scipy.sparse

from tfvis_jax.errors import InputError
from tfvis_jax.probing import task as task_lib


class Fitted(Protocol):
    """A probe that is fitted."""

    @property
    def criterion(self) -> float:
        """How good it is by its training rows alone; higher is better."""
        ...

    @property
    def chosen(self) -> dict[str, Any]:
        """What was selected."""
        ...

    def scores(self, x: Any) -> np.ndarray:
        """Returns how much rows belong to each class, [rows, n_classes]."""
        ...

    def predict(self, x: Any) -> np.ndarray:
        """Returns the class of each row, [rows] int64."""
        ...


class Probe(Protocol):
    """A way to fit."""

    def fit(
        self, x: Any, y: np.ndarray, folds: np.ndarray, *, n_classes: int
    ) -> Fitted:
        """Fits on training rows.

        Args:
          x: [rows, features], an array or a CSR matrix.
          y: [rows] int64 classes.
          folds: [rows] int64, which divide documents, to select with.
          n_classes: number of classes.
        """
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of rows by probes that have not seen their documents.

    Attributes:
      scores: [n, n_classes] float64, comparable within a fold only.
      predicted: [n] int64, the predicted class.
      criteria: [n_folds] float64, how good the probe of each fold is by its training
        rows; higher is better.
      chosen: for each fold, what was selected.
    """

    scores: np.ndarray
    predicted: np.ndarray
    criteria: np.ndarray
    chosen: tuple[dict[str, Any], ...]


def cross_validate(x: Any, task: task_lib.Task, probe: Probe) -> Predictions:
    """Predicts every row by a probe fitted on the other folds.

    Args:
      x: [rows, features], an array or a CSR matrix.
      task: what to predict.
      probe: how to fit.

    Raises:
      InputError: the rows are not those of the task or not finite.
    """

    def fit(x: Any, y: np.ndarray, folds: np.ndarray) -> dict[None, Fitted]:
        return {None: probe.fit(x, y, folds, n_classes=len(task.classes))}

    return cross_validate_all(x, task, fit)[None]


def cross_validate_all(
    x: Any,
    task: task_lib.Task,
    fit: Callable[[Any, np.ndarray, np.ndarray], Mapping[Any, Fitted]],
) -> dict[Any, Predictions]:
    """Does what `cross_validate` does for several probes that are fitted together.

    Args:
      x: [rows, features], an array or a CSR matrix.
      task: what to predict.
      fit: returns fitted probes by name, from training rows, their classes and folds.

    Raises:
      InputError: the rows are not those of the task or not finite.
    """
    if not scipy.sparse.issparse(x):
        x = np.asarray(x)
    if x.ndim != 2 or x.shape[0] != len(task.y):
        raise InputError(
            f"Expected a matrix with the {len(task.y):,} rows of the task, got shape "
            f"{x.shape}."
        )
    if not np.isfinite(x.data if scipy.sparse.issparse(x) else x).all():
        raise InputError("Expected finite features, got NaN or infinity.")
    fitted = []
    for fold in range(task.n_folds):
        known = task.folds != fold
        fitted.append(fit(x[known], task.y[known], task.folds[known]))
    return {
        name: _predictions(x, task, [probes[name] for probes in fitted])
        for name in fitted[0]
    }


def choose(candidates: Mapping[Any, Predictions], task: task_lib.Task) -> Predictions:
    """Chooses among representations, such as layers, by training rows alone.

    In each fold the probe with the best criterion is used.

    Args:
      candidates: predictions from the same kind of probe, by name.
      task: what was predicted.
    """
    names = list(candidates)
    best = np.argmax([candidates[name].criteria for name in names], axis=0)
    scores, predicted = (
        np.array(getattr(candidates[names[0]], field))
        for field in ("scores", "predicted")
    )
    chosen, criteria = [], []
    for fold, number in enumerate(best.tolist()):
        tested, found = task.folds == fold, candidates[names[number]]
        scores[tested] = found.scores[tested]
        predicted[tested] = found.predicted[tested]
        criteria.append(found.criteria[fold])
        chosen.append({"of": names[number], **found.chosen[fold]})
    return Predictions(scores, predicted, np.array(criteria), tuple(chosen))


def from_labels(labels: Sequence[str] | np.ndarray, task: task_lib.Task) -> Predictions:
    """Returns the predictions of something that is not fitted, such as a tagger.

    Args:
      labels: [n] predicted classes; one that the task does not have is always wrong.
      task: what was to be predicted.
    """
    numbers = {name: number for number, name in enumerate(task.classes)}
    predicted = np.array([numbers.get(label, -1) for label in labels], np.int64)
    scores = (predicted[:, None] == np.arange(len(task.classes))[None]).astype(float)
    return Predictions(scores, predicted, np.zeros(task.n_folds), ({},) * task.n_folds)


def _predictions(x: Any, task: task_lib.Task, fitted: Sequence[Fitted]) -> Predictions:
    scores = np.zeros((len(task.y), len(task.classes)))
    predicted = np.zeros(len(task.y), np.int64)
    for fold, probe in enumerate(fitted):
        tested = task.folds == fold
        rows = x[tested]
        scores[tested], predicted[tested] = probe.scores(rows), probe.predict(rows)
    return Predictions(
        scores,
        predicted,
        np.array([probe.criterion for probe in fitted]),
        tuple(probe.chosen for probe in fitted),
    )

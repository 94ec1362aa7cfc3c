"""How good predictions are, with intervals from a bootstrap over documents."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.probing import cross_validation, ranking
from tfvis_jax.probing import task as task_lib

# Percentiles of a 95 % interval.
_LOW, _HIGH = 2.5, 97.5


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
      value: the figure on all rows.
      low, high: the 2.5th and 97.5th percentile over the resamples.
      samples: [n_resamples] float64, the figure of each resample.
    """

    value: float
    low: float
    high: float
    samples: np.ndarray = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclasses.dataclass(frozen=True, eq=False)
class ClassScores:
    """Figures of one class against the others.

    Attributes:
      support: number of its rows.
      precision, recall, f1: of the predicted classes, counted over all folds.
      auc, average_precision: of the scores, the mean over the folds.
    """

    support: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    auc: Estimate
    average_precision: Estimate


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Figures of predictions on rows of documents that were not trained on.

    Attributes:
      accuracy: share of rows whose class is predicted.
      of_class: figures of every class, by its name.
    """

    accuracy: Estimate
    of_class: dict[str, ClassScores]


def score(
    predictions: cross_validation.Predictions,
    task: task_lib.Task,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Scores:
    """Measures predictions.

    What is counted (accuracy, precision, recall, F1) is counted over all folds. What
    ranks (AUC, average precision) is the mean over the folds, because the scores of two
    folds come from two probes and have no common scale (Forman and Scholz, 2010).

    A resample draws as many documents from each fold as it has, with replacement. The
    same task, seed and number of resamples give the same resamples, so that the
    difference of two representations is a paired one.

    Args:
      predictions: of a probe.
      task: what was to be predicted.
      n_resamples: number of bootstrap resamples.
      seed: of the resamples.
    """
    times = _with_the_data(task, n_resamples=n_resamples, seed=seed)
    predicted, y = predictions.predicted, task.y
    of_class = {}
    for number, name in enumerate(task.classes):
        is_positive, is_found = y == number, predicted == number
        hits = _totals(is_positive & is_found, task, times)
        found, present = (
            _totals(rows, task, times) for rows in (is_found, is_positive)
        )
        auc, average_precision = (
            _mean_over_folds(
                measure, predictions.scores[:, number], number, task, times
            )
            for measure in (ranking.roc_auc, ranking.average_precision)
        )
        of_class[name] = ClassScores(
            support=int(is_positive.sum()),
            # Nothing found: no precision to speak of, counted as none.
            precision=_estimate(_ratio(hits, found)),
            recall=_estimate(_ratio(hits, present)),
            f1=_estimate(_ratio(2 * hits, found + present)),
            auc=_estimate(auc),
            average_precision=_estimate(average_precision),
        )
    return Scores(accuracy=_accuracy(predictions, task, times), of_class=of_class)


def accuracy(
    predictions: cross_validation.Predictions,
    task: task_lib.Task,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Measures the share of rows whose class is predicted, as `score` does, alone.

    Args:
      predictions: of a probe.
      task: what was to be predicted.
      n_resamples: number of bootstrap resamples.
      seed: of the resamples.
    """
    times = _with_the_data(task, n_resamples=n_resamples, seed=seed)
    return _accuracy(predictions, task, times)


def average_precision(
    predictions: cross_validation.Predictions,
    task: task_lib.Task,
    positive: str,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Measures how well one class is ranked, as `score` does, alone.

    Args:
      predictions: of a probe.
      task: what was to be predicted.
      positive: the class.
      n_resamples: number of bootstrap resamples.
      seed: of the resamples.
    """
    times = _with_the_data(task, n_resamples=n_resamples, seed=seed)
    number = task.index(positive)
    return _estimate(
        _mean_over_folds(
            ranking.average_precision,
            predictions.scores[:, number],
            number,
            task,
            times,
        )
    )


@functools.lru_cache(maxsize=8)
def _with_the_data(task: task_lib.Task, *, n_resamples: int, seed: int) -> np.ndarray:
    """Returns the resamples behind the data itself, [1 + n_resamples, n_documents]."""
    times = resample_documents(task, n_resamples=n_resamples, seed=seed)
    return np.concatenate([np.ones((1, times.shape[1])), times])


def _accuracy(
    predictions: cross_validation.Predictions, task: task_lib.Task, times: np.ndarray
) -> Estimate:
    correct = _totals(predictions.predicted == task.y, task, times)
    return _estimate(correct / _totals(np.ones(len(task.y), bool), task, times))


def resample_documents(
    task: task_lib.Task, *, n_resamples: int, seed: int
) -> np.ndarray:
    """Draws documents with replacement, within each fold.

    Args:
      task: whose documents.
      n_resamples: number of resamples.
      seed: of the resamples.

    Returns:
      [n_resamples, n_documents] int64, how often each document was drawn.
    """
    rng = np.random.default_rng(seed)
    n_documents = int(task.documents.max()) + 1
    fold_of = np.zeros(n_documents, np.int64)
    fold_of[task.documents] = task.folds
    times = np.zeros((n_resamples, n_documents), np.int64)
    for fold in range(task.n_folds):
        members = np.flatnonzero(fold_of == fold)
        times[:, members] = rng.multinomial(
            len(members), np.full(len(members), 1 / len(members)), size=n_resamples
        )
    return times


def difference(a: Estimate, b: Estimate) -> Estimate:
    """Returns a − b of two figures of the same task, with its paired interval.

    Raises:
      InputError: the figures have different numbers of resamples.
    """
    if a.samples.shape != b.samples.shape:
        raise InputError(
            f"Expected figures with equally many resamples, got {len(a.samples)} and "
            f"{len(b.samples)}."
        )
    return _estimate(np.append(a.value - b.value, a.samples - b.samples))


def ratio(a: Estimate, b: Estimate) -> Estimate:
    """Returns a / b of two figures of the same resamples, with its interval.

    Args:
      a: a figure.
      b: a figure that is not near zero.
    """
    return _estimate(np.append(a.value / b.value, a.samples / b.samples))


def mean(estimates: list[Estimate]) -> Estimate:
    """Returns the mean of figures of several tasks; the interval is over documents.

    Raises:
      InputError: there are no figures, or they have different numbers of resamples.
    """
    if len({len(estimate.samples) for estimate in estimates}) != 1:
        raise InputError("Expected figures with equally many resamples.")
    samples = np.mean([estimate.samples for estimate in estimates], axis=0)
    value = np.mean([estimate.value for estimate in estimates])
    return _estimate(np.append(value, samples))


def _estimate(values: np.ndarray) -> Estimate:
    """Makes an estimate of the figure on all rows, followed by those of resamples."""
    samples = values[1:]
    known = samples[~np.isnan(samples)]
    low, high = np.percentile(known, [_LOW, _HIGH]) if len(known) else (np.nan, np.nan)
    return Estimate(float(values[0]), float(low), float(high), samples)


def _totals(rows: np.ndarray, task: task_lib.Task, times: np.ndarray) -> np.ndarray:
    """Returns how many of ``rows`` [n] bool each repeat holds, [repeats]."""
    return times @ np.bincount(
        task.documents, weights=rows.astype(np.float64), minlength=times.shape[1]
    )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.where(whole > 0, whole, 1)


def _mean_over_folds(
    measure: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    scores: np.ndarray,
    positive: int,
    task: task_lib.Task,
    times: np.ndarray,
) -> np.ndarray:
    """Returns the mean over the folds in which a repeat has positives, [repeats]."""
    found = []
    for fold in range(task.n_folds):
        rows = np.flatnonzero(task.folds == fold)
        weights = times[:, task.documents[rows]]
        found.append(measure(scores[rows], task.y[rows] == positive, weights))
    values = np.stack(found)
    known = ~np.isnan(values)
    return np.where(known, values, 0).sum(axis=0) / np.where(
        known.any(axis=0), known.sum(axis=0), np.nan
    )

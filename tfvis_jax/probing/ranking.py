"""Average precision, area under the ROC curve, and the best threshold.

All rows with the same score are taken together, as no order is known among them; codes
are zero for most rows.
"""

import numpy as np

from tfvis_jax.errors import InputError

# Numbers that are sorted at a time; bounds memory.
_AT_ONCE = 2**22
# One in so many negatives bounds an average precision; so many columns are measured at
# a time.
_EVERY = 8
_COLUMNS = 16
_MOST_COLUMNS = 64


def average_precision(
    scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Returns Σ_n (R_n − R_{n−1}) P_n over the thresholds, from the highest score down.

    Args:
      scores: [n].
      is_positive: [n] bool.
      weights: [repeats, n] weights of the rows, ≥ 0; one repeat of ones if None.

    Returns:
      [repeats]; NaN where no positive has weight.
    """
    # Below the lowest positive nothing is gained.
    kept = scores >= scores[is_positive].min(initial=np.inf)
    if not kept.any():
        return np.full(1 if weights is None else len(weights), np.nan)
    weights = None if weights is None else weights[:, kept]
    true, false = _cumulated(scores[kept], is_positive[kept], weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.nan_to_num(true / (true + false))
        recall = true / true[:, -1:]
        gained = np.diff(recall, axis=1, prepend=0)
        return np.sum(gained * precision, axis=1)


def roc_auc(
    scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Returns the probability that a positive outscores a negative, ties counting half.

    Args:
      scores: [n].
      is_positive: [n] bool.
      weights: [repeats, n] weights of the rows, ≥ 0; one repeat of ones if None.

    Returns:
      [repeats]; NaN where positives or negatives have no weight.
    """
    true, false = _cumulated(scores, is_positive, weights)
    new_false = np.diff(false, axis=1, prepend=0)
    before = true - np.diff(true, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        area = np.sum(new_false * (before + true) / 2, axis=1)
        return area / (true[:, -1] * false[:, -1])


def column_average_precision(columns: np.ndarray, is_positive: np.ndarray):
    """Returns the average precision of each column as a score.

    Args:
      columns: [n, m].
      is_positive: [n] bool, at least one of them True.

    Returns:
      [m] float64.
    """
    return np.concatenate(
        [
            np.mean(
                np.where(positive, true / np.arange(1, len(true.T) + 1)[last], 0),
                axis=1,
            )
            * (positive.shape[1] / np.sum(is_positive))
            for _, positive, true, last in _sorted_parts(columns, is_positive)
        ]
    )


def best_column(columns: np.ndarray, is_positive: np.ndarray) -> tuple[float, int]:
    """Returns the highest average precision of a column, and the first that has it.

    Leaving out negatives can only raise an average precision, so that a few of them
    bound it. Columns are measured from the highest bound on, until none can be better
    or 64 were: the best is hardly ever behind those, and the search stays fast.

    Args:
      columns: [n, m].
      is_positive: [n] bool, at least one of them True.
    """
    negatives = np.flatnonzero(~is_positive)
    few = np.append(np.flatnonzero(is_positive), negatives[::_EVERY])
    bound = column_average_precision(columns[few], is_positive[few])
    order = np.argsort(-bound, kind="stable")
    best, column = -1.0, 0
    for start in range(0, min(len(order), _MOST_COLUMNS), _COLUMNS):
        chosen = order[start : start + _COLUMNS]
        if bound[chosen[0]] < best:
            break
        exact = column_average_precision(columns[:, chosen], is_positive)
        for value, number in zip(exact.tolist(), chosen.tolist(), strict=True):
            if (value, -number) > (best, -column):
                best, column = value, number
    return best, column


def column_f1(
    columns: np.ndarray, is_positive: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the best F1 of each column as a score, and the threshold that reaches it.

    Args:
      columns: [n, m].
      is_positive: [n] bool, at least one of them True.

    Returns:
      F1 [m] float64, and the threshold [m] float64 above which a row is positive,
      halfway between two scores; -inf if all rows are.
    """
    best, thresholds = [], []
    n_positive = np.sum(is_positive)
    for scores, _, true, last in _sorted_parts(columns, is_positive):
        f1 = 2 * true / (1 + last + n_positive)
        place = np.argmax(f1, axis=1)
        rows = np.arange(len(place))
        end = last[rows, place]
        following = np.minimum(end + 1, scores.shape[1] - 1)
        middle = (scores[rows, end] + scores[rows, following]) / 2
        best.append(f1[rows, place])
        thresholds.append(np.where(end + 1 < scores.shape[1], middle, -np.inf))
    return np.concatenate(best), np.concatenate(thresholds)


def _sorted_parts(columns: np.ndarray, is_positive: np.ndarray):
    """Yields [m', n] arrays of some columns, each sorted from the highest score down.

    Yields:
      The scores, whether each is a positive, the positives up to the end of those with
      the same score, and the place of that end.
    """
    n, m = columns.shape
    if not is_positive.any():
        raise InputError("Expected at least one positive row, got none.")
    step = max(_AT_ONCE // max(n, 1), 1)
    for start in range(0, m, step):
        # Copied, because sorting along rows of memory is several times faster.
        scores = np.ascontiguousarray(columns[:, start : start + step].T, np.float64)
        # In any order among equals: they are taken together.
        order = np.argsort(-scores, axis=1)
        scores = np.take_along_axis(scores, order, axis=1)
        positive = is_positive[order]
        last = np.full(scores.shape, n - 1)
        is_end = scores[:, :-1] != scores[:, 1:]
        last[:, :-1] = np.where(is_end, np.arange(n - 1)[None], n - 1)
        last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
        true = np.take_along_axis(np.cumsum(positive, axis=1), last, axis=1)
        yield scores, positive, true, last


def _cumulated(
    scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the weights of positives and negatives at or above each score.

    Returns:
      Two arrays [repeats, number of distinct scores], from the highest score down.
    """
    if weights is None:
        weights = np.ones((1, len(scores)))
    order = np.argsort(-scores, kind="stable")
    # Rows of one score are added first: there may be few scores.
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    ordered = weights[:, order]
    of_positives = ordered * is_positive[order][None]
    true, everything = (
        np.cumsum(np.add.reduceat(each, starts, axis=1), axis=1)
        for each in (of_positives, ordered)
    )
    return true, everything - true

"""Minimises the loss of logistic regressions, several at a time.

    C Σ_n −log p(y_n | x_n) + ½ Σ ‖w‖²,   the intercept free

The Hessian is at most M = a C ZᵀZ + I, with a = ¼ for two classes and ½ for more
(Böhning 1992, *Multinomial logistic regression algorithm*). Steps are M⁻¹ times the
gradient, with Nesterov's momentum, which is dropped where it points uphill (O'Donoghue
and Candès 2015, *Adaptive restart for accelerated gradient schemes*).

Regressions on subsets of the same rows share their matrix products. Two classes have
one logit, that of the second; more have one each.
"""

from collections.abc import Callable

import numpy as np

# A step that promises less than this share of the loss of no information ends it.
_TOLERANCE = 1e-7
_MAX_STEPS = 1000
_MAX_NEWTON = 20


def curvature(n_classes: int) -> float:
    """Returns a: no row's Hessian in its logits is above a times the identity."""
    return 0.25 if n_classes == 2 else 0.5


def minimise(
    z: np.ndarray,
    y: np.ndarray,
    included: np.ndarray,
    *,
    n_classes: int,
    strength: float,
    solve: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Fits logistic regressions.

    Args:
      z: [n, m] features of all regressions, or [sets, n, m], one for each; the last
        column is of ones and its coefficient is not penalised.
      y: [n] int64 classes.
      included: [sets, n] bool, the rows that each regression is fitted to.
      n_classes: number of classes.
      strength: C, the inverse of the penalty.
      solve: from gradients [sets, m, logits] to M⁻¹ times them.
      start: [sets, m, logits] where to start; zeros if None.

    Returns:
      [sets, m, logits] coefficients.
    """
    n_logits = 1 if n_classes == 2 else n_classes
    truth = np.eye(n_classes)[y][None, :, n_classes - n_logits :]
    weight = included[:, :, None] * strength
    shape = (len(included), z.shape[-1], n_logits)
    w = np.zeros(shape) if start is None else start
    ahead, previous = w, w
    momentum = np.ones(len(included))
    enough = _TOLERANCE * strength * included.sum(axis=1) * np.log(n_classes)
    for _ in range(_MAX_STEPS):
        error = (_probabilities(logits(z, ahead)) - truth) * weight
        gradient = _transposed(z, error)
        gradient[:, :-1] += ahead[:, :-1]
        step = solve(gradient)
        w = ahead - step
        if np.all(np.sum(gradient * step, axis=(1, 2)) <= enough):
            break
        moved = w - previous
        # The step and the way of the momentum disagree: start it again.
        uphill = np.sum(gradient * moved, axis=(1, 2)) > 0
        momentum = np.where(uphill, 1.0, momentum)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        share = np.where(uphill, 0.0, (momentum - 1) / following)
        ahead = w + share[:, None, None] * moved
        previous, momentum = w, following
    return w


def newton(
    z: np.ndarray,
    y: np.ndarray,
    included: np.ndarray,
    *,
    strength: float,
    start: np.ndarray | None = None,
) -> tuple[np.ndarray, bool]:
    """Fits regressions on a few features and two classes by Newton's method.

    Args:
      z: [sets, n, m], the last column of ones.
      y: [n] int64, 0 or 1.
      included: [sets, n] bool.
      strength: C, the inverse of the penalty.
      start: [sets, m, 1] where to start; zeros if None.

    Returns:
      [sets, m, 1] coefficients, and whether they are the minimum. If not, they are the
      start: Newton's steps had grown.
    """
    w = np.zeros((len(z), z.shape[2], 1)) if start is None else start
    first, last = w, np.inf
    weighted = np.swapaxes(z * (strength * included)[:, :, None], 1, 2)
    penalty = np.ones(z.shape[2])
    # A little, in case all rows are of one class.
    penalty[-1] = _TOLERANCE
    enough = _TOLERANCE * strength * included.sum(axis=1).min() * np.log(2)
    for _ in range(_MAX_NEWTON):
        p = _probabilities(logits(z, w))
        gradient = weighted @ (p - y[None, :, None])
        gradient[:, :-1] += w[:, :-1]
        hessian = weighted @ (z * (p * (1 - p))) + np.diag(penalty)[None]
        step = np.linalg.solve(hessian, gradient)
        decrement = float(np.max(np.sum(gradient * step, axis=(1, 2))))
        if decrement > last:
            return first, False
        w, last = w - step, decrement
        if decrement <= enough:
            return w, True
    return first, False


def logits(z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Returns z w of each set, [sets, n, logits].

    Args:
      z: [n, m] or [sets, n, m].
      w: [sets, m, logits].
    """
    if z.ndim == 3:
        return z @ w
    flat = z @ np.swapaxes(w, 0, 1).reshape(z.shape[1], -1)
    return np.swapaxes(flat.reshape(len(z), len(w), -1), 0, 1)


def probabilities(z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Returns the probability of every class, [sets, n, classes]."""
    found = _probabilities(logits(z, w))
    if found.shape[2] > 1:
        return found
    return np.concatenate([1 - found, found], axis=2)


def _transposed(z: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Returns zᵀ error of each set, [sets, m, logits]."""
    if z.ndim == 3:
        return np.swapaxes(z, 1, 2) @ error
    sets, n, n_logits = error.shape
    flat = z.T @ np.swapaxes(error, 0, 1).reshape(n, -1)
    return np.swapaxes(flat.reshape(-1, sets, n_logits), 0, 1).copy()


def _probabilities(found: np.ndarray) -> np.ndarray:
    """Returns the probabilities of the classes that have a logit."""
    if found.shape[2] == 1:
        return 1 / (1 + np.exp(-np.clip(found, -500, 500)))
    odds = np.exp(found - found.max(axis=2, keepdims=True))
    return odds / odds.sum(axis=2, keepdims=True)

"""LIME: a linear stand-in for an activation, as a function of which tokens are there.

Ribeiro, Singh & Guestrin, "Why should I trust you?", KDD 2016, as Yun et al. (2021) use
it. Tokens are replaced at random, their number uniform in 1 … n; a ridge regression of
the activation on the tokens that stayed, weighted by how much of the window did, gives
each token its weight. Given masks and activations, `fit` computes what the authors'
package (`lime` 0.2) computes:

    distance of a mask   100 · (1 − √(tokens kept / n)), the cosine distance to all
    its weight w         √exp(−distance² / 25²)
    selection            the largest weights of a ridge regression with penalty 0.01; up
                         to 6 tokens by forward selection in R² without penalty
    tokens' weights      of a ridge regression with penalty 1 on the selected ones
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfvis_jax.saliency import target as target_lib
from tfvis_jax.saliency import variants

_KERNEL_WIDTH = 25
_SELECTION_PENALTY = 0.01
_PENALTY = 1.0
_MOST_BY_FORWARD_SELECTION = 6
# Of the first look at the standard errors: masks, and masks for each token. Later ones
# come when enough should have been drawn, but after no fewer than a step, and no later
# than at twice as many.
_FIRST, _FIRST_PER_TOKEN = 256, 4
_STEP = 64
_SAFETY = 1.05


@dataclasses.dataclass(frozen=True, eq=False)
class LocalFit:
    """A weighted linear fit round a window.

    Attributes:
      weights: [n] of the tokens; 0 for those that were not selected.
      standard_errors: [n] of the weights, 0 likewise; robust to unequal variances.
      intercept: the fit's value with no token in its place.
      r2: weighted R².
      n_samples: masks, the one that keeps all included.
    """

    weights: np.ndarray
    standard_errors: np.ndarray
    intercept: float
    r2: float
    n_samples: int

    @property
    def relative_error(self) -> float:
        """Largest standard error, in units of the largest weight."""
        largest = float(np.max(np.abs(self.weights), initial=0))
        return (
            float(np.max(self.standard_errors, initial=0)) / largest if largest else 0
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Lime:
    """What LIME says about one target.

    Attributes:
      fit: the fit to all masks.
      stability: correlation of the weights of two fits, each to the masks of another
        seed, half of all; NaN where a half gives no weights or all alike.
    """

    fit: LocalFit
    stability: float


def draw_masks(rng: np.random.Generator, *, n_tokens: int, count: int) -> np.ndarray:
    """Draws which tokens stay.

    The number that is replaced is uniform in 1 … n; which ones is uniform too.

    Args:
      rng: source of chance.
      n_tokens: n.
      count: masks.

    Returns:
      [count, n_tokens] bool, true where a token stays.
    """
    n_replaced = rng.integers(1, n_tokens + 1, size=count)
    order = np.argsort(rng.random((count, n_tokens)), axis=1)
    return np.argsort(order, axis=1) >= n_replaced[:, None]


def sample_weights(kept: np.ndarray) -> np.ndarray:
    """Returns LIME's kernel of each mask, [samples], from kept [samples, n] bool."""
    distance = 100 * (1 - np.sqrt(kept.mean(axis=1)))
    return np.sqrt(np.exp(-(distance**2) / _KERNEL_WIDTH**2))


def fit(
    kept: np.ndarray, activations: np.ndarray, *, num_features: int = 30
) -> LocalFit:
    """Fits activations by the tokens that stayed.

    Args:
      kept: [samples, n] bool; the first mask keeps all.
      activations: [samples].
      num_features: tokens with a weight, at most; 30 in the paper's code.
    """
    y = np.asarray(activations, np.float64)
    w = sample_weights(kept)
    chosen = _select(kept, y, w, num_features=num_features)
    columns = kept[:, chosen].astype(np.float64)
    coefficients, centre, mean = _ridge(columns, y, w, penalty=_PENALTY)
    residual = y - mean - (columns - centre) @ coefficients
    total = np.sum(w * (y - mean) ** 2)
    weights, errors = np.zeros(kept.shape[1]), np.zeros(kept.shape[1])
    weights[chosen] = coefficients
    errors[chosen] = _standard_errors(columns - centre, residual, w)
    return LocalFit(
        weights=weights,
        standard_errors=errors,
        intercept=float(mean - centre @ coefficients),
        r2=float(1 - np.sum(w * residual**2) / total) if total > 0 else 0.0,
        n_samples=len(y),
    )


def explain(
    probe: variants.Probe,
    targets: Sequence[target_lib.Target],
    *,
    replacement: int,
    max_samples: int = 2001,
    relative_error: float | None = 0.05,
    num_features: int = 30,
    seed: int = 0,
) -> list[Lime]:
    """Runs LIME on targets together.

    Args:
      probe: the model at the layer in question.
      targets: tokens.
      replacement: id of the token that takes others' places.
      max_samples: masks a target, the one that keeps all included; 2,001 in the paper's
        code.
      relative_error: enough once no weight's standard error is above this share of the
        largest weight; None draws all masks.
      num_features: see `fit`.
      seed: decides the masks. A target's do not depend on the other targets.
    """
    samples = [_Samples(target, seed=seed) for target in targets]
    wanted = [
        max_samples
        if relative_error is None
        else min(max_samples, max(_FIRST, _FIRST_PER_TOKEN * len(target.places)))
        for target in targets
    ]
    fits: list[LocalFit | None] = [None] * len(targets)
    while going := [i for i, found in enumerate(fits) if found is None]:
        requests = [
            variants.replacing(targets[i], samples[i].draw(wanted[i]), by=replacement)
            for i in going
        ]
        for i, alpha in zip(going, probe.activations(requests), strict=True):
            samples[i].add(alpha)
            found = fit(samples[i].kept, samples[i].alpha, num_features=num_features)
            if wanted[i] >= max_samples or found.relative_error <= relative_error:
                fits[i] = found
                continue
            enough = _SAFETY * wanted[i] * (found.relative_error / relative_error) ** 2
            least, most = wanted[i] + _STEP, min(2 * wanted[i], max_samples)
            steps = -(-int(min(enough, most)) // _STEP)
            wanted[i] = min(max(least, steps * _STEP), most)
    return [
        Lime(found, stability=_stability(sample, num_features=num_features))
        for found, sample in zip(fits, samples, strict=True)
    ]


class _Samples:
    """Masks of one target: all kept, then by turns from the two seeds."""

    def __init__(self, target, *, seed):
        n_tokens = len(target.places)
        self._rngs = [np.random.default_rng([seed, half]) for half in range(2)]
        self.kept = np.ones((0, n_tokens), bool)
        self.alpha = np.zeros(0)

    def draw(self, wanted):
        """Returns the masks that are missing to the number wanted."""
        first, n_tokens = len(self.kept), self.kept.shape[1]
        new = np.ones((wanted - first, n_tokens), bool)
        for number in range(max(first, 1), wanted):
            rng = self._rngs[number % 2]
            [new[number - first]] = draw_masks(rng, n_tokens=n_tokens, count=1)
        self.kept = np.concatenate([self.kept, new])
        return new

    def add(self, alpha):
        self.alpha = np.concatenate([self.alpha, alpha])


def _stability(samples, *, num_features):
    maps = []
    for half in range(2):
        rows = np.arange(len(samples.kept))
        # The mask that keeps all belongs to both.
        rows = rows[(rows == 0) | (rows % 2 == half)]
        found = fit(samples.kept[rows], samples.alpha[rows], num_features=num_features)
        maps.append(found.weights)
    if any(np.ptp(weights) == 0 for weights in maps):
        return float("nan")
    return float(np.corrcoef(*maps)[0, 1])


def _select(kept, y, w, *, num_features):
    """Returns the columns that get a weight, increasing."""
    n_tokens = kept.shape[1]
    columns = kept.astype(np.float64)
    if num_features <= _MOST_BY_FORWARD_SELECTION:
        chosen = _forward_selection(columns, y, w, num_features=num_features)
    elif num_features < n_tokens:
        coefficients, *_ = _ridge(columns, y, w, penalty=_SELECTION_PENALTY)
        chosen = np.argsort(-np.abs(coefficients), kind="stable")[:num_features]
    else:
        chosen = np.arange(n_tokens)
    return np.sort(chosen)


def _forward_selection(columns, y, w, *, num_features):
    """Adds, one by one, the column that raises R² most."""
    chosen: list[int] = []
    rest = list(range(columns.shape[1]))
    while rest and len(chosen) < num_features:
        errors = [
            _squared_error(columns[:, [*chosen, candidate]], y, w) for candidate in rest
        ]
        chosen.append(rest.pop(int(np.argmin(errors))))
    return np.array(chosen, np.int64)


def _squared_error(columns, y, w):
    coefficients, centre, mean = _ridge(columns, y, w, penalty=0.0)
    return np.sum(w * (y - mean - (columns - centre) @ coefficients) ** 2)


def _ridge(columns, y, w, *, penalty):
    """Minimises Σ w (y − b − columns·β)² + penalty·‖β‖².

    Returns:
      β, and the weighted means of columns and y, which give b.
    """
    centre, mean = np.average(columns, axis=0, weights=w), np.average(y, weights=w)
    centred = columns - centre
    gram = (centred * w[:, None]).T @ centred
    gram += penalty * np.eye(len(gram))
    target = centred.T @ (w * (y - mean))
    # Columns may depend on each other where masks are few and the penalty is 0.
    return np.linalg.lstsq(gram, target, rcond=None)[0], centre, mean


def _standard_errors(centred, residual, w):
    """Returns the sandwich estimate (HC1) for the weighted ridge regression, [n]."""
    n, p = centred.shape
    bread = np.linalg.inv((centred * w[:, None]).T @ centred + _PENALTY * np.eye(p))
    scores = centred * (w * residual)[:, None]
    degrees = max(n - p - 1, 1)
    covariance = bread @ (scores.T @ scores) @ bread * n / degrees
    return np.sqrt(np.diag(covariance))

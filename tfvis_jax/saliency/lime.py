"""LIME: approximate an activation by a linear function of which tokens are present.

Ribeiro, Singh & Guestrin, "Why should I trust you?", KDD 2016, as used by Yun et al.
(2021). A random number of tokens, uniform in 1 … n, is replaced. A ridge regression of
the activation on the tokens kept, weighted by how much of the window was kept, gives
each token its weight. Given masks and activations, `fit` computes what the authors'
package (`lime` 0.2) computes:

    distance of a mask   100 · (1 − √(tokens kept / n)), its cosine distance to the
                         mask that keeps all tokens
    sample weight w      √exp(−distance² / 25²)
    selection            the largest weights of a ridge regression with penalty 0.01; up
                         to 6 tokens by forward selection in R² without penalty
    token weights        a ridge regression with penalty 1 on the selected tokens
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfvis_jax.saliency import questions, variants
from tfvis_jax.saliency import target as target_lib

_KERNEL_WIDTH = 25
_SELECTION_PENALTY = 0.01
_PENALTY = 1.0
_MOST_BY_FORWARD_SELECTION = 6
# The standard errors are first checked after this many masks, or this many per token.
# Each later check comes when the errors predict that enough masks were drawn, but after
# at least one step and at most twice as many masks.
_FIRST, _FIRST_PER_TOKEN = 256, 4
_STEP = 64
_SAFETY = 1.05


@dataclasses.dataclass(frozen=True, eq=False)
class LocalFit:
    """A weighted linear fit around a window.

    Attributes:
      weights: [n], weights of the tokens; 0 for tokens that were not selected.
      standard_errors: [n], heteroscedasticity-robust standard errors of the weights; 0
        for tokens that were not selected.
      intercept: value of the fit with every token replaced.
      r2: weighted R².
      n_samples: number of masks, including the one that keeps all tokens.
    """

    weights: np.ndarray
    standard_errors: np.ndarray
    intercept: float
    r2: float
    n_samples: int

    @property
    def relative_error(self) -> float:
        """Largest standard error, as a fraction of the largest absolute weight."""
        largest = float(np.max(np.abs(self.weights), initial=0))
        return (
            float(np.max(self.standard_errors, initial=0)) / largest if largest else 0
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Lime:
    """LIME's result for one target.

    Attributes:
      fit: fit to all masks.
      stability: correlation between the weights of two fits, each to the half of the
        masks that came from one of two seeds; NaN if a half has constant weights.
    """

    fit: LocalFit
    stability: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """How many masks LIME draws.

    Attributes:
      max_samples: maximum number of masks per target, including the one that keeps all
        tokens; 2,001 in the paper's code.
      relative_error: stop once every standard error is at most this fraction of the
        largest weight; if None, draw all masks.
      num_features: see `fit`.
      seed: random seed of the masks. The masks of a target do not depend on the other
        targets.
    """

    max_samples: int = 2001
    relative_error: float | None = 0.05
    num_features: int = 30
    seed: int = 0


def draw_masks(rng: np.random.Generator, *, n_tokens: int, count: int) -> np.ndarray:
    """Draws random masks of tokens to keep.

    The number of tokens replaced is uniform in 1 … n; given their number, every set of
    tokens is equally likely.

    Args:
      rng: random number generator.
      n_tokens: number of tokens, n.
      count: number of masks.

    Returns:
      [count, n_tokens] bool, True where a token is kept.
    """
    n_replaced = rng.integers(1, n_tokens + 1, size=count)
    order = np.argsort(rng.random((count, n_tokens)), axis=1)
    return np.argsort(order, axis=1) >= n_replaced[:, None]


def sample_weights(kept: np.ndarray) -> np.ndarray:
    """Returns LIME's kernel weight of each mask, [samples].

    Args:
      kept: [samples, n] bool, the masks.
    """
    distance = 100 * (1 - np.sqrt(kept.mean(axis=1)))
    return np.sqrt(np.exp(-(distance**2) / _KERNEL_WIDTH**2))


def fit(
    kept: np.ndarray, activations: np.ndarray, *, num_features: int = 30
) -> LocalFit:
    """Fits activations as a linear function of the tokens kept.

    Args:
      kept: [samples, n] bool; the first mask keeps all tokens.
      activations: [samples], α under each mask.
      num_features: maximum number of tokens with a weight; 30 in the paper's code.
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
    **sampling: Any,
) -> list[Lime]:
    """Runs LIME on several targets in joint batches.

    Args:
      probe: the model at one layer.
      targets: tokens to explain.
      replacement: id of the token that replaces others.
      **sampling: fields of `Sampling`.

    Returns:
      LIME's result for each target.
    """
    return questions.answer(
        probe, question(targets, replacement=replacement, sampling=Sampling(**sampling))
    )


def question(
    targets: Sequence[target_lib.Target], *, replacement: int, sampling: Sampling
) -> questions.Question[list[Lime]]:
    """Asks for what `explain` returns."""
    rounds = _Rounds(targets, replacement=replacement, sampling=sampling)
    while requests := rounds.requests():
        rounds.add((yield requests))
    return [
        Lime(
            rounds.fits[i],
            stability=_stability(sample, num_features=sampling.num_features),
        )
        for i, sample in enumerate(rounds.samples)
    ]


def progressive(
    probe: variants.Probe,
    target: target_lib.Target,
    *,
    replacement: int,
    **sampling: Any,
) -> Iterator[LocalFit]:
    """Yields the fit of one target after each round of masks; the last is `explain`'s.

    Arguments are those of `explain`.
    """
    rounds = _Rounds([target], replacement=replacement, sampling=Sampling(**sampling))
    while requests := rounds.requests():
        rounds.add(probe.activations(requests))
        yield rounds.fits[0]


class _Rounds:
    """LIME on several targets, round by round.

    Attributes:
      samples: of each target.
      fits: the latest of each target.
    """

    def __init__(
        self,
        targets: Sequence[target_lib.Target],
        *,
        replacement: int,
        sampling: Sampling,
    ) -> None:
        self._targets, self._by, self._sampling = targets, replacement, sampling
        self.samples = [_Samples(target, seed=sampling.seed) for target in targets]
        self.fits: dict[int, LocalFit] = {}
        self._going = list(range(len(targets)))
        self._wanted = [
            sampling.max_samples
            if sampling.relative_error is None
            else min(
                sampling.max_samples,
                max(_FIRST, _FIRST_PER_TOKEN * len(target.places)),
            )
            for target in targets
        ]

    def requests(self) -> list[variants.Variants]:
        """Draws the masks of the next round; none once all targets are done."""
        return [
            variants.replacing(
                self._targets[i], self.samples[i].draw(self._wanted[i]), by=self._by
            )
            for i in self._going
        ]

    def add(self, activations: Sequence[np.ndarray]) -> None:
        """Adds the activations of a round's masks, and fits."""
        going, self._going = self._going, []
        for i, alpha in zip(going, activations, strict=True):
            sample = self.samples[i]
            sample.add(alpha)
            found = fit(
                sample.kept, sample.alpha, num_features=self._sampling.num_features
            )
            self.fits[i] = found
            if not self._is_enough(found, self._wanted[i]):
                self._wanted[i] = self._next(found, self._wanted[i])
                self._going.append(i)

    def _is_enough(self, found: LocalFit, drawn: int) -> bool:
        limit = self._sampling.relative_error
        return (
            limit is None
            or drawn >= self._sampling.max_samples
            or found.relative_error <= limit
        )

    def _next(self, found: LocalFit, drawn: int) -> int:
        """Returns how many masks to draw until the next check."""
        limit = self._sampling.relative_error
        assert limit is not None
        # Standard errors fall as 1/√samples.
        enough = _SAFETY * drawn * (found.relative_error / limit) ** 2
        least, most = drawn + _STEP, min(2 * drawn, self._sampling.max_samples)
        steps = -(-int(min(enough, most)) // _STEP)
        return min(max(least, steps * _STEP), most)


class _Samples:
    """Masks of one target: the full mask, then alternately from two seeds."""

    def __init__(self, target: target_lib.Target, *, seed: int):
        n_tokens = len(target.places)
        # Two seeds, so that each half of the masks is an independent sample.
        self._rngs = [np.random.default_rng([seed, half]) for half in range(2)]
        self.kept = np.ones((0, n_tokens), bool)
        self.alpha = np.zeros(0)

    def draw(self, wanted: int) -> np.ndarray:
        """Draws masks until there are ``wanted``; returns the new ones."""
        first, n_tokens = len(self.kept), self.kept.shape[1]
        new = np.ones((wanted - first, n_tokens), bool)
        # One by one, so that the masks do not depend on how many are drawn at a time.
        for number in range(max(first, 1), wanted):
            rng = self._rngs[number % 2]
            [new[number - first]] = draw_masks(rng, n_tokens=n_tokens, count=1)
        self.kept = np.concatenate([self.kept, new])
        return new

    def add(self, alpha: np.ndarray) -> None:
        """Adds the activations of the masks drawn last."""
        self.alpha = np.concatenate([self.alpha, alpha])


def _stability(samples: _Samples, *, num_features: int) -> float:
    maps = []
    for half in range(2):
        rows = np.arange(len(samples.kept))
        # The mask that keeps all tokens belongs to both halves.
        rows = rows[(rows == 0) | (rows % 2 == half)]
        found = fit(samples.kept[rows], samples.alpha[rows], num_features=num_features)
        maps.append(found.weights)
    # The correlation with constant weights is undefined.
    if any(np.ptp(weights) == 0 for weights in maps):
        return float("nan")
    return float(np.corrcoef(*maps)[0, 1])


def _select(
    kept: np.ndarray, y: np.ndarray, w: np.ndarray, *, num_features: int
) -> np.ndarray:
    """Returns the columns that get a weight, ascending."""
    n_tokens = kept.shape[1]
    columns = kept.astype(np.float64)
    # The choice of method by number of features is that of the package ("auto").
    if num_features <= _MOST_BY_FORWARD_SELECTION:
        chosen = _forward_selection(columns, y, w, num_features=num_features)
    elif num_features < n_tokens:
        coefficients, *_ = _ridge(columns, y, w, penalty=_SELECTION_PENALTY)
        chosen = np.argsort(-np.abs(coefficients), kind="stable")[:num_features]
    else:
        chosen = np.arange(n_tokens)
    return np.sort(chosen)


def _forward_selection(
    columns: np.ndarray, y: np.ndarray, w: np.ndarray, *, num_features: int
) -> np.ndarray:
    """Adds columns one by one, each time the one that raises R² most."""
    chosen: list[int] = []
    rest = list(range(columns.shape[1]))
    while rest and len(chosen) < num_features:
        errors = [
            _squared_error(columns[:, [*chosen, candidate]], y, w) for candidate in rest
        ]
        chosen.append(rest.pop(int(np.argmin(errors))))
    return np.array(chosen, np.int64)


def _squared_error(columns: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    coefficients, centre, mean = _ridge(columns, y, w, penalty=0.0)
    return float(np.sum(w * (y - mean - (columns - centre) @ coefficients) ** 2))


def _ridge(
    columns: np.ndarray, y: np.ndarray, w: np.ndarray, *, penalty: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Minimises Σ w (y − b − columns·β)² + penalty·‖β‖².

    Returns:
      β, and the weighted means of the columns and of y, which give b.
    """
    centre = np.average(columns, axis=0, weights=w)
    mean = float(np.average(y, weights=w))
    # Centring removes the intercept, which is not penalised.
    centred = columns - centre
    gram = (centred * w[:, None]).T @ centred
    gram += penalty * np.eye(len(gram))
    target = centred.T @ (w * (y - mean))
    # lstsq and not solve: with few masks and no penalty the Gram matrix is singular.
    return np.linalg.lstsq(gram, target, rcond=None)[0], centre, mean


def _standard_errors(
    centred: np.ndarray, residual: np.ndarray, w: np.ndarray
) -> np.ndarray:
    """Returns the sandwich estimate (HC1) for the weighted ridge regression, [n]."""
    n, p = centred.shape
    bread = np.linalg.inv((centred * w[:, None]).T @ centred + _PENALTY * np.eye(p))
    scores = centred * (w * residual)[:, None]
    degrees = max(n - p - 1, 1)
    covariance = bread @ (scores.T @ scores) @ bread * n / degrees
    return np.sqrt(np.diag(covariance))

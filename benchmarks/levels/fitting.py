"""Fit the probability of a level, and count how often it is right."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.optimize

from benchmarks.levels import readings
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import logistic, rule

CLASSES = readings.CLASSES
# A topic is long range in few documents, so the model need not tell them apart.
FITTED = ("low", "mid", "high", "unreadable")
MEASURED = (
    "word",
    "near",
    "far",
    "shuffled",
    "without_word",
    "frequency",
    "any_token",
    "kinship",
    "tip_word",
    "position",
)
GUESS = ("frequency", "any_token", "same_word", "tip_word", "evenness", "position")


def numbers(found: Sequence[readings.Read], names: Sequence[str]) -> np.ndarray:
    """Returns the named numbers of the factors, [n, len(names)]."""
    rows = [evidence_lib.numbers(each.evidence) for each in found]
    return np.array([[row[name] for name in names] for row in rows])


def shares(found: Sequence[readings.Read]) -> np.ndarray:
    """Returns the share of the passes that chose each class, [n, len(FITTED)]."""
    levels = [["high" if p == "topic" else p for p in each.levels] for each in found]
    return np.array(
        [[np.mean([p == c for p in row]) for c in FITTED] for row in levels]
    )


def fit(
    found: Sequence[readings.Read],
    *,
    names: Sequence[str],
    penalty: float,
    weight: np.ndarray | None = None,
) -> tuple[logistic.Logistic, logistic.Split]:
    """Fits a multinomial logistic model with a quadratic penalty on its weights.

    It minimises −Σ_i v_i Σ_c s_ic log p_ic + penalty/2 ‖W‖², with s the shares of the
    passes. Where the passes disagree, neither is right.

    Args:
      found: factors that were read.
      names: numbers to use.
      penalty: of the squared weights of standardised numbers.
      weight: [n], v; 1 if None.

    Returns:
      The model, and how it divides long range into topic and high.
    """
    x, y = numbers(found, names), shares(found)
    v = np.ones(len(x)) if weight is None else weight
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-3)
    z = logistic.standardised(x, mean, scale)
    n_classes, n = len(FITTED), len(names)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(n_classes, n + 1)
        p = logistic.softmax(z @ w[:, 1:].T + w[:, 0])
        value = -(v[:, None] * y * np.log(np.maximum(p, 1e-12))).sum()
        error = v[:, None] * (p - y)
        gradient = np.concatenate([error.sum(axis=0)[:, None], error.T @ z], axis=1)
        gradient[:, 1:] += penalty * w[:, 1:]
        # A slight penalty keeps a class without factors at a finite bias.
        gradient[:, 0] += 1e-3 * w[:, 0]
        value += penalty / 2 * (w[:, 1:] ** 2).sum() + 5e-4 * (w[:, 0] ** 2).sum()
        return float(value), gradient.ravel()

    start = np.zeros(n_classes * (n + 1))
    best = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B")
    w = best.x.reshape(n_classes, n + 1)
    model = logistic.Logistic(
        classes=list(FITTED),
        names=list(names),
        mean=np.round(mean, 6).tolist(),
        scale=np.round(scale, 6).tolist(),
        weight=np.round(w[:, 1:], 4).tolist(),
        bias=np.round(w[:, 0], 4).tolist(),
    )
    return model, _fit_split(found, v)


def _fit_split(found: Sequence[readings.Read], weight: np.ndarray) -> logistic.Split:
    """Fits the odds of topic against high to the passes that chose one of them."""
    x = numbers(found, ["tip_few"])[:, 0]
    topic, high = (
        weight * [np.mean([p == name for p in each.levels]) for each in found]
        for name in ("topic", "high")
    )

    def loss(odds: np.ndarray) -> float:
        z = odds[1] * (x - odds[0])
        value = topic @ np.logaddexp(0, -z) + high @ np.logaddexp(0, z)
        # Slight: few factors are divided, and they could be divided without error.
        return float(value + 1e-3 * odds[1] ** 2)

    best = scipy.optimize.minimize(
        loss, [0.7, 10.0], method="L-BFGS-B", bounds=[(0.4, 0.9), (0.0, 100.0)]
    )
    return logistic.Split(round(float(best.x[0]), 4), round(float(best.x[1]), 4))


def probabilities(
    fitted: tuple[logistic.Logistic, logistic.Split], evidence: evidence_lib.Evidence
) -> dict[str, float]:
    """Returns the probabilities of all classes, as `rule.judge` has them."""
    model, split = fitted
    p = model.probabilities(evidence_lib.numbers(evidence))
    assert evidence.spread is not None
    return rule.of_classes(p, split.topic(evidence.spread.tip_few))


def called(p: dict[str, float], *, least: float) -> str:
    """Returns the most probable class, or "unclear" below the least probability."""
    best = max(p, key=lambda name: p[name])
    return best if p[best] >= least else "unclear"


def cross_validated(
    found: Sequence[readings.Read],
    *,
    names: Sequence[str],
    penalty: float,
    folds: int,
    seed: int = 0,
    others: Sequence[readings.Read] = (),
) -> list[dict[str, float]]:
    """Returns the probabilities of each factor from a model that has not seen it.

    Args:
      found: factors that were read.
      names: numbers to use.
      penalty: of the model.
      folds: number of parts.
      seed: decides the parts.
      others: factors that every model is fitted on as well.
    """
    part = np.random.default_rng(seed).permutation(len(found)) % folds
    result: list[dict[str, float]] = [{} for _ in found]
    for fold in range(folds):
        seen = [each for each, p in zip(found, part, strict=True) if p != fold]
        model = fit([*seen, *others], names=names, penalty=penalty)
        for i in np.flatnonzero(part == fold).tolist():
            result[i] = probabilities(model, found[i].evidence)
    return result


@dataclasses.dataclass(frozen=True)
class Scores:
    """How well levels agree with what people read.

    Attributes:
      n: factors on which the passes agree; these alone are counted.
      unclear: share of them without a level.
      agreement: share of those with a level that have the right one.
      precision: of each class: right, called so.
      recall: of each class: right (with a level), read so.
      log_loss: mean −log of the probability of the right class.
      calibration: mean difference between probability and frequency in five bins.
      table: [class read][level called, unclear last].
    """

    n: int
    unclear: float
    agreement: float
    precision: dict[str, tuple[int, int]]
    recall: dict[str, tuple[int, int]]
    log_loss: float
    calibration: float
    table: list[list[int]]


def score(
    found: Sequence[readings.Read],
    called: Sequence[str],
    probabilities: Sequence[dict[str, float]],
) -> Scores:
    """Compares levels with the readings; see `Scores`.

    Args:
      found: factors that were read.
      called: their levels, or "unclear".
      probabilities: of the classes.
    """
    columns = [*CLASSES, "unclear"]
    table = [[0] * len(columns) for _ in CLASSES]
    losses, top, right = [], [], []
    for each, name, p in zip(found, called, probabilities, strict=True):
        if each.agreed is None:
            continue
        table[CLASSES.index(each.agreed)][columns.index(name)] += 1
        if p:
            losses.append(-np.log(max(p[each.agreed], 1e-12)))
            top.append(max(p.values()))
            right.append(p[each.agreed] == max(p.values()))
    counts = np.array(table)
    n, n_unclear = int(counts.sum()), int(counts[:, -1].sum())
    diagonal = np.diag(counts[:, :-1])
    return Scores(
        n=n,
        unclear=n_unclear / max(n, 1),
        agreement=float(diagonal.sum() / max(n - n_unclear, 1)),
        precision={
            name: (int(diagonal[i]), int(counts[:, i].sum()))
            for i, name in enumerate(CLASSES)
        },
        recall={
            name: (int(diagonal[i]), int(counts[i].sum()))
            for i, name in enumerate(CLASSES)
        },
        log_loss=float(np.mean(losses)),
        calibration=calibration_error(np.array(top), np.array(right)),
        table=table,
    )


def calibration_error(
    probability: np.ndarray, right: np.ndarray, *, bins: int = 5
) -> float:
    """Returns the expected calibration error in bins of equal size.

    Naeini, Cooper and Hauskrecht 2015: the mean over bins of |mean probability − share
    right|, weighted by their size.
    """
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [
        len(part) * abs(probability[part].mean() - right[part].mean()) for part in parts
    ]
    return float(sum(gaps) / len(probability))

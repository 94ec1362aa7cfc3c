"""Where in the network the factors of each level are: importance curves by level.

Figure 4 of Yun et al. (2021) shows that low-level factors are important in the first
layers, mid-level factors in the middle ones and high-level factors in the last. Levels
here are judged without any layer (see `levels.rule`), so the curves are a finding. One
thing is no finding: at layer 0, before the first attention, no context has any effect,
so a factor that peaks there is low, or unreadable.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.levels import rule
from tfvis_jax.reporting import claims, tables

# Importance sets in where it reaches this share of its peak.
ONSET_SHARE = 0.5
# Fewer factors of a level decide nothing.
MIN_FACTORS = 5
CLASSES = rule.LEVELS[:5]
_QUARTILES = (0.25, 0.5, 0.75)
_INTERVAL = (0.025, 0.975)


@dataclasses.dataclass(frozen=True)
class LevelCurve:
    """The factors of one level.

    Attributes:
      level: its name.
      n: number of factors.
      probability: mean probability of the level.
      median, lower, upper: [n_layers] quartiles of importance, as a share of each
        factor's peak.
      first: mean share at the first layer, with its 95 % interval.
      onset: mean relative depth, 0 … 1, at which importance reaches half of its peak,
        with its 95 % interval.
      onset_layers: [n_layers] number of factors that set in at each layer.
    """

    level: str
    n: int
    probability: float
    median: list[float]
    lower: list[float]
    upper: list[float]
    first: tuple[float, float, float]
    onset: tuple[float, float, float]
    onset_layers: list[int]


def curves(
    importance: np.ndarray,
    levels: Sequence[rule.Level],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, LevelCurve]:
    """Returns the curve of every class that has factors.

    Intervals are those of a bootstrap over factors.

    Args:
      importance: [n_layers, n_factors] importance scores.
      levels: [n_factors].
      n_resamples: of the bootstrap.
      seed: of the bootstrap.

    Raises:
      InputError: there are fewer than three layers, which have no middle.
    """
    if len(importance) < 3:
        raise InputError(
            f"Expected at least three layers, got {len(importance)}: two have no "
            "middle."
        )
    names = np.array([level.name for level in levels])
    rng = np.random.default_rng(seed)
    found = {}
    for name in CLASSES:
        members = np.flatnonzero((names == name) & (importance.max(axis=0) > 0))
        if not len(members):
            continue
        share = importance[:, members] / importance[:, members].max(axis=0)
        onset = np.argmax(share >= ONSET_SHARE, axis=0)
        lower, median, upper = np.quantile(share, _QUARTILES, axis=1)
        drawn = rng.integers(len(members), size=(n_resamples, len(members)))
        found[name] = LevelCurve(
            level=name,
            n=len(members),
            probability=float(
                np.mean([levels[f].probability for f in members.tolist()])
            ),
            median=median.tolist(),
            lower=lower.tolist(),
            upper=upper.tolist(),
            first=_with_interval(share[0], drawn),
            onset=_with_interval(onset / (len(importance) - 1), drawn),
            onset_layers=np.bincount(onset, minlength=len(importance)).tolist(),
        )
    return found


def to_claims(found: dict[str, LevelCurve]) -> list[claims.Claim]:
    """Returns what the paper claims of the three levels, with the verdicts."""
    return [
        _claim(
            found,
            "low",
            "Low-level factors are present from the first layer.",
            "mean importance at the first layer, as a share of the factor's peak",
            value=lambda curve: curve.first,
            band=(0.5, 1.0),
            more=True,
        ),
        _claim(
            found,
            "mid",
            "Mid-level factors rise in the middle layers.",
            "mean relative depth at which importance reaches half of its peak",
            value=lambda curve: curve.onset,
            band=(1 / 3, 2 / 3),
            more=None,
        ),
        _claim(
            found,
            "high",
            "High-level factors rise in the last layers.",
            "mean relative depth at which importance reaches half of its peak",
            value=lambda curve: curve.onset,
            band=(2 / 3, 1.0),
            more=True,
        ),
    ]


def table(found: dict[str, LevelCurve], layers: Sequence[int]) -> str:
    """Returns the median curves as a Markdown table."""
    heads = [
        "level",
        "factors",
        "probability",
        "onset",
        *(f"layer {n}" for n in layers),
    ]
    rows = [
        [
            curve.level,
            str(curve.n),
            f"{curve.probability:.2f}",
            claims.figure(curve.onset[0], curve.onset[1:]),
            *(f"{value:.2f}" for value in curve.median),
        ]
        for curve in found.values()
    ]
    return tables.markdown(heads, rows)


def to_json(found: dict[str, LevelCurve]) -> list[dict[str, Any]]:
    """Returns the curves for a JSON file."""
    return [dataclasses.asdict(curve) for curve in found.values()]


def _claim(
    found: dict[str, LevelCurve],
    level: str,
    claim: str,
    measure: str,
    *,
    value: Any,
    band: tuple[float, float],
    more: bool | None,
) -> claims.Claim:
    """Returns one claim.

    It holds if the figure's interval lies in the band and apart from those of the other
    two levels, on the side that is claimed; in part if the figure does. It is not
    decided if the interval reaches into the band and meets the others.
    """
    others = [name for name in CLASSES[:3] if name != level and name in found]
    # A topic is long range as well, and what the paper shows as a high-level factor.
    controls = {
        f"{name} factors": value(found[name])[0]
        for name in CLASSES[:4]
        if name != level and name in found
    }
    curve = found.get(level)
    if curve is None or curve.n < MIN_FACTORS or not others:
        n = 0 if curve is None else curve.n
        figure = 0.0 if curve is None else value(curve)[0]
        return claims.Claim(
            claim,
            measure,
            figure,
            None,
            controls,
            "not decided by this test",
            f"This dictionary has {n} {level} factors; at least {MIN_FACTORS} and "
            "another level are needed.",
        )
    mean, low, high = value(curve)
    in_band = band[0] <= low and high <= band[1]
    apart = all(
        _apart((low, high), value(found[name])[1:], level, name, more)
        for name in others
    )
    if in_band and apart:
        verdict = "holds"
    elif band[0] <= mean <= band[1] or apart:
        verdict = "holds in part"
    elif low <= band[1] and high >= band[0]:
        verdict = "not decided by this test"
    else:
        verdict = "does not hold here"
    place = "within" if in_band else "not within"
    reason = (
        f"The figure of {curve.n} factors is {place} {band[0]:.2g} to {band[1]:.2g} by "
        f"its interval, and {'apart from' if apart else 'not apart from'} those of "
        f"the other levels ({', '.join(others)}). Levels are judged without layers."
    )
    return claims.Claim(claim, measure, mean, (low, high), controls, verdict, reason)


def _apart(
    own: tuple[float, float],
    other: tuple[float, float],
    level: str,
    name: str,
    more: bool | None,
) -> bool:
    """Returns whether intervals do not meet and lie in the order that is claimed."""
    above, below = own[0] > other[1], own[1] < other[0]
    if more is not None:
        return above if more else below
    # The middle level lies above the lower one and below the higher one.
    return above if CLASSES.index(name) < CLASSES.index(level) else below


def _with_interval(values: np.ndarray, drawn: np.ndarray) -> tuple[float, float, float]:
    low, high = np.quantile(values[drawn].mean(axis=1), _INTERVAL)
    return float(values.mean()), float(low), float(high)

"""A published claim, what was measured here, and whether it holds.

Every experiment ends its JSON with a list of claims under the key ``claims``, so that
one page can be written from the results of all of them.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from tfvis_jax.reporting import tables

VERDICTS = (
    "holds",
    "holds in part",
    "does not hold here",
    "not decided by this test",
)


@dataclasses.dataclass(frozen=True)
class Claim:
    """One claim and its test.

    Attributes:
      claim: what is claimed, as a sentence.
      measure: what was measured, with its unit.
      ours: the figure of the factors.
      interval: its 95 % interval, None where there is none.
      controls: the same figure without factors or without learning, name to figure.
      verdict: one of `VERDICTS`.
      reason: why, in a sentence or two that refer to the figures.
    """

    claim: str
    measure: str
    ours: float
    interval: tuple[float, float] | None
    controls: dict[str, float]
    verdict: str
    reason: str

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"Expected one of {VERDICTS}, got {self.verdict!r}.")

    def to_json(self) -> dict[str, Any]:
        """Returns the claim for a JSON file, where what is not a number is null."""
        return {
            **dataclasses.asdict(self),
            "ours": _or_none(self.ours),
            "interval": self.interval and [*map(_or_none, self.interval)],
            "controls": {k: _or_none(v) for k, v in self.controls.items()},
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> "Claim":
        """Returns a claim that `to_json` has written."""
        low_high = entry["interval"]
        interval = None
        if low_high is not None and None not in low_high:
            interval = low_high[0], low_high[1]
        return dataclasses.replace(
            cls(**entry),
            ours=_or_nan(entry["ours"]),
            interval=interval,
            controls={k: _or_nan(v) for k, v in entry["controls"].items()},
        )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def table(found: Sequence[Claim]) -> str:
    """Returns the claims as a Markdown table, with the reasons below it."""
    heads = ["Claim", "Measure", "Factors", "Controls", "Verdict"]
    lines = [
        [
            entry.claim,
            entry.measure,
            figure(entry.ours, entry.interval),
            "; ".join(f"{name} {figure(v, None)}" for name, v in entry.controls.items())
            or "–",
            f"**{entry.verdict}**",
        ]
        for entry in found
    ]
    reasons = [f"- {entry.claim} {entry.reason}" for entry in found]
    return (
        tables.markdown(heads, lines, n_left=len(heads)) + "\n\n" + "\n".join(reasons)
    )


def figure(value: float, interval: tuple[float, float] | None) -> str:
    """Returns a figure with its interval, such as ``0.92 [0.9, 0.94]``."""
    if math.isnan(value):
        return "–"
    if interval is None:
        return f"{value:.3g}"
    return f"{value:.3g} [{interval[0]:.3g}, {interval[1]:.3g}]"

"""What a run was made from and how its training went, as its page gets it."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tfvis_jax.viewer import payload

# A curve has at most so many points; each is the mean of some batches.
_POINTS = 300


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """What was measured at each batch of the training.

    Attributes:
      label: Title of the curve.
      about: What it means, with its unit.
      values: One number per batch, None where it was not measured.
    """

    label: str
    about: str
    values: Sequence[float | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The facts and curves of a run.

    Attributes:
      facts: Names with values, in groups by title.
      notes: Sentences that a reader of the results must know.
      batches: Numbers of the batches of the curves, ascending.
      curves: Over the batches.
    """

    facts: Mapping[str, Sequence[tuple[str, str | float | None]]]
    notes: Sequence[str] = ()
    batches: Sequence[int] = ()
    curves: Sequence[Curve] = ()


def value(record: RunRecord) -> dict[str, Any]:
    """Returns the value of ``data/run``.

    Args:
      record: What it holds.
    """
    stride = max(1, math.ceil(len(record.batches) / _POINTS))
    return {
        # The last batch of each point.
        "batches": _ends(record.batches, stride),
        "curves": [
            {
                "about": curve.about,
                "label": curve.label,
                "values": payload.numbers(means(curve.values, stride)),
            }
            for curve in record.curves
        ],
        # Pairs: a name out of a file must not become a key of a script's object.
        "facts": [
            [title, [[name, _plain(entry)] for name, entry in pairs]]
            for title, pairs in record.facts.items()
        ],
        "notes": list(record.notes),
        "stride": stride,
    }


def means(values: Sequence[float | None], stride: int) -> list[float]:
    """Returns the mean of every ``stride`` values; NaN where none was measured.

    Args:
      values: Of each batch.
      stride: Number of batches for one mean; the last may have fewer.
    """
    found = []
    for start in range(0, len(values), stride):
        known = [v for v in values[start : start + stride] if v is not None]
        found.append(math.fsum(known) / len(known) if known else math.nan)
    return found


def _ends(batches: Sequence[int], stride: int) -> list[int]:
    last = len(batches) - 1
    return [
        batches[min(start + stride - 1, last)]
        for start in range(0, len(batches), stride)
    ]


def _plain(entry: str | float | None) -> str | int | float | None:
    if entry is None or isinstance(entry, str):
        return entry
    return payload.number(entry, digits=6)

"""Metrics as plain values for a JSON file."""

import dataclasses
import math
from typing import Any

import numpy as np

from tfvis_jax.evaluation import intervals, reconstruction


def by_layer(found: reconstruction.Reconstruction, name: str) -> dict[str, Any]:
    """Returns one of the metrics, pooled ("all") and "per_layer".

    FVU and L0 also have "interval_95", the same of [low, high] over documents, unless
    there are too few documents.
    """
    values = {
        "all": getattr(found.all, name),
        "per_layer": [getattr(layer, name) for layer in found.per_layer],
    }
    interval = (found.intervals or {}).get(name)
    if interval is not None:
        values["interval_95"] = {
            "all": list(interval.all),
            "per_layer": [list(layer) for layer in interval.per_layer],
        }
    return plain(values)


def with_interval(
    values: dict[str, Any], spec: str, *, layer: int | None = None
) -> str:
    """Returns a metric of `by_layer` as text: "0.290 [0.271, 0.310]", or "n/a".

    Args:
      values: the metric.
      spec: format of the numbers.
      layer: place of a layer; pooled if None.
    """

    def of(part: dict[str, Any]) -> Any:
        return part["all"] if layer is None else part["per_layer"][layer]

    value, interval = of(values), values.get("interval_95")
    if value is None:
        return "n/a"
    text = format(value, spec)
    if interval is None or None in of(interval):
        return text
    low, high = (format(end, spec) for end in of(interval))
    return f"{text} [{low}, {high}]"


def about_intervals(n_documents: int) -> str:
    """Returns a sentence on the intervals, or on why there are none."""
    if n_documents >= intervals.LEAST_DOCUMENTS:
        return f"[ ]: 95 % interval over {n_documents:,} documents"
    return (
        f"no intervals over documents: {n_documents} held out, "
        f"{intervals.LEAST_DOCUMENTS} needed"
    )


def plain(value: Any) -> Any:
    """Converts dataclasses, tuples and arrays to dicts, lists, numbers and None.

    NaN, where there was nothing to measure, becomes None: JSON has no NaN.
    """
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and math.isnan(value):
        return None
    return value

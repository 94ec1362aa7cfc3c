"""Metrics as plain values for a JSON file."""

import dataclasses
import math
from typing import Any

import numpy as np

from tfvis_jax.data import windows as windows_lib
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


def held_out(windows: windows_lib.Windows) -> dict[str, Any]:
    """Returns which text the held-out metrics are of.

    Returns:
      "split": "documents", "sections", or "positions" for tokens of an earlier version;
      "num_documents": documents measured of which nothing is trained on;
      "num_sections": documents measured of which the rest is trained on;
      "num_measured_windows" and "num_windows": measured, and held out in all.
    """
    measured = np.unique(windows.documents[windows.measured])
    num_sections = int(
        np.isin(measured, windows.documents[windows.train]).sum(dtype=np.int64)
    )
    by_text = windows.index["schema_version"] > 1
    return {
        "split": ("sections" if num_sections else "documents")
        if by_text
        else "positions",
        "num_documents": len(measured) - num_sections,
        "num_sections": num_sections,
        "num_measured_windows": len(windows.measured),
        "num_windows": len(windows.held_out),
    }


def held_out_words(found: dict[str, Any]) -> str:
    """Returns what `held_out` found, as in "hidden states of 20 held-out documents"."""
    n, n_sections = found["num_documents"], found["num_sections"]
    parts = []
    if n_sections == 1:
        parts.append("a held-out section of one document (the rest was trained on)")
    elif n_sections:
        parts.append(
            f"held-out sections of {n_sections:,} documents (the rest of each was "
            "trained on)"
        )
    if n:
        parts.append(f"{n:,} held-out document{'s' if n > 1 else ''}")
    words = " and ".join(parts) or "no text, as none is held out"
    if found["num_measured_windows"] < found["num_windows"]:
        words += (
            f", in {found['num_measured_windows']:,} of the {found['num_windows']:,} "
            "held-out windows"
        )
    if found["split"] == "positions":
        words += " (split by document position; copies of a text may be on both sides)"
    return words


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

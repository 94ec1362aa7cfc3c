"""Metrics as plain values for a JSON file."""

import dataclasses
import math
from typing import Any

import numpy as np

from tfvis_jax.evaluation import reconstruction


def by_layer(found: reconstruction.Reconstruction, name: str) -> dict[str, Any]:
    """Returns one of the metrics, pooled ("all") and "per_layer"."""
    return plain(
        {
            "all": getattr(found.all, name),
            "per_layer": [getattr(layer, name) for layer in found.per_layer],
        }
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

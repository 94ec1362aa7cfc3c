"""Rows of a comparison against the best autoencoder, at exactly equal L0.

Methods are calibrated to a target on rows that they were not fitted to; on others their
L0 is off by some per cent, and so is the comparison. FVU is therefore interpolated
between the L0 that were measured, linearly in the logarithms of both.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


def against_best_sae(
    rows: Sequence[dict[str, Any]], *, name: str = "sparse_coding"
) -> list[dict[str, Any]]:
    """Compares a method with the autoencoders in the same table.

    Args:
      rows: of `comparison.measure`.
      name: the method whose ``fvu_debiased`` is compared.

    Returns:
      A dict for each target L0 that both have: the ``l0`` and ``fvu`` of the method,
      and of the autoencoder with the lowest FVU at that L0 its name, ``sae_fvu`` and
      ``ratio``; the same with refitted codes, ``sae_fvu_debiased`` and
      ``ratio_debiased``, where the best may be another.
    """
    means = _means_over_seeds(rows)
    saes = sorted({row["method"] for row in rows if row["method"].startswith("sae_")})
    found = []
    for target_l0 in sorted({row["target_l0"] for row in rows}):
        ours = [r for r in means if (r["method"], r["target_l0"]) == (name, target_l0)]
        if not ours or not saes:
            continue
        entry = {"target_l0": target_l0, "l0": ours[0]["l0"]}
        entry["fvu"] = ours[0]["fvu_debiased"]
        for key, suffix in (("fvu", ""), ("fvu_debiased", "_debiased")):
            best = min(
                (
                    at_l0(
                        [r for r in means if r["method"] == sae], key, l0=entry["l0"]
                    ),
                    sae,
                )
                for sae in saes
            )
            entry["sae_fvu" + suffix], entry["sae" + suffix] = best
            entry["ratio" + suffix] = entry["fvu"] / best[0]
        found.append(entry)
    return found


def at_l0(rows: Sequence[dict[str, Any]], key: str, *, l0: float) -> float:
    """Returns ``key`` of one method at an L0 between, or near, those measured.

    Args:
      rows: of one method, each with ``l0`` and ``key``, both positive; one row alone
        holds for every L0.
      key: what to interpolate.
      l0: where.
    """
    points = sorted((np.log(row["l0"]), np.log(row[key])) for row in rows)
    if len(points) == 1:
        return float(np.exp(points[0][1]))
    x, y = np.array(points).T
    # The segment that holds the point; beyond the ends, the nearest.
    right = int(np.clip(np.searchsorted(x, np.log(l0)), 1, len(x) - 1))
    slope = (y[right] - y[right - 1]) / (x[right] - x[right - 1])
    return float(np.exp(y[right] + slope * (np.log(l0) - x[right])))


def _means_over_seeds(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    groups = {}
    for row in rows:
        groups.setdefault((row["method"], row["target_l0"]), []).append(row)
    return [
        {
            "method": method,
            "target_l0": target_l0,
            **{
                key: float(np.mean([row[key] for row in group]))
                for key in ("l0", "fvu", "fvu_debiased")
                if group[0][key] is not None
            },
        }
        for (method, target_l0), group in groups.items()
    ]

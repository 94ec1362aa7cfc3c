"""The JSON of solver benchmarks as Markdown tables."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfvis_jax.reporting import tables

# Mean gap at which solvers are compared.
SAME_GAP = 2e-5


def speed(document: dict[str, Any]) -> str:
    """Returns a line on where it was measured and a table for each λ."""
    problem = document["problem"]
    lines = [
        f"{problem['source']}; d_model {problem['d_model']}, {problem['n_factors']:,} "
        f"factors. {tables.where(document)}",
    ]
    with_peak = any("peak_fraction" in row for row in document["rows"])
    for l1_penalty in dict.fromkeys(row["l1_penalty"] for row in document["rows"]):
        rows = [row for row in document["rows"] if row["l1_penalty"] == l1_penalty]
        heads = ("solver", "tolerance", "rows/s", "slowest run")
        heads += ("gap mean / worst", "steps", "L0", "error", "MB", "compile s")
        cells = [_speed_cells(row) for row in rows]
        if with_peak:
            heads += ("of bf16 peak",)
            cells = [
                (*line, tables.or_dash(row.get("peak_fraction"), ".0%"))
                for line, row in zip(cells, rows, strict=True)
            ]
        lines += ["", f"λ = {l1_penalty:g}", "", tables.markdown(heads, cells)]
    lines += ["", f"At a mean gap of {SAME_GAP:.0e} or less", "", results(document)]
    return "\n".join(lines)


def results(document: dict[str, Any]) -> str:
    """Returns a table with one line a λ: our fastest solver against each competitor.

    Ours, and the published algorithm, count where their mean gap is `SAME_GAP` or less;
    SPAMS and the faster one of scikit-learn count whatever gap they end with.
    """
    heads = ("date", "hardware", "versions", "d_model × factors", "λ", "L0", "fastest")
    heads += ("rows/s", "gap mean / worst", "÷ published", "÷ SPAMS", "÷ scikit-learn")
    lines = []
    for l1_penalty in dict.fromkeys(row["l1_penalty"] for row in document["rows"]):
        rows = [row for row in document["rows"] if row["l1_penalty"] == l1_penalty]
        good = [row for row in rows if row["gap_mean"] <= SAME_GAP]
        # Those that choose k factors solve another problem.
        ours = _fastest(row for row in good if row["mapping"] and not row["k"])
        if ours is None:
            continue
        others = (
            _fastest(row for row in good if row["solver"].startswith("published")),
            _fastest(row for row in rows if row["solver"].startswith("SPAMS")),
            _fastest(row for row in rows if row["solver"].startswith("scikit-learn")),
        )
        problem = document["problem"]
        lines.append(
            (
                tables.day(document),
                tables.machine(document["hardware"]),
                tables.versions(document["versions"]),
                f"{problem['d_model']} × {problem['n_factors']:,}",
                f"{l1_penalty:g}",
                f"{ours['l0']:.1f}",
                f"{name_of(ours)}, tolerance {ours['tolerance']:.0e}",
                f"{ours['rows_per_s']:,.0f}",
                f"{ours['gap_mean']:.0e} / {ours['gap_max']:.0e}",
                *(
                    "–"
                    if row is None
                    else f"{ours['rows_per_s'] / row['rows_per_s']:.1f}"
                    for row in others
                ),
            )
        )
    return tables.markdown(heads, lines)


def scaling(document: dict[str, Any]) -> str:
    """Returns a line on where it was measured, and a table for each curve."""
    problem = document["problem"]
    lines = [
        f"{problem['source']}; d_model {problem['d_model']}; λ such that "
        f"{problem['l0']:g} factors are active; tolerance {problem['tolerance']:.0e}. "
        f"{tables.where(document)}",
    ]
    curves = (
        ("rows_curve", "batch", "rows"),
        ("factors_curve", "n_factors", "factors"),
    )
    for curve, size, what in curves:
        heads = ("solver", what, "rows/s", "μs a row", "gap mean / worst", "steps")
        heads += ("L0", "MB", "memory a row ÷ its codes", "compile s")
        cells = [_scaling_cells(row, size) for row in document[curve]]
        lines += ["", f"Cost against {what}", "", tables.markdown(heads, cells)]
        lines += _exponents(document[curve], size)
    heads = ("solver", "L0", "step size", "tolerance", "steps cold", "steps warm")
    heads += ("warm ÷ cold", "ms cold", "ms warm")
    cells = [_warm_cells(row) for row in document["warm_start"]]
    return "\n".join([*lines, "", "Warm starts", "", tables.markdown(heads, cells)])


def name_of(row: dict[str, Any]) -> str:
    """Returns the solver with how it is mapped, where that is not a plain jit."""
    name = row["solver"]
    if row["k"] is not None:
        name += f", k = {row['k']}"
    plain = (None, ("jit", 1))
    mapped = row["mapping"] and (row["mapping"], row["num_devices"])
    if mapped not in plain:
        name += f", {row['mapping']} × {row['num_devices']}"
    if row["precision"] is not None:
        name += f", {row['precision']}"
    return name


def _fastest(rows: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    return max(rows, key=lambda row: row["rows_per_s"], default=None)


def _speed_cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        name_of(row),
        tables.or_dash(row["tolerance"], ".0e"),
        _rate(row["rows_per_s"]),
        _rate(row["batch"] / max(row["seconds"])),
        f"{row['gap_mean']:.0e} / {row['gap_max']:.0e}",
        tables.or_dash(row["steps_mean"], ".1f"),
        f"{row['l0']:.1f}",
        tables.or_dash(row["error"], ".3f"),
        tables.or_dash(row["peak_memory_mb"], ",.0f"),
        tables.or_dash(row["compile_s"] or None, ".1f"),
    )


def _scaling_cells(row: dict[str, Any], size: str) -> tuple[str, ...]:
    return (
        row["solver"],
        f"{row[size]:,}",
        _rate(row["rows_per_s"]),
        f"{1e6 / row['rows_per_s']:,.0f}",
        f"{row['gap_mean']:.0e} / {row['gap_max']:.0e}",
        tables.or_dash(row["steps_mean"], ".1f"),
        f"{row['l0']:.1f}",
        f"{row['peak_memory_mb']:,.0f}",
        f"{row['codes_per_row']:.1f}",
        f"{row['compile_s']:.1f}",
    )


def _exponents(rows: list[dict[str, Any]], size: str) -> list[str]:
    """Returns lines that say how time grows with size, a power for each solver."""
    powers = []
    for solver in dict.fromkeys(row["solver"] for row in rows):
        sizes, seconds = zip(
            *((r[size], min(r["seconds"])) for r in rows if r["solver"] == solver),
            strict=True,
        )
        if len(sizes) > 1:
            power = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
            powers.append(f"{solver} {power:.2f}")
    return ["", f"Time grows with the power: {', '.join(powers)}."] if powers else []


def _warm_cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["solver"],
        f"{row['l0']:.0f}",
        f"{row['step_size']:g}",
        f"{row['tolerance']:.0e}",
        f"{row['steps_cold']:.1f}",
        f"{row['steps_warm']:.1f}",
        tables.or_dash(row["steps_ratio"], ".2f"),
        f"{1e3 * min(row['seconds_cold']):,.1f}",
        f"{1e3 * min(row['seconds_warm']):,.1f}",
    )


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"

"""Curves of cost and memory, and what warm starts save, in one figure."""

import pathlib
from collections.abc import Callable
from typing import Any

from tfvis_jax.reporting import plot_style, tables

_COLOURS = (plot_style.VERMILION, plot_style.GREEN, plot_style.BLUE, plot_style.PURPLE)
_MARKERS = ("o", "^", "s", "D")
# What is aimed at: memory of a row in flight in sizes of its codes, and the share of
# its steps that a warm start takes.
_MEMORY_AIM, _WARM_AIM = 6, 1 / 3
_AIM = {"color": plot_style.GREY, "linewidth": 1, "linestyle": ":"}


def draw(document: dict[str, Any], path: pathlib.Path) -> None:
    """Draws a scaling document.

    Args:
      document: JSON of `benchmarks.solvers.scaling`.
      path: PNG to write.
    """
    figure, axes = plot_style.subplots(2, 2, figsize=(10, 7.2))
    rows, factors = document["rows_curve"], document["factors_curve"]
    seconds, milliseconds, memory, warm = axes.flat

    _costs(seconds, rows, "batch", lambda row: min(row["seconds"]))
    seconds.set_title(f"Seconds a solve (log), {rows[0]['n_factors']:,} factors")
    seconds.set_xlabel("rows (log)")

    _costs(milliseconds, factors, "n_factors", lambda row: 1e3 / row["rows_per_s"])
    milliseconds.set_title(f"Milliseconds a row (log), {factors[0]['batch']:,} rows")
    milliseconds.set_xlabel("factors (log)")

    _curves(memory, factors, "n_factors", lambda row: row["codes_per_row"])
    memory.axhline(_MEMORY_AIM, label=f"aim: at most {_MEMORY_AIM}", **_AIM)
    memory.set_ylim(bottom=0)
    memory.legend(fontsize=8)
    memory.set_title("Memory of a row in flight ÷ memory of its codes")
    memory.set_xlabel("factors (log)")

    _warm_starts(warm, document["warm_start"])
    problem = document["problem"]
    figure.suptitle(
        f"{problem['l0']:g} active factors, tolerance {problem['tolerance']:.0e}, "
        f"d_model {problem['d_model']}",
        fontsize=9,
        x=0.01,
        ha="left",
    )
    plot_style.footnote(figure, tables.where(document))
    plot_style.save(figure, path)


def _costs(
    axes: Any,
    rows: list[dict[str, Any]],
    size: str,
    cost: Callable[[dict[str, Any]], float],
) -> None:
    """Draws curves, and a line of linear growth under them."""
    axes.set_yscale("log")
    _curves(axes, rows, size, cost)
    sizes = sorted({row[size] for row in rows})
    start = 0.7 * min(cost(row) for row in rows if row[size] == sizes[0])
    linear = [start * value / sizes[0] for value in sizes]
    axes.plot(sizes, linear, label="linear growth", **_AIM)
    axes.legend(fontsize=8, loc="upper left")


def _curves(
    axes: Any,
    rows: list[dict[str, Any]],
    size: str,
    cost: Callable[[dict[str, Any]], float],
) -> None:
    axes.set_xscale("log", base=2)
    for solver, colour, marker in _styles(rows):
        found = [row for row in rows if row["solver"] == solver]
        axes.plot(
            [row[size] for row in found],
            [cost(row) for row in found],
            color=colour,
            marker=marker,
            label=solver,
        )
    ticks = sorted({row[size] for row in rows})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])


def _warm_starts(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Draws the share of a cold solve's steps, a column for each setting."""
    settings = list(
        dict.fromkeys(
            (round(row["l0_wanted"]), round(row["step_size"], 4)) for row in rows
        )
    )
    tolerances = list(dict.fromkeys(row["tolerance"] for row in rows))
    styles = _styles(rows)
    for index, (solver, colour, marker) in enumerate(styles):
        for tolerance in tolerances:
            found = [
                row
                for row in rows
                if (row["solver"], row["tolerance"]) == (solver, tolerance)
            ]
            # Side by side, so that equal shares do not hide one another.
            shift = 0.16 * (index - (len(styles) - 1) / 2)
            loosest = tolerance == max(tolerances)
            axes.plot(
                [place + shift for place in range(len(found))],
                [row["steps_ratio"] for row in found],
                color=colour,
                marker=marker,
                markersize=8,
                markerfacecolor=colour if loosest else "white",
                linestyle="none",
                label=f"{solver}, tolerance {tolerance:.0e}",
            )
    axes.axhline(_WARM_AIM, label="aim: at most ⅓", **_AIM)
    axes.set_ylim(0, 1.05)
    axes.set_xlim(-0.6, len(settings) - 0.4)
    axes.set_xticks(
        range(len(settings)), [f"L0 {l0}\nstep {step:g}" for l0, step in settings]
    )
    axes.set_title("Steps of a warm start ÷ steps of a cold one")
    axes.legend(fontsize=8)


def _styles(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    solvers = list(dict.fromkeys(row["solver"] for row in rows))
    return list(zip(solvers, _COLOURS, _MARKERS, strict=False))

"""Gap against time a row, one panel for each λ."""

import pathlib
from typing import Any

from benchmarks.solvers import report
from tfvis_jax.reporting import plot_style, tables

# Below this, rounding decides.
_FLOOR = 1e-7
# Solver, number of devices it is drawn for, colour, marker, line.
_CURVES = (
    ("ista", False, plot_style.GREY, "v", "-"),
    ("fista", False, plot_style.SKY, "s", "-"),
    ("fista_restart", False, plot_style.BLUE, "D", "-"),
    ("spectral", False, plot_style.GREEN, "^", "-"),
    ("working_set", False, plot_style.ORANGE, "o", "-"),
    ("auto", True, plot_style.VERMILION, "o", "--"),
)
# Start of the name, colour, marker.
_POINTS = (
    ("published", plot_style.BLACK, "X"),
    ("SPAMS", plot_style.PURPLE, "P"),
    ("scikit-learn lasso_lars", plot_style.PURPLE, "<"),
    ("scikit-learn lasso_cd", plot_style.PURPLE, ">"),
)


def draw(document: dict[str, Any], path: pathlib.Path) -> None:
    """Draws a speed document; lower and further left is better.

    Args:
      document: JSON of `benchmarks.solvers.speed`.
      path: PNG to write.
    """
    penalties = list(dict.fromkeys(row["l1_penalty"] for row in document["rows"]))
    figure, axes = plot_style.subplots(
        1,
        len(penalties),
        figsize=(1.8 + 4.4 * len(penalties), 4.6),
        sharex=True,
        sharey=True,
    )
    for panel, l1_penalty in zip(axes[0], penalties, strict=True):
        rows = [row for row in document["rows"] if row["l1_penalty"] == l1_penalty]
        _panel(panel, rows)
        exact = min((row for row in rows if not row["k"]), key=lambda r: r["gap_mean"])
        panel.set_title(f"λ = {l1_penalty:g}, {exact['l0']:.0f} active factors")
        panel.set_xlabel("← faster      milliseconds a row (log)")
    axes[0, 0].set_ylabel(
        "← nearer to the optimum      mean relative duality gap (log)"
    )
    # A panel may lack what another has; a name stands once.
    named = {}
    for panel in axes[0]:
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    figure.legend(named.values(), named, loc="outside right center", fontsize=8)
    plot_style.footnote(figure, tables.where(document))
    plot_style.save(figure, path)


def _panel(axes: Any, rows: list[dict[str, Any]]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axhline(
        report.SAME_GAP,
        color=plot_style.GREY,
        linewidth=1,
        linestyle=":",
        label=f"gap {report.SAME_GAP:.0e}",
    )
    for solver, over_all, colour, marker, line in _CURVES:
        found = [row for row in rows if row["solver"] == solver]
        if over_all:
            found = [row for row in found if row["mapping"] == "shard_map"]
            most = max((row["num_devices"] for row in found), default=1)
            found = [row for row in found if row["num_devices"] == most > 1]
        if found:
            axes.plot(
                *_places(found),
                color=colour,
                marker=marker,
                linestyle=line,
                label=report.name_of(found[0]),
            )
    for start, colour, marker in _POINTS:
        found = [row for row in rows if row["solver"].startswith(start)]
        for index, row in enumerate(sorted(found, key=lambda r: r["steps_mean"] or 0)):
            name = row["solver"] if index == 0 else f"{start}, steps to that gap"
            axes.plot(
                *_places([row]),
                color=colour,
                marker=marker,
                markersize=8,
                linestyle="none",
                label=name,
                markerfacecolor=colour if index == 0 else "white",
            )


def _places(rows: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    rows = sorted(rows, key=lambda row: -row["gap_mean"])
    milliseconds = [1e3 / row["rows_per_s"] for row in rows]
    return milliseconds, [max(row["gap_mean"], _FLOOR) for row in rows]

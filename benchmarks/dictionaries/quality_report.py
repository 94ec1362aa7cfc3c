"""Error against time of learning, as a table and a plot, and who is ahead when."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvis_jax.reporting import plot_style, tables

_OURS = "sparse_coding"
_COLOURS = {
    "sparse_coding": plot_style.BLUE,
    "sae_batchtopk": plot_style.ORANGE,
    "sae_jumprelu": plot_style.GREEN,
    "sae_topk": plot_style.VERMILION,
    "sae_matryoshka": plot_style.PURPLE,
    "sae_relu": plot_style.SKY,
}
_CLOCKS = {
    "processor_seconds": "processor seconds of learning (log)",
    "seconds": "seconds of learning on the clock (log)",
}


def curve(
    rows: Sequence[dict[str, Any]], method: str, *, clock: str = "processor_seconds"
) -> tuple[np.ndarray, np.ndarray]:
    """Returns times, ascending, and the FVU at each, both means over seeds.

    Args:
      rows: of the JSON.
      method: whose curve.
      clock: which time, "processor_seconds" or "seconds".
    """
    own = [row for row in rows if row["method"] == method]
    points = []
    for seen in sorted({row["rows_seen"] for row in own}):
        same = [row for row in own if row["rows_seen"] == seen]
        points.append([np.mean([row[of] for row in same]) for of in (clock, "fvu")])
    times, errors = np.array(points).reshape(-1, 2).T
    order = np.argsort(times)
    return times[order], errors[order]


def error_at(times: np.ndarray, errors: np.ndarray, time: float) -> float | None:
    """Returns the FVU at a time, linear between points in both logarithms.

    After the last point it is that of the last; before the first there is none.
    """
    if not len(times) or time < times[0]:
        return None
    return float(np.exp(np.interp(np.log(time), np.log(times), np.log(errors))))


def time_to(times: np.ndarray, errors: np.ndarray, error: float) -> float | None:
    """Returns when a curve first falls to an error; None if it never does.

    A curve that starts below it has the time of its first point, an upper bound.
    """
    below = np.flatnonzero(errors <= error)
    if not len(below):
        return None
    place = below[0]
    if place == 0:
        return float(times[0])
    span = slice(place - 1, place + 1)
    logs = np.interp(
        np.log(error), np.log(errors[span])[::-1], np.log(times[span])[::-1]
    )
    return float(np.exp(logs))


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compares sparse coding with each autoencoder at the end of its longest training.

    Returns:
      One entry for each autoencoder: its ``processor_seconds`` and ``fvu`` at the end,
      the ``our_fvu`` after as long and its ``ratio``, and ``our_seconds`` to an error
      as small as the autoencoder's.
    """
    ours = curve(rows, _OURS)
    entries = []
    for method in dict.fromkeys(row["method"] for row in rows):
        if method == _OURS:
            continue
        times, errors = curve(rows, method)
        found = error_at(*ours, times[-1])
        entries.append(
            {
                "method": method,
                "processor_seconds": float(times[-1]),
                "fvu": float(errors[-1]),
                "our_fvu": found,
                "ratio": None if found is None else found / float(errors[-1]),
                "our_seconds": time_to(*ours, float(errors[-1])),
            }
        )
    return entries


def table(document: dict[str, Any]) -> str:
    """Returns where it was measured, all rows, and who is ahead.

    Args:
      document: JSON of `benchmarks.time_to_quality`.
    """
    problem = document["problem"]
    learning = problem["learning"]
    heads = ("method", "rows seen", "processor s", "s", "FVU", "L0", "alive")
    heads += ("compile s", "calibration processor s", "rate", "seed")
    cells = [
        (
            row["method"],
            f"{row['rows_seen']:,}",
            f"{row['processor_seconds']:.1f}",
            f"{row['seconds']:.1f}",
            f"{row['fvu']:.4f}",
            f"{row['l0']:.1f}",
            f"{row['alive']:.1%}",
            f"{row['compile_seconds']:.1f}",
            f"{row['calibration_processor_seconds']:.1f}",
            tables.or_dash(row["learning_rate"], "g"),
            str(row["seed"]),
        )
        for row in document["rows"]
    ]
    caption = (
        f"{problem['n_rows']:,} {problem['source']}; {problem['n_held_out_rows']:,} "
        f"held out; {problem['n_factors']:,} factors, L0 {problem['target_l0']}. "
        f"Sparse coding: {learning['update']}, step {learning['step_size']:g}, "
        f"{learning['rows_per_step']:,} rows a step, gap {learning['tolerance']:g}, "
        f"for {learning['surplus']} factors more than wanted."
    )
    text = tables.captioned(caption, document, heads, cells)
    if not document["summary"]:
        return text
    heads = ("autoencoder", "its processor s", "its FVU", "our FVU by then", "ratio")
    heads += ("our processor s to its FVU",)
    cells = [
        (
            entry["method"],
            f"{entry['processor_seconds']:.1f}",
            f"{entry['fvu']:.4f}",
            tables.or_dash(entry["our_fvu"], ".4f"),
            tables.or_dash(entry["ratio"], ".2f"),
            tables.or_dash(entry["our_seconds"], ".1f"),
        )
        for entry in document["summary"]
    ]
    head = "After the whole training of each autoencoder"
    return f"{text}\n\n{head}\n\n{tables.markdown(heads, cells)}"


def draw(document: dict[str, Any], path: pathlib.Path) -> None:
    """Draws the error against time; lower and further left is better.

    Args:
      document: JSON of `benchmarks.time_to_quality`.
      path: PNG to write.
    """
    figure, axes = plot_style.subplots(1, 2, figsize=(10, 4.4), sharey=True)
    rows = document["rows"]
    for axis, (clock, label) in zip(axes[0], _CLOCKS.items(), strict=True):
        for method in dict.fromkeys(row["method"] for row in rows):
            own = [row for row in rows if row["method"] == method]
            colour = _COLOURS[method]
            if len({row["seed"] for row in own}) > 1:
                axis.plot(
                    [row[clock] for row in own],
                    [row["fvu"] for row in own],
                    color=colour,
                    linestyle="none",
                    marker=".",
                    alpha=0.5,
                )
            axis.plot(
                *curve(rows, method, clock=clock),
                color=colour,
                marker="o",
                linewidth=2.6 if method == _OURS else 1.4,
                label=method.replace("_", " ").replace("sae", "SAE"),
            )
        axis.set_xscale("log")
        axis.set_yscale("log")
        times = [row[clock] for row in rows]
        ticks = _round_numbers(min(times), max(times))
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
        axis.set_xlabel(f"← sooner      {label}")
    low, high = (pick(row["fvu"] for row in rows) for pick in (min, max))
    steps = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1)
    shares = [share for share in steps if low / 1.5 < share < high * 1.5]
    axes[0, 0].set_yticks(shares, [f"{share:.0%}" for share in shares])
    problem = document["problem"]
    axes[0, 0].set_ylabel("held-out variance unexplained (log)")
    axes[0, 0].set_title(
        f"{problem['n_factors']:,} factors, {problem['target_l0']} active"
    )
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center")
    note = f"{problem['source']}; {tables.where(document)}"
    plot_style.footnote(figure, note)
    plot_style.save(figure, path)


def _round_numbers(low: float, high: float) -> list[float]:
    """Returns 1, 2 and 5 times powers of ten, from about ``low`` to about ``high``."""
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    found = [first * 10.0**power for power in powers for first in (1, 2, 5)]
    return [each for each in found if low / 1.5 < each < high * 1.5]

"""Importance curves by level as a plot."""

import pathlib
from collections.abc import Sequence
from typing import Any

from tfvis_jax.reporting import plot_style, tables
from tfvis_jax.studies.layers import level_curves

_COLOURS = {
    "low": plot_style.GREEN,
    "mid": plot_style.VERMILION,
    "high": plot_style.BLUE,
    "topic": plot_style.ORANGE,
}


def draw(
    found: dict[str, level_curves.LevelCurve],
    layers: Sequence[int],
    document: dict[str, Any],
    path: pathlib.Path,
) -> None:
    """Draws the median curve of every level with its quartiles, and the onsets.

    Args:
      found: curves by level.
      layers: [n_layers] numbers of the layers.
      document: begins with `environment.describe`, and names the "source".
      path: PNG to write.
    """
    figure, axes = plot_style.subplots(1, 2, figsize=(9, 3.8))
    shown = [(name, found[name]) for name in _COLOURS if name in found]
    for name, curve in shown:
        colour = _COLOURS[name]
        axes[0, 0].plot(
            layers,
            curve.median,
            marker="o",
            color=colour,
            label=f"{name} ({curve.n} factors)",
        )
        axes[0, 0].fill_between(
            layers, curve.lower, curve.upper, color=colour, alpha=0.15, linewidth=0
        )
        share = [count / curve.n for count in curve.onset_layers]
        axes[0, 1].plot(layers, share, marker="o", color=colour)
    axes[0, 0].set_xticks(layers)
    axes[0, 0].set_xlabel("layer")
    axes[0, 0].set_ylabel("share of the factor's peak")
    axes[0, 0].set_title("Importance: median and quartiles")
    axes[0, 1].set_xticks(layers)
    axes[0, 1].set_xlabel("layer")
    axes[0, 1].set_ylabel("share of the level's factors")
    axes[0, 1].set_title("Onset: half of the peak")
    figure.legend(loc="outside right upper")
    note = f"{document['source']}; {tables.where(document)}"
    plot_style.footnote(figure, note)
    plot_style.save(figure, path)

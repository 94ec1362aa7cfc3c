"""Where in the network the factors of each level are active."""

from collections.abc import Sequence

import numpy as np

from tfvis_jax.figures import level_colours
from tfvis_jax.reporting import plot_style as style


def relative_curves(importance: np.ndarray) -> np.ndarray:
    """Returns importance scores relative to each factor's largest; NaN if it is dead.

    Args:
      importance: [n_layers, n_factors].
    """
    peak = importance.max(axis=0)
    return np.where(peak > 0, importance / np.where(peak > 0, peak, 1), np.nan)


def quartiles(
    importance: np.ndarray, levels: Sequence[str]
) -> dict[str, tuple[np.ndarray, int]]:
    """Returns the quartiles over the factors of each level.

    Args:
      importance: [n_layers, n_factors].
      levels: [n_factors] names of levels.

    Returns:
      For each level with a live factor, the 25th, 50th and 75th percentile of the
      relative scores, [3, n_layers], and the number of live factors.
    """
    curves, names = relative_curves(importance), np.asarray(levels)
    alive = ~np.isnan(curves[0])
    found = {}
    for name in level_colours.ordered(levels):
        members = curves[:, alive & (names == name)]
        if members.shape[1]:
            found[name] = (
                np.quantile(members, (0.25, 0.5, 0.75), axis=1),
                members.shape[1],
            )
    return found


@style.for_paper
def importance_curves(
    importance: np.ndarray, levels: Sequence[str], *, layers: Sequence[int]
) -> "style.Figure":
    """Draws importance by layer: the median over the factors of each level, and the
    band between the quartiles; the medians of the other levels are grey.

    Scores are relative to each factor's largest, so that a weak factor counts as much
    as a strong one.

    Args:
      importance: [n_layers, n_factors] importance scores.
      levels: [n_factors] names of levels.
      layers: [n_layers] numbers of the layers.
    """
    found = quartiles(importance, levels)
    rows = max(1, -(-len(found) // 2))
    figure = style.paper(width=style.COLUMN, height=0.35 + 1.15 * rows)
    axes = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, (name, (bands, count)) in zip(axes, found.items(), strict=False):
        look = level_colours.style_of(name, levels)
        for other, _ in found.values():
            ax.plot(layers, other[1], color="#CFCFCF", linewidth=0.8)
        ax.fill_between(
            layers, bands[0], bands[2], color=look["color"], alpha=0.2, linewidth=0
        )
        ax.plot(layers, bands[1], **look)
        ax.set_title(f"{name} ({count:,})")
    for ax in axes[len(found) :]:
        ax.set_axis_off()
    axes[0].set_xticks(list(layers))
    axes[0].set_ylim(0, 1.04)
    figure.supxlabel("layer", fontsize=8)
    figure.supylabel("importance / its largest", fontsize=8)
    return figure

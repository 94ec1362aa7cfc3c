"""How often factors fire."""

from collections.abc import Sequence

import numpy as np

from tfvis_jax.figures import level_colours
from tfvis_jax.reporting import plot_style as style

_BINS_PER_DECADE = 5


def edges_of(density: np.ndarray) -> np.ndarray:
    """Returns logarithmic edges of bins that hold all positive densities."""
    steps = np.log10(density[density > 0]) * _BINS_PER_DECADE
    if not len(steps):
        return np.array([0.1, 1.0])
    low, high = np.floor(steps.min()), np.ceil(steps.max())
    return 10 ** (np.arange(low, max(high, low + 1) + 1) / _BINS_PER_DECADE)


@style.for_paper
def densities_by_level(
    density: np.ndarray, importance: np.ndarray, levels: Sequence[str]
) -> "style.Figure":
    """Draws how many factors fire on which fraction of tokens, at their peak layers.

    Args:
      density: [n_layers, n_factors] fraction of tokens on which a factor fires.
      importance: [n_layers, n_factors], which says where a factor peaks.
      levels: [n_factors] names of levels.
    """
    peak = importance.argmax(axis=0)
    at_peak = density[peak, np.arange(density.shape[1])]
    edges, names = edges_of(at_peak), np.asarray(levels)
    figure = style.paper(width=style.COLUMN, height=2.2)
    ax = figure.subplots()
    below = np.zeros(len(edges) - 1)
    for name in level_colours.ordered(levels):
        members = at_peak[(names == name) & (at_peak > 0)]
        if not len(members):
            continue
        counts, _ = np.histogram(members, edges)
        ax.bar(
            edges[:-1],
            counts,
            np.diff(edges),
            bottom=below,
            align="edge",
            color=level_colours.style_of(name, levels)["color"],
            edgecolor="white",
            linewidth=0.3,
            label=name,
        )
        below += counts
    dead = int(np.sum(at_peak == 0))
    ax.set_xscale("log")
    ax.set_xlabel("density at the peak layer (fraction of tokens)")
    ax.set_ylabel("factors")
    ax.grid(axis="x", visible=False)
    figure.legend(
        loc="outside upper center",
        ncols=4,
        title=f"{dead:,} of {len(at_peak):,} never fire" if dead else None,
        title_fontsize=7,
    )
    return figure

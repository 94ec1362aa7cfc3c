"""How much of the hidden states the factors leave unexplained, and with how many."""

from collections.abc import Sequence

import numpy as np

from tfvis_jax.reporting import plot_style as style


@style.for_paper
def reconstruction_by_layer(
    fvu: Sequence[float | None],
    l0: Sequence[float | None],
    *,
    layers: Sequence[int],
) -> "style.Figure":
    """Draws the fraction of variance unexplained and the L0 of each layer.

    Args:
      fvu: [n_layers] on held-out text; None where it was not measured.
      l0: [n_layers] mean number of active factors.
      layers: [n_layers] numbers of the layers.
    """
    figure = style.paper(width=style.COLUMN, height=1.5)
    axes = figure.subplots(1, 2)
    for ax, values, title, colour, marker in zip(
        axes,
        (fvu, l0),
        ("FVU", "L0"),
        (style.VERMILION, style.BLUE),
        ("o", "s"),
        strict=True,
    ):
        numbers = np.array([np.nan if v is None else v for v in values])
        ax.plot(layers, numbers, color=colour, marker=marker)
        ax.set_xlabel("layer")
        ax.set_ylabel(title)
        ax.set_xticks(list(layers))
        if np.isfinite(numbers).any():
            ax.set_ylim(0, 1.15 * np.nanmax(numbers))
    return figure

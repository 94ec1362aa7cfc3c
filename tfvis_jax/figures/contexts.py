"""What fires a factor: its curve and its strongest contexts, aligned on their words."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfvis_jax.figures import fitting
from tfvis_jax.reporting import plot_style as style

_ROW = 0.155  # Inches.
_SIZE = 7  # Points.
# Inches: the curve and the numbers of its axes; then the contexts.
_AXIS, _CURVE, _ABOVE, _BELOW = 0.45, 1.1, 0.24, 0.38
_LEFT = 1.75
_WIDTH = style.PAGE - _LEFT - 0.05
_LEAST_ROWS = 7
_PAD = 0.03


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyWord:
    """A word that fires a factor, in its context.

    Attributes:
      before: Text before the word.
      word: The word.
      after: Text after the word.
      activation: α of the factor.
    """

    before: str
    word: str
    after: str
    activation: float


@style.for_paper
def context_panel(
    number: int,
    name: str,
    contexts: Sequence[KeyWord],
    *,
    layer: int,
    importance: Sequence[float],
    layers: Sequence[int],
    largest: float,
) -> "style.Figure":
    """Draws a factor: importance by layer, and its strongest contexts at one of them.

    Args:
      number: Index of the factor.
      name: Its label or its words; any text.
      contexts: Strongest first.
      layer: Layer of the contexts.
      importance: [n_layers] importance scores.
      layers: [n_layers] numbers of the layers.
      largest: α that has the full colour.
    """
    rows = max(len(contexts), _LEAST_ROWS)
    height = rows * _ROW + _ABOVE + _BELOW
    figure = style.paper(width=style.PAGE, height=height, layout=None)
    # In inches, so that text can be cut to what it may fill.
    across, up = 1 / style.PAGE, 1 / height
    curve, text = (
        figure.add_axes(
            (
                left * across,
                (_BELOW if left == _AXIS else 0) * up,
                width * across,
                (height - _ABOVE - (_BELOW if left == _AXIS else 0)) * up,
            )
        )
        for left, width in ((_AXIS, _CURVE), (_LEFT, _WIDTH))
    )
    curve.plot(layers, importance, color=style.VERMILION, marker="o")
    curve.axvline(layer, color=style.ORANGE, alpha=0.3, linewidth=5, zorder=0)
    curve.set_xlabel("layer")
    curve.set_ylabel("importance")
    curve.set_xticks(list(layers))
    curve.set_ylim(bottom=0)
    curve.set_title(f"Φ{number}")
    _write(figure, text, name, contexts, layer=layer, rows=rows, largest=largest)
    return figure


def _write(
    figure: "style.Figure",
    ax: Any,
    name: str,
    contexts: Sequence[KeyWord],
    *,
    layer: int,
    rows: int,
    largest: float,
) -> None:
    ruler = fitting.Ruler(figure, _SIZE)
    width = _WIDTH
    # Coordinates are inches from the left and rows from the top.
    ax.set_xlim(0, width)
    ax.set_ylim(rows + _BELOW / _ROW, 0)
    ax.set_axis_off()
    title = ruler.fit(f"{name}, layer {layer}", width * 0.95, bold=True)
    ax.set_title(title, **fitting.PLAIN)
    left = 0.45
    middle = left + (width - left) / 2
    for row, context in enumerate(contexts):
        y = row + 0.5
        word = ruler.fit(context.word, (width - left) / 2, bold=True)
        half = ruler.width(word, True) / 2
        room = (width - left) / 2 - half - 2 * _PAD
        share = context.activation / largest if largest > 0 else 0
        write = {"va": "center_baseline", "fontsize": _SIZE, **fitting.PLAIN}
        grey = {"color": style.GREY}
        number = f"{context.activation:#.3g}"
        ax.text(left - 0.1, y, number, ha="right", **write, **grey)
        before = ruler.fit(context.before.rstrip(), room, end=True)
        ax.text(middle - half - 2 * _PAD, y, before, ha="right", **write)
        ax.text(
            middle,
            y,
            word,
            ha="center",
            fontweight="bold",
            bbox={
                "boxstyle": "round,pad=0.15",
                "facecolor": style.ORANGE,
                "alpha": min(1.0, max(0.1, share)),
                "linewidth": 0,
            },
            **write,
        )
        after = ruler.fit(context.after.lstrip(), room)
        ax.text(middle + half + 2 * _PAD, y, after, ha="left", **write)

"""A sentence as tokens × layers: each cell names the strongest factor of a token."""

from collections.abc import Callable, Sequence
from typing import Any

from tfvis_jax.figures import fitting
from tfvis_jax.reporting import plot_style as style

_ROW = 0.2  # Inches.
_SIZE = 6.5  # Points.
_TOKENS = 0.85  # Inches, of the column of tokens.
# Below this share a colour could not be told from white.
_FAINTEST = 0.05
_GAP = 0.02
_RAMP = 6


@style.for_paper
def sentence_grid(
    records: Sequence[dict[str, Any]], *, name: Callable[[int], str]
) -> "style.Figure":
    """Draws the strongest factor of each token at each layer.

    Args:
      records: Of a sentence: its header, then one for each layer, as
        `viewer.sentences` makes them.
      name: Returns what a factor is called.
    """
    head, *layers = records
    pairs = zip(head["tokens"], head["pieces"], strict=True)
    tokens = [text or piece for text, piece in pairs]
    rows = len(tokens) + 2.4
    figure = style.paper(width=style.PAGE, height=rows * _ROW, layout=None)
    # One unit is an inch across and a row down.
    ax, ruler = figure.add_axes((0, 0, 1, 1)), fitting.Ruler(figure, _SIZE)
    column = (style.PAGE - _TOKENS) / max(1, len(layers))
    ax.set_xlim(0, style.PAGE)
    ax.set_ylim(rows - 0.9, -0.9)
    ax.set_axis_off()
    write = {"va": "center_baseline", "fontsize": _SIZE, **fitting.PLAIN}
    for row, token in enumerate(tokens):
        shown = ruler.fit(token, _TOKENS - 0.08, bold=True)
        ax.text(0, row + 0.5, shown, fontweight="bold", **write)
    for place, layer in enumerate(layers):
        left = _TOKENS + place * column
        ax.text(left + 0.04, -0.4, f"layer {layer['layer']}", color=style.GREY, **write)
        for row, token in enumerate(layer["tokens"]):
            factor, _, share = token["factors"][0] if token["factors"] else (None, 0, 0)
            _cell(ax, left, row, column, share or 0)
            text = "–" if factor is None else name(factor)
            ax.text(left + 0.04, row + 0.5, ruler.fit(text, column - 0.1), **write)
    _legend(ax, len(tokens) + 0.7, write)
    return figure


def _cell(ax: Any, left: float, row: float, width: float, share: float) -> None:
    from_zero = min(1.0, max(_FAINTEST, share))
    ax.fill(
        [left, left + width - _GAP, left + width - _GAP, left],
        [row + 0.06, row + 0.06, row + 0.94, row + 0.94],
        facecolor=(*_rgb(style.ORANGE), from_zero),
        edgecolor="#D8D2C6",
        linewidth=0.4,
    )


def _legend(ax: Any, y: float, write: dict[str, Any]) -> None:
    ax.text(_TOKENS, y, "0", color=style.GREY, **write)
    for step in range(_RAMP):
        share = step / (_RAMP - 1)
        _cell(ax, _TOKENS + 0.1 + step * 0.13, y - 0.4, 0.13 + _GAP, share)
    words = "100 %: share of the hidden state that the strongest factor explains"
    ax.text(_TOKENS + 0.16 + _RAMP * 0.13, y, words, color=style.GREY, **write)


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue

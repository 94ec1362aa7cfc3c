"""One look for all plots: colours that everyone can tell apart.

matplotlib is an extra. It is imported when a figure is made, so that modules that draw
can be imported without it.
"""

import pathlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib import figure as figure_lib

# Okabe & Ito, "Color universal design" (2008), less the yellow, which is too light.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#333333"),
)
GREY = "#8A8A8A"
_SETTINGS: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.grid.which": "major",
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
}


def subplots(rows: int, columns: int, **settings: Any) -> tuple[Any, Any]:
    """Returns a figure and its axes, [rows, columns].

    Args:
      rows: rows of plots.
      columns: columns of plots.
      **settings: passed on to `matplotlib.pyplot.subplots`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update(_SETTINGS)
    return pyplot.subplots(
        rows, columns, layout="constrained", squeeze=False, **settings
    )


def footnote(figure: "figure_lib.Figure", text: str) -> None:
    """Writes where and when it was measured under the plots."""
    figure.supxlabel(text, fontsize=7.5, color=GREY, x=0.01, ha="left")


def save(figure: "figure_lib.Figure", path: pathlib.Path) -> None:
    """Writes a PNG and closes the figure."""
    from matplotlib import pyplot

    figure.savefig(path, dpi=160)
    pyplot.close(figure)

"""One look for all plots: colours that everyone can tell apart.

matplotlib is an extra. It is imported when a figure is made, so that modules that draw
can be imported without it.
"""

import contextlib
import functools
import importlib.util
import pathlib
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from tfvis_jax import files
from tfvis_jax.errors import InputError

if TYPE_CHECKING:
    from matplotlib import figure as figure_lib
    from matplotlib.figure import Figure as Figure

# Okabe & Ito, "Color universal design" (2008), less the yellow, which is too light.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#333333"),
)
GREY = "#8A8A8A"
# Of notes under a figure.
_LETTERS_AN_INCH = 16
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
_Given = ParamSpec("_Given")
_Figure = TypeVar("_Figure")

# Inches: a column and the full width of a page of two columns.
COLUMN, PAGE = 3.3, 6.9
FORMATS = ("svg", "pdf", "png")
_PAPER: Any = _SETTINGS | {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    # Text stays text, which a reader can search and an editor can change.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    # The same figure is the same file.
    "svg.hashsalt": "tfvis",
}
# The first comes with matplotlib; the others have the scripts that it lacks.
_FAMILIES = (
    *("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans Devanagari"),
    *("Noto Sans Arabic", "WenQuanYi Zen Hei", "Droid Sans Fallback"),
    *("Arial Unicode MS", "Hiragino Sans", "Yu Gothic", "Microsoft YaHei"),
)
_NO_DATES: Any = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}


def check() -> None:
    """Raises InputError if matplotlib, which draws the figures, is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError(
            "Expected matplotlib, which draws figures, got none; install it with "
            "`pip install 'tfvis_jax[plots]'`."
        )


def for_paper(draw: Callable[_Given, _Figure]) -> Callable[_Given, _Figure]:
    """Makes a function that draws a figure draw it with the sizes of a paper."""

    @functools.wraps(draw)
    def drawn(*args: _Given.args, **kwargs: _Given.kwargs) -> _Figure:
        with _paper():
            return draw(*args, **kwargs)

    return drawn


def paper(
    *,
    width: float,
    height: float,
    layout: Literal["constrained"] | None = "constrained",
) -> Any:
    """Returns an empty figure; to be called in a function `for_paper`.

    Args:
      width: in inches, `COLUMN` or `PAGE`.
      height: in inches.
      layout: of matplotlib; None leaves axes where they are put.
    """
    from matplotlib import figure as figure_lib
    from matplotlib.backends import backend_agg

    figure = figure_lib.Figure(figsize=(width, height), layout=layout)
    backend_agg.FigureCanvasAgg(figure)
    return figure


@contextlib.contextmanager
def _paper() -> Iterator[None]:
    import matplotlib
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    families = [name for name in _FAMILIES if name in installed]
    with matplotlib.rc_context(_PAPER | {"font.family": families}):
        yield


def save_paper(
    figure: "Figure",
    folder: pathlib.Path,
    name: str,
    *,
    formats: Sequence[str] = FORMATS,
) -> list[pathlib.Path]:
    """Writes a figure in several formats; equal figures give equal bytes.

    Args:
      figure: from `paper`.
      folder: where to write.
      name: of the files, without an ending.
      formats: of `FORMATS`.

    Returns:
      The files.
    """
    written = []
    with _paper(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for kind in formats:
            path = folder / f"{name}.{kind}"
            with files.write_atomically(path) as file:
                figure.savefig(file, format=kind, dpi=300, metadata=_NO_DATES[kind])
            written.append(path)
    if any("missing from" in str(warning.message) for warning in caught):
        warnings.warn(
            f"The fonts of this machine lack characters of {name}: PDF and PNG show "
            "boxes in their place. The SVG has them as text. Install a font that has "
            "them, such as Noto Sans.",
            stacklevel=2,
        )
    return written


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
    """Writes where and when it was measured under the plots, in lines that fit."""
    lines = textwrap.fill(text, int(_LETTERS_AN_INCH * figure.get_figwidth()))
    figure.supxlabel(lines, fontsize=7.5, color=GREY, x=0.01, ha="left")


def save(figure: "figure_lib.Figure", path: pathlib.Path) -> None:
    """Writes a PNG and closes the figure."""
    from matplotlib import pyplot

    figure.savefig(path, dpi=160)
    pyplot.close(figure)

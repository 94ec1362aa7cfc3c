"""Text of a corpus in figures: on one line, cut to a width."""

import functools
import warnings
from typing import Any

from tfvis_jax.reporting import plot_style as style

# Points in an inch.
_POINTS = 72
# Text from outside is never read as mathematics.
PLAIN: dict[str, Any] = {"parse_math": False}


class Ruler:
    """Measures text as a figure draws it."""

    def __init__(self, figure: "style.Figure", size: float) -> None:
        """Measures for a figure.

        Args:
          figure: where the text will stand.
          size: of the font, in points.
        """
        # Hidden text that is never drawn; the renderer measures it.
        self._text = figure.text(0, 0, "", fontsize=size, visible=False, **PLAIN)
        self._dpi = figure.dpi
        self.width = functools.lru_cache(4096)(self._width)

    def _width(self, text: str, bold: bool = False) -> float:
        self._text.set_visible(True)
        self._text.set_text(text)
        self._text.set_fontweight("bold" if bold else "normal")
        with warnings.catch_warnings():
            # Characters without a glyph are told of when the figure is written.
            warnings.simplefilter("ignore")
            width = self._text.get_window_extent().width / self._dpi
        self._text.set_text("")
        self._text.set_visible(False)
        return width

    def fit(
        self, text: str, inches: float, *, end: bool = False, bold: bool = False
    ) -> str:
        """Returns as much of a text as fits, on one line, with dots for the rest.

        Args:
          text: any text.
          inches: of space.
          end: If True, keep the end rather than the beginning.
          bold: If True, measure bold letters.
        """
        text = one_line(text)
        if self.width(text, bold) <= inches:
            return text
        low, high = 0, len(text)
        while low < high:
            n = (low + high + 1) // 2
            cut = f"…{text[-n:]}" if end else f"{text[:n]}…"
            low, high = (n, high) if self.width(cut, bold) <= inches else (low, n - 1)
        if not low:
            return ""
        return f"…{text[-low:]}" if end else f"{text[:low]}…"


def one_line(text: str) -> str:
    """Returns a text on one line, without what has no shape."""
    flat = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in flat)

"""The colours, marks and order of levels, the same in every figure."""

from collections.abc import Sequence

from tfvis_jax.reporting import plot_style as style

# Colour, marker and line of the levels that the page colours too.
_KNOWN = {
    "low": (style.GREEN, "o", "-"),
    "mid": (style.PURPLE, "^", "--"),
    "high": (style.BLUE, "s", "-."),
    "unclear": (style.GREY, "D", ":"),
}
_OTHERS = (
    (style.VERMILION, "v", (0, (5, 1))),
    (style.SKY, "P", (0, (3, 1, 1, 1))),
    (style.ORANGE, "X", (0, (1, 1))),
    (style.BLACK, "*", (0, (6, 2, 2, 2))),
)


def ordered(levels: Sequence[str]) -> list[str]:
    """Returns the names that occur: low, mid and high first, unclear ones last."""
    found = sorted(set(levels))
    first = [name for name in ("low", "mid", "high") if name in found]
    last = [name for name in ("unclear",) if name in found]
    return first + [name for name in found if name not in first + last] + last


def style_of(name: str, levels: Sequence[str]) -> dict[str, object]:
    """Returns the colour, marker and line style of a level.

    Args:
      name: of the level.
      levels: all that occur, which decides the colours of those without one of their
        own.
    """
    others = [level for level in ordered(levels) if level not in _KNOWN]
    if name in _KNOWN:
        colour, marker, line = _KNOWN[name]
    else:
        colour, marker, line = _OTHERS[others.index(name) % len(_OTHERS)]
    return {"color": colour, "marker": marker, "linestyle": line}

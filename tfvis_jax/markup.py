"""Render examples, curves and saliency maps as HTML for notebooks; all text is escaped.

The HTML has no scripts and does not override the notebook's text and background
colours, so it is readable on light and on dark pages.
"""

import bisect
import html
from collections.abc import Mapping, Sequence

import numpy as np

# Orange and blue, which people with red-green colour blindness can tell apart.
_POSITIVE, _NEGATIVE = "255,140,0", "90,140,255"
# Tokens below this fraction of the largest weight are not coloured.
_FAINTEST = 0.1
CELL = "text-align:left;vertical-align:top;padding:0 .8em 0 0"
FAINT = "opacity:.65"
_WIDTH, _HEIGHT, _MARGIN = 260, 64, 16


def escaped(text: str) -> str:
    """Escapes a text and isolates its writing direction."""
    return f"<bdi>{html.escape(text)}</bdi>"


def curve(importance: Mapping[int, float], *, factor: int) -> str:
    """Renders importance scores by layer as a small SVG curve.

    Args:
      importance: importance score by layer.
      factor: index of the factor.
    """
    most = max(importance.values(), default=0) or 1
    step = (_WIDTH - 2 * _MARGIN) / max(len(importance) - 1, 1)
    places = [
        (_MARGIN + i * step, _MARGIN + _HEIGHT * (1 - max(score, 0) / most))
        for i, score in enumerate(importance.values())
    ]
    floor = _MARGIN + _HEIGHT
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="rgb({_POSITIVE})">'
        f"<title>layer {layer}: {score:.3f}</title></circle>"
        f'<text x="{x:.1f}" y="{floor + 14}" font-size="10" fill="currentColor" '
        f'text-anchor="middle">{layer}</text>'
        for (x, y), (layer, score) in zip(places, importance.items(), strict=True)
    )
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    spoken = ", ".join(f"layer {layer} {s:.3f}" for layer, s in importance.items())
    return (
        f'<svg width="{_WIDTH}" height="{floor + 20}" role="img" '
        f'aria-label="Importance of factor {factor}: {spoken}" '
        'style="display:block;max-width:100%">'
        f'<text x="0" y="10" font-size="10" fill="currentColor">importance by layer, '
        f"maximum {max(importance.values(), default=0):.3f}</text>"
        f'<line x1="{_MARGIN}" y1="{floor}" x2="{_WIDTH - _MARGIN}" y2="{floor}" '
        'stroke="currentColor" stroke-opacity=".3"/>'
        f'<polyline points="{line}" fill="none" stroke="rgb({_POSITIVE})" '
        f'stroke-width="1.5"/>{marks}</svg>'
    )


def examples(
    found: Sequence[tuple[float, str, str, str, str]], *, factor: int, layer: int
) -> str:
    """Renders examples as a table, one per row.

    Args:
      found: (α, text before, word, text after, document) of each example.
      factor: index of the factor.
      layer: layer at which it fires on them.
    """
    if not found:
        return (
            f"<p>Φ{factor} does not fire at any token of the corpus at layer "
            f"{layer}.</p>"
        )
    rows = "".join(
        f'<tr><td style="{CELL}">{activation:.3f}</td><td style="{CELL}">'
        f"<bdi>{html.escape(before)}<b>{html.escape(word)}</b>{html.escape(after)}"
        f'</bdi></td><td style="{CELL};{FAINT}">{escaped(document)}</td></tr>'
        for activation, before, word, after, document in found
    )
    return (
        f"<p>Φ{factor} at layer {layer}: {len(found)} examples</p><table>{rows}</table>"
    )


def description(
    number: int,
    *,
    head: str,
    importance: Mapping[int, float],
    lists: Sequence[tuple[str, Sequence[tuple[str, str]]]],
) -> str:
    """Renders the description of a factor.

    Args:
      number: index of the factor.
      head: label, level and reason.
      importance: importance score by layer.
      lists: headings, each with (entry, score) pairs.
    """
    rows = "".join(
        f'<tr><th style="{CELL}">{html.escape(heading)}</th><td style="{CELL}">'
        + ", ".join(
            f'{escaped(entry)} <span style="{FAINT}">{html.escape(score)}</span>'
            for entry, score in entries
        )
        + "</td></tr>"
        for heading, entries in lists
        if entries
    )
    return (
        f"<div><b>Φ{number}</b> {escaped(head)}{curve(importance, factor=number)}"
        f"<table>{rows}</table></div>"
    )


def token_map(
    title: str,
    *,
    texts: Sequence[str],
    is_spaced: Sequence[bool],
    weights: np.ndarray,
    position: int,
) -> str:
    """Renders a saliency map: orange tokens make the factor fire, blue ones inhibit it.

    Args:
      title: heading of the map.
      texts: text of each token; "" for tokens of a character that stands in the text
        before, to which their weights are added.
      is_spaced: True if white space precedes the token.
      weights: [n_tokens] weight of each token.
      position: index of the target token, which is underlined.
    """
    first = [i for i, text in enumerate(texts) if text or i == 0]
    texts, is_spaced = [texts[i] for i in first], [is_spaced[i] for i in first]
    weights = np.add.reduceat(weights, first)
    position = bisect.bisect_right(first, position) - 1
    largest = float(np.max(np.abs(weights), initial=0))
    line = []
    for place, (text, spaced) in enumerate(zip(texts, is_spaced, strict=True)):
        share = weights[place] / largest if largest else 0.0
        style = ""
        if abs(share) >= _FAINTEST:
            colour = _POSITIVE if share > 0 else _NEGATIVE
            style = f"background:rgba({colour},{abs(share):.2f})"
        if place == position:
            style += ";font-weight:bold;text-decoration:underline"
        line.append(" " if spaced else "")
        line.append(f'<span style="{style}">{html.escape(text)}</span>')
    return f"<p><b>{html.escape(title)}</b><br>{''.join(line)}</p>"

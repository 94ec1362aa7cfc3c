"""How runs, factors, examples and maps look in a notebook: every text is escaped.

Nothing here is a script, and no colour of the notebook's own is overruled: it reads on
light and on dark pages.
"""

import html
from collections.abc import Mapping, Sequence

import numpy as np

_POSITIVE, _NEGATIVE = "255,140,0", "90,140,255"
# Of the largest weight: tokens below it are not coloured.
_FAINTEST = 0.1
CELL = "text-align:left;vertical-align:top;padding:0 .8em 0 0"
FAINT = "opacity:.65"
_WIDTH, _HEIGHT, _MARGIN = 260, 64, 16


def escaped(text: str) -> str:
    """Returns a text that can be neither markup nor turn the direction of others."""
    return f"<bdi>{html.escape(text)}</bdi>"


def curve(importance: Mapping[int, float], *, factor: int) -> str:
    """Returns the importance over the layers as a small picture.

    Args:
      importance: score of each layer.
      factor: number of the factor.
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
    said = ", ".join(f"layer {layer} {s:.3f}" for layer, s in importance.items())
    return (
        f'<svg width="{_WIDTH}" height="{floor + 20}" role="img" '
        f'aria-label="Importance of factor {factor}: {said}" '
        'style="display:block;max-width:100%">'
        f'<text x="0" y="10" font-size="10" fill="currentColor">importance by layer, '
        f"at most {max(importance.values(), default=0):.3f}</text>"
        f'<line x1="{_MARGIN}" y1="{floor}" x2="{_WIDTH - _MARGIN}" y2="{floor}" '
        'stroke="currentColor" stroke-opacity=".3"/>'
        f'<polyline points="{line}" fill="none" stroke="rgb({_POSITIVE})" '
        f'stroke-width="1.5"/>{marks}</svg>'
    )


def examples(
    found: Sequence[tuple[float, str, str, str, str]], *, factor: int, layer: int
) -> str:
    """Returns contexts, one a row.

    Args:
      found: α, text before, word, text after, document.
      factor: number of the factor.
      layer: where it fires on them.
    """
    if not found:
        return f"<p>Φ{factor} fires at no token of the corpus at layer {layer}.</p>"
    rows = "".join(
        f'<tr><td style="{CELL}">{activation:.3f}</td><td style="{CELL}">'
        f"<bdi>{html.escape(before)}<b>{html.escape(word)}</b>{html.escape(after)}"
        f'</bdi></td><td style="{CELL};{FAINT}">{escaped(document)}</td></tr>'
        for activation, before, word, after, document in found
    )
    return (
        f"<p>Φ{factor} at layer {layer}, examples: {len(found)}</p>"
        f"<table>{rows}</table>"
    )


def description(
    number: int,
    *,
    head: str,
    importance: Mapping[int, float],
    lists: Sequence[tuple[str, Sequence[tuple[str, str]]]],
) -> str:
    """Returns a factor in words.

    Args:
      number: of the factor.
      head: level and reason, label.
      importance: score of each layer.
      lists: headings, each with pairs of an entry and what is said of it.
    """
    rows = "".join(
        f'<tr><th style="{CELL}">{html.escape(heading)}</th><td style="{CELL}">'
        + ", ".join(
            f'{escaped(entry)} <span style="{FAINT}">{html.escape(said)}</span>'
            for entry, said in entries
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
    """Returns a line of tokens, orange where they make a factor fire, else blue.

    Args:
      title: what stands before.
      texts: of the tokens.
      is_spaced: whether white space stands before each.
      weights: of the tokens.
      position: the token in question, underlined.
    """
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

"""How factors, examples and maps look in a notebook: HTML with every text escaped."""

import html
from collections.abc import Mapping, Sequence

import numpy as np

_POSITIVE, _NEGATIVE = "255,140,0", "90,140,255"
# Of the largest weight: tokens below it are not coloured.
_FAINTEST = 0.1
_CELL = "text-align:left;vertical-align:top;padding:0 .6em 0 0"


def factor(
    number: int,
    *,
    level: str,
    reason: str,
    importance: Mapping[int, float],
    examples: Sequence[tuple[float, str, str, str]],
    layer: int,
) -> str:
    """Returns a factor: its level, its importance over the layers, its examples.

    Args:
      number: of the factor.
      level, reason: low, mid, high or unclear, and why.
      importance: score of each layer.
      examples: α, text before, word, text after.
      layer: of the examples.
    """
    most = max(importance.values(), default=0) or 1
    bars = "".join(
        f'<td style="{_CELL};vertical-align:bottom">'
        f'<div style="background:rgb({_POSITIVE});width:1.6em;'
        f'height:{3 * max(score, 0) / most:.2f}em"></div>{at}</td>'
        for at, score in importance.items()
    )
    rows = "".join(
        f'<tr><td style="{_CELL}">{activation:.3f}</td><td style="{_CELL}">'
        f"{html.escape(before)}<b>{html.escape(word)}</b>{html.escape(after)}</td></tr>"
        for activation, before, word, after in examples
    )
    return (
        f"<div><b>Φ{number}</b> {html.escape(level)}: {html.escape(reason)}"
        f"<table><tr>{bars}</tr></table>strongest at layer {layer}"
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

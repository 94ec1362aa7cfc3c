"""The panels of the page in a notebook, as plain HTML: no scripts, nothing loaded."""

import dataclasses
import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfvis_jax.markup import CELL, FAINT, curve, escaped

# Orange, as in `markup`; text keeps the colour of the notebook, light or dark.
_GLOW = "255,140,0"
_STRONGEST = 0.55
_TERMS = 6
# A notebook slows down with thousands of cells.
_SHOWN = 64
_MARK = (
    "font-weight:bold;border-radius:3px;padding:0 .25em;"
    f"border:1px solid rgba({_GLOW},.8)"
)
_LINE = "white-space:nowrap;overflow:hidden;text-overflow:ellipsis;max-width:24em"


@dataclasses.dataclass(frozen=True)
class Panel:
    """HTML that shows itself in a notebook.

    Attributes:
      html: the HTML; all text from outside is escaped.
      text: the same in a line, where no HTML is shown.
    """

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def sentence(
    records: Sequence[dict[str, Any]],
    *,
    name: Callable[[int], str],
    token: int,
    notice: str = "",
) -> Panel:
    """Shows a sentence: tokens × layers in words, and one token's sum of factors.

    Args:
      records: of `viewer.sentences`: the header, then one for each layer.
      name: returns what a factor is called; any text.
      token: index of the token whose sum is written out, at the last layer.
      notice: what the reader must know of the tokens; "" for nothing.
    """
    head, *layers = records
    pairs = zip(head["tokens"], head["pieces"], strict=True)
    tokens = [text or piece for text, piece in pairs]
    titles = "".join(
        f'<th style="{CELL};{FAINT}">layer {layer["layer"]}</th>' for layer in layers
    )
    rows = "".join(
        f'<tr><th style="{CELL}">{escaped(text)}</th>'
        + "".join(_cell(layer["tokens"][place], name) for layer in layers)
        + "</tr>"
        for place, text in enumerate(tokens[:_SHOWN])
    )
    left = len(tokens) - _SHOWN
    more = f"<p>… and {left} more tokens</p>" if left > 0 else ""
    last = layers[-1]
    shown = (
        f"<p>{_ramp()} share of the hidden state that the strongest factor explains</p>"
        f'<table><tr><th style="{CELL}"></th>{titles}</tr>{rows}</table>{more}'
        f"<p><b>“{escaped(tokens[token])}” at layer {last['layer']}</b><br>"
        f"{_sum(last['tokens'][token], name)}</p>"
        + (f"<p>{escaped(notice)}</p>" if notice else "")
    )
    return Panel(f"<div>{shown}</div>", f"{len(tokens)} tokens at {len(layers)} layers")


def _cell(token: dict[str, Any], name: Callable[[int], str]) -> str:
    if not token["factors"]:
        return f'<td style="{CELL};{FAINT}">–</td>'
    factor, alpha, share = token["factors"][0]
    style = f"{CELL};background:{_glow(share or 0)};border-radius:3px"
    title = f"Φ{factor}, α {alpha}, {_percent(share)} of ‖x‖²"
    return (
        f'<td style="{style}" title="{html.escape(title)}">{escaped(name(factor))}</td>'
    )


def _sum(token: dict[str, Any], name: Callable[[int], str]) -> str:
    terms = [
        f"{alpha:.3g}&nbsp;Φ{factor} “{escaped(name(factor))}” "
        f'<span style="{FAINT}">{_percent(share)}</span>'
        for factor, alpha, share in token["factors"][:_TERMS]
    ]
    left = token["l0"] - len(terms)
    more = [f"{left} more"] if left > 0 else []
    rest = f'ε <span style="{FAINT}">{_percent(token["residual_share"])}</span>'
    return f"x = {' + '.join([*terms, *more, rest])}"


def factor(
    number: int,
    *,
    name: str,
    level: str,
    reason: str,
    importance: Mapping[int, float],
    layer: int,
    bands: Mapping[str, Sequence[tuple[float, str, str, str, str]]],
    largest: float,
) -> Panel:
    """Shows a factor: its curve, and contexts from several bands of α at a layer.

    Args:
      number: index of the factor.
      name: its label or words; any text.
      level: name of its level.
      reason: the evidence for the level.
      importance: importance score by layer.
      layer: layer of the contexts.
      bands: by heading, (α, text before, word, text after, document) of each context.
      largest: α that has the full colour.
    """
    parts = []
    for heading, contexts in bands.items():
        rows = "".join(_context(context, largest) for context in contexts)
        none = f'<p style="{FAINT}">None is stored.</p>'
        parts.append(
            f"<p><b>{html.escape(heading)}</b></p>"
            + (f"<table>{rows}</table>" if rows else none)
        )
    return Panel(
        f"<div><b>Φ{number}</b> {escaped(name)}<br>{html.escape(level)}: "
        f"{html.escape(reason)}{curve(importance, factor=number)}"
        f"<p>Contexts at layer {layer} · {_ramp()} of the largest α, {largest:.3g}</p>"
        f"{''.join(parts)}</div>",
        f"Φ{number} {name}, {level}",
    )


def _context(context: tuple[float, str, str, str, str], largest: float) -> str:
    alpha, before, word, after, document = context
    share = alpha / largest if largest > 0 else 0.0
    return (
        f'<tr><td style="{CELL};{FAINT}">{alpha:.3g}</td>'
        f'<td style="{_LINE};text-align:right" dir="auto">{escaped(before)}</td>'
        f'<td style="text-align:center"><span style="{_MARK};background:'
        f'{_glow(share)}">{escaped(word)}</span></td>'
        f'<td style="{_LINE};text-align:left" dir="auto">{escaped(after)}</td>'
        f'<td style="{CELL};{FAINT}">{escaped(document)}</td></tr>'
    )


def _glow(share: float) -> str:
    return f"rgba({_GLOW},{_STRONGEST * min(1.0, max(0.05, share)):.2f})"


def _ramp() -> str:
    steps = "".join(
        f'<span style="background:{_glow(step / 4)}">&nbsp;&nbsp;</span>'
        for step in range(5)
    )
    return f"0 {steps} 1"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2g}&nbsp;%"

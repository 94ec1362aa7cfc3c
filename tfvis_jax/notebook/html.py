"""Render runs, factors and sentences as HTML for notebooks."""

import html
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tfvis_jax.markup import CELL, FAINT, curve, escaped


def run(
    path: str,
    *,
    model: str,
    n_factors: int,
    layers: Sequence[int],
    l1_penalty: float | None,
) -> str:
    """Renders a run: its size, and the calls to explore it.

    Args:
      path: path of the run.
      model: folder or hub name of the BERT.
      n_factors: number of factors in the dictionary.
      layers: layers of the dictionary.
      l1_penalty: λ; None where an imported encoder finds the codes.
    """
    codes = "imported encoder" if l1_penalty is None else f"λ = {l1_penalty:.4g}"
    return (
        f"<div><b>{escaped(path)}</b><br>{n_factors:,} factors for layers "
        f"{', '.join(map(str, layers))} of {escaped(model)}, {codes}<br>"
        f'<span style="{FAINT}"><code>.factor(0)</code> … '
        f"<code>.factor({n_factors - 1})</code>, <code>.encode(text)</code>, "
        "<code>.explain(text, factor=…, layer=…)</code></span></div>"
    )


def factor(
    number: int,
    *,
    level: str,
    reason: str,
    importance: Mapping[int, float],
    examples: str,
    is_dead: bool,
    label: str = "",
    words: Sequence[str] = (),
) -> str:
    """Renders a factor: its words, its level, its importance by layer, its examples.

    Args:
      number: index of the factor.
      level: one of `levels.LEVELS`.
      reason: the evidence for the level.
      importance: importance score by layer.
      examples: HTML from `markup.examples`.
      is_dead: If True, say that the factor never fires, and nothing else.
      label: user-supplied label; "" for none.
      words: words that fire it.
    """
    head = f"<b>Φ{number}</b>"
    if label:
        head += f" <b>{escaped(label)}</b>"
    if is_dead:
        return f"<div>{head} is dead: it never fires in the corpus.</div>"
    said = f"<br>{escaped(', '.join(words))}" if words else ""
    return (
        f"<div>{head} {html.escape(level)}: {html.escape(reason)}{said}"
        f"{curve(importance, factor=number)}{examples}</div>"
    )


def sentence(
    tokens: Sequence[str],
    *,
    strongest: Mapping[int, Sequence[Sequence[tuple[int, float]]]],
    n_tokens: int,
    notice: str = "",
    names: Mapping[int, str] = MappingProxyType({}),
) -> str:
    """Renders a sentence: one row per token, one column per layer.

    Args:
      tokens: texts of the tokens that are shown.
      strongest: by layer, for each token, its (factor, α) pairs, largest α first.
      n_tokens: number of tokens in the whole sentence.
      notice: what the reader must know of the tokens; "" for nothing.
      names: label or words of factors; the number alone stands for the others.
    """
    head = "".join(f'<th style="{CELL}">layer {layer}</th>' for layer in strongest)
    rows = []
    for place, token in enumerate(tokens):
        cells = "".join(
            f'<td style="{CELL}">'
            + "<br>".join(
                " ".join(filter(None, [f"Φ{f}", escaped(names.get(f, ""))]))
                + f' <span style="{FAINT}">{alpha:.3f}</span>'
                for f, alpha in layer[place]
            )
            + "</td>"
            for layer in strongest.values()
        )
        rows.append(f'<tr><td style="{CELL}"><b>{escaped(token)}</b></td>{cells}</tr>')
    # Long texts are cut, since a notebook slows down with thousands of cells.
    rest = n_tokens - len(tokens)
    more = f"<p>… and {rest} more tokens</p>" if rest else ""
    return (
        "<p>The strongest factors of each token, with their α</p>"
        f'<table><tr><th style="{CELL}">token</th>{head}</tr>{"".join(rows)}</table>'
        f"{more}" + (f"<p>{escaped(notice)}</p>" if notice else "")
    )


def table(caption: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Renders a table.

    Args:
      caption: stands above it.
      heads: of the columns.
      lines: cells as text.
    """

    def row(tag: str, cells: Sequence[str]) -> str:
        return (
            "<tr>"
            + "".join(f'<{tag} style="{CELL}">{escaped(c)}</{tag}>' for c in cells)
            + "</tr>"
        )

    body = "".join(row("td", cells) for cells in lines)
    return f"<p>{escaped(caption)}</p><table>{row('th', heads)}{body}</table>"

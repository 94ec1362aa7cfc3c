"""Divides wiki markup into small blocks that are parsed one by one.

A parser of wiki markup tries again wherever a bracket is not closed, which takes
quadratic time and more. So what is never closed is taken out first, in one pass, and
what is left is cut at every line end outside brackets. All of this is linear.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tfvis_jax.data import wiki_marks

# fmt: off
# Tags whose content is no wiki markup.
_OPAQUE = frozenset({
    "ce", "chem", "graph", "hiero", "math", "nowiki", "pre", "score", "source",
    "syntaxhighlight", "timeline",
})
_NEVER_CLOSED = frozenset({"br", "hr", "wbr"})
# fmt: on

# What is dropped whole: where it begins, and by its kind where it ends.
_DROPPED = re.compile(
    r"(?P<comment><!--)|__[A-Z]+__|<ref[^<>]*/>|<(?P<tag>ref|timeline)\b[^<>/]*>"
    r"|(?P<table>^[^\S\n]*\{\|)",
    re.MULTILINE,
)
_ENDS = {
    "comment": re.compile(r"-->"),
    "ref": re.compile(r"</ref\s*>"),
    "timeline": re.compile(r"</timeline\s*>"),
    "table": re.compile(r"^[^\S\n]*\|\}", re.MULTILINE),
}
# Stands among the kinds for tables in tables.
_NESTED = "nested"
_TABLE_MARK = re.compile(r"^[^\S\n]*(\{\||\|\})", re.MULTILINE)
_BRACKETS = re.compile(
    r"\{\{+|\}\}+|\[\[|\]\]|<(?P<close>/?)(?P<name>[a-zA-Z][\w-]*)"
    r"(?P<rest>(?:[\s/][^<>]*)?)>|<(?=[a-zA-Z!/])"
)
_PLAIN = re.compile(r"\{\{|\}\}|\[\[|\]\]|</?[a-zA-Z][^<>]*>")
_NO_TEXT = re.compile(r"\s*(?:file|image|category|media)\s*:", re.IGNORECASE)
_OPENING = frozenset({"{{", "[["})
# Deeper links than these are no prose.
_MAX_LINKS = 10
_OPENERS = {"}}": "{{", "]]": "[["}


class Block(NamedTuple):
    """Markup with balanced brackets, and how deep they are nested."""

    markup: str
    depth: int


def drop_unread(markup: str) -> str:
    """Drops comments, magic words, references and tables, of which nothing is kept."""
    kept, position, unclosed = [], 0, set()
    while match := _DROPPED.search(markup, position):
        kind = match["tag"] or match.lastgroup
        end: int | None = match.end()
        if kind is not None:
            # One search that fails tells that all later ones would, or would take long.
            end = None
            if kind == "table" and _NESTED not in unclosed:
                end = _table_end(markup, match.end())
                unclosed |= set() if end else {_NESTED}
            if end is None and kind not in unclosed:
                found = _ENDS[kind].search(markup, match.end())
                end = found.end() if found else None
                unclosed |= set() if end else {kind}
        if end is None:
            kept.append(markup[position : match.end()])
            position = match.end()
        else:
            kept.append(markup[position : match.start()])
            # A sentence that ends in a colon before a table announces it.
            kept.append(f"{wiki_marks.LIST_ITEM}\n" if kind == "table" else "")
            position = end
    kept.append(markup[position:])
    return "".join(kept)


def _table_end(markup: str, start: int) -> int | None:
    """Returns where a table ends that may hold tables, if all of them are closed."""
    depth = 1
    for mark in _TABLE_MARK.finditer(markup, start):
        depth += 1 if mark[1] == "{|" else -1
        if depth == 0:
            return mark.end()
    return None


def split(markup: str) -> Iterator[Block]:
    """Yields blocks that together are the markup, without brackets that stay open.

    A "{{" that is never closed becomes a gap.

    Args:
      markup: the markup, after `drop_unread`.
    """
    pairs, replaced = _match_brackets(markup)
    # Pieces of the block, from `start` on; `end` is that of the outermost bracket.
    edits = iter(sorted(replaced))
    edit = next(edits, None)
    pairs.sort()
    start, number = 0, 0
    for line_end in _line_ends(markup):
        if line_end <= start:
            continue
        depth, end = 0, line_end
        open_ends: list[int] = []
        while number < len(pairs) and pairs[number][0] < end:
            while open_ends and open_ends[-1] <= pairs[number][0]:
                open_ends.pop()
            open_ends.append(pairs[number][1])
            depth = max(depth, len(open_ends))
            if pairs[number][1] > end:
                # The block goes on to the end of the line where the bracket closes.
                newline = markup.find("\n", pairs[number][1])
                end = len(markup) if newline < 0 else newline + 1
            number += 1
        pieces, position = [], start
        while edit is not None and edit[0] < end:
            pieces += [markup[position : edit[0]], edit[2]]
            position = edit[1]
            edit = next(edits, None)
        pieces.append(markup[position:end])
        yield Block("".join(pieces), depth)
        start = end


def plain_text(block: Block) -> str:
    """Returns the text of a block without parsing it, in one pass.

    Templates become gaps, links their text; files, categories and tags are dropped.
    """
    # The text of each open bracket, from the outermost.
    frames: list[list[str]] = [[]]
    position = 0
    for match in _PLAIN.finditer(block.markup):
        frames[-1].append(block.markup[position : match.start()])
        position, mark = match.end(), match.group()
        if mark in {"{{", "[["}:
            frames.append([mark])
        elif mark in {"}}", "]]"} and frames[-1][:1] == [_OPENERS[mark]]:
            frame = frames.pop()
            text = "".join(frame[1:])
            if mark == "}}":
                frames[-1].append(wiki_marks.GAP)
            # A link in a link, as in the caption of a file, is not copied again.
            elif not _NO_TEXT.match(text) and len(frames) < _MAX_LINKS:
                frames[-1].append(text.rpartition("|")[2])
    frames[-1].append(block.markup[position:])
    return "".join(part for frame in frames for part in frame if part not in _OPENING)


def _instead_of(bracket: str) -> str:
    """Returns what replaces a bracket that is never closed."""
    return wiki_marks.GAP if bracket == "{{" else ""


def _line_ends(markup: str) -> Iterator[int]:
    position = 0
    while (position := markup.find("\n", position) + 1) > 0:
        yield position
    yield len(markup)


def _match_brackets(
    markup: str,
) -> tuple[list[tuple[int, int]], list[tuple[int, int, str]]]:
    """Returns (start, end) of matched brackets; (start, end, new text) of others."""
    pairs, replaced = [], []
    stack: list[tuple[str, int, int]] = []
    num_open: dict[str, int] = {}
    unclosed: set[str] = set()

    def close(kind: str, end: int) -> bool:
        if not num_open.get(kind):
            return False
        while stack:
            found, first, last = stack.pop()
            num_open[found] -= 1
            if found == kind:
                pairs.append((first, end))
                break
            replaced.append((first, last, _instead_of(found)))
        return True

    position = 0
    while match := _BRACKETS.search(markup, position):
        position, text, name = match.end(), match.group(), match["name"]
        if name is not None:
            name = name.lower()
            if name in _NEVER_CLOSED or match["rest"].endswith("/"):
                continue
            if match["close"]:
                if not close(name, position):
                    replaced.append((match.start(), position, ""))
            elif name in _OPAQUE:
                end = None
                if name not in unclosed:
                    end = re.compile(rf"(?i)</{name}\s*>").search(markup, position)
                if end is None:
                    unclosed.add(name)
                    replaced.append((match.start(), position, ""))
                else:
                    position = end.end()
                    pairs.append((match.start(), position))
            else:
                stack.append((name, match.start(), position))
                num_open[name] = num_open.get(name, 0) + 1
        elif text == "<":
            replaced.append((match.start(), position, wiki_marks.LESS_THAN))
        elif text[0] in "{[":
            # Of an odd number of braces the first stays text.
            for first in range(position - len(text) // 2 * 2, position, 2):
                stack.append((text[:2], first, first + 2))
                num_open[text[:2]] = num_open.get(text[:2], 0) + 1
        else:
            for number in range(len(text) // 2):
                close(_OPENERS[text[:2]], match.start() + 2 * number + 2)
    for found, first, last in stack:
        replaced.append((first, last, _instead_of(found)))
    return pairs, replaced

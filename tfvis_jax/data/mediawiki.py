"""Turns the markup of a wiki page into readable prose.

Only running prose is kept. Tables, references, galleries, formulas that cannot be
written as text, headings, lists of names and the closing sections of an article (See
also, References, External links, ...) hold no sentences and are dropped.
"""

import re
from typing import NamedTuple

import mwparserfromhell

from tfvis_jax.data import wiki_blocks, wiki_marks, wiki_markup, wiki_prose

# The time to parse a block grows with its length times the number of its marks, about
# 4 ns for each unit. What exceeds these limits is cleaned without parsing. They count
# work and not seconds, so that a text is the same on every machine.
_MAX_BLOCK_WORK = 200_000_000
_MAX_WORK = 500_000_000
# Beginning to parse takes as long as so much work.
_BLOCK_WORK = 10_000
# The parser's own limit is 100.
_MAX_DEPTH = 40

# The characters that mark headings, items and gaps while text is cleaned.
_MARKS = re.compile(r"[\x00-\x08]")
# What may begin markup; text without any of these is what it says.
_SPECIAL = re.compile(r"[\[\]{}<>&'*#:;=|_-]")
_HEADING_LINE = re.compile(r"^(={1,6})([^=\n]+)=+[^\S\n]*$", re.MULTILINE)
# Chinese, Serbian and others write a word for each of their scripts.
_VARIANTS = re.compile(r"-\{([^{}]*)\}-")
_ITEM_LINE = re.compile(r"^[*#:;]+", re.MULTILINE)


class Prose(NamedTuple):
    """The prose of an article, and if any of it took too long to be parsed."""

    text: str
    is_simplified: bool


def strip_markup(markup: str) -> str:
    """Returns the prose of an article, one paragraph per line, without headings."""
    return prose(markup).text


def prose(markup: str) -> Prose:
    """Returns the prose of an article, one paragraph per line, without headings.

    The time is linear in the length of the markup. Blocks of it that the parser would
    need too long for are cleaned in a simpler way: their templates are all dropped.
    """
    markup = _VARIANTS.sub(_first_variant, _MARKS.sub("", markup))
    rendered, is_simplified = _render(wiki_blocks.drop_unread(markup))
    text = wiki_prose.readable(rendered).replace(wiki_marks.LESS_THAN, "<")
    return Prose(text, is_simplified)


def _first_variant(match: re.Match[str]) -> str:
    """Returns what is read in the first script; "" for rules that print nothing."""
    flags, bar, text = match[1].rpartition("|")
    if bar and not re.fullmatch(r"[\sA-Za-z;-]*", flags):
        # The bar belongs to a link.
        flags, text = "", match[1]
    if {flag.strip() for flag in flags.split(";")} & {"H", "T", "-"}:
        return ""
    variants = re.findall(r"(?:^|;)\s*[a-z]{2,3}(?:-[a-z]+)?\s*:([^;]*)", text)
    return next((v.strip() for v in variants if v.strip()), "" if variants else text)


def _render(markup: str) -> tuple[str, bool]:
    rendered, total, is_simplified = [], 0, False
    for block in wiki_blocks.split(markup):
        num_marks = len(_SPECIAL.findall(block.markup))
        if not num_marks:
            rendered.append(block.markup)
            continue
        work = len(block.markup) * num_marks + _BLOCK_WORK
        total += work
        if max(work / _MAX_BLOCK_WORK, total / _MAX_WORK, block.depth / _MAX_DEPTH) > 1:
            is_simplified = True
            text = wiki_blocks.plain_text(block)
            text = _HEADING_LINE.sub(_mark_heading, text)
            rendered.append(_ITEM_LINE.sub(wiki_marks.LIST_ITEM, text))
        else:
            rendered.append(wiki_markup.render(mwparserfromhell.parse(block.markup)))
    return "".join(rendered), is_simplified


def _mark_heading(match: re.Match[str]) -> str:
    title = match[2].strip().lower()
    return f"\n{wiki_marks.HEADING}{len(match[1])}{title}\n"

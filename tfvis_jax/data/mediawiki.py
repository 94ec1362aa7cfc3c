"""Turns the markup of a wiki page into readable prose.

Only running prose is kept. Tables, references, galleries, formulas that cannot be
written as text, headings, lists of names and the closing sections of an article (See
also, References, External links, ...) hold no sentences and are dropped.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import mwparserfromhell

from tfvis_jax.data import wiki_blocks, wiki_markup

# fmt: off
_TAIL_SECTIONS = frozenset({
    "footnotes", "bibliography", "citations", "cited references",
    "external link", "external links", "further reading", "gallery",
    "literature", "note", "notes", "notes and references", "reference",
    "references", "references and notes", "see also",
    "selected bibliography", "sources", "works cited",
})
# fmt: on


# The time to parse a block grows with its length times the number of its marks, about
# 4 ns for each unit. What exceeds these limits is cleaned without parsing. They count
# work and not seconds, so that a text is the same on every machine.
_MAX_BLOCK_WORK = 200_000_000
_MAX_WORK = 500_000_000
# Beginning to parse takes as long as so much work.
_BLOCK_WORK = 10_000
# The parser's own limit is 100.
_MAX_DEPTH = 40


_G = wiki_markup.GAP


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
    text, is_simplified = _render(wiki_blocks.drop_unread(_without_marks(markup)))
    lines = [_tidy(line) for line in _join_paragraphs(_drop_tail(text).split("\n"))]
    text = "\n".join(_prose(lines)).replace(wiki_blocks.LESS_THAN, "<")
    return Prose(text, is_simplified)


def _without_marks(markup: str) -> str:
    """Drops the characters that mark headings, items and gaps while text is cleaned."""
    return _MARKS.sub("", markup)


_MARKS = re.compile(r"[\x00-\x08]")


def _render(markup: str) -> tuple[str, bool]:
    rendered, total, is_simplified = [], 0, False
    for block in wiki_blocks.split(markup, gap=wiki_markup.GAP):
        num_marks = len(_SPECIAL.findall(block.markup))
        if not num_marks:
            rendered.append(block.markup)
            continue
        work = len(block.markup) * num_marks + _BLOCK_WORK
        total += work
        if max(work / _MAX_BLOCK_WORK, total / _MAX_WORK, block.depth / _MAX_DEPTH) > 1:
            is_simplified = True
            text = wiki_blocks.plain_text(block, gap=wiki_markup.GAP)
            text = _HEADING_LINE.sub(_mark_heading, text)
            rendered.append(_ITEM_LINE.sub(wiki_markup.LIST_ITEM, text))
        else:
            rendered.append(wiki_markup.render(mwparserfromhell.parse(block.markup)))
    return "".join(rendered), is_simplified


_HEADING_LINE = re.compile(r"^(={1,6})([^=\n]+)=+[^\S\n]*$", re.MULTILINE)
_ITEM_LINE = re.compile(r"^[*#:;]+", re.MULTILINE)


def _mark_heading(match: re.Match[str]) -> str:
    title = match[2].strip().lower()
    return f"\n{wiki_markup.HEADING}{len(match[1])}{title}\n"


# What may begin markup; text without any of these is what it says.
_SPECIAL = re.compile(r"[\[\]{}<>&'*#:;=|_-]")


def _drop_tail(text: str) -> str:
    """Drops headings, and the sections in `_TAIL_SECTIONS` with their subsections."""
    kept, dropped_level = [], 0
    for line in _drop_lists_at_end(text.split("\n")):
        if line.startswith(wiki_markup.HEADING):
            level, title = _heading(line)
            if not dropped_level or level <= dropped_level:
                dropped_level = level if title in _TAIL_SECTIONS else 0
            kept.append("")
        elif not dropped_level:
            kept.append(line)
    return "\n".join(kept)


def _drop_lists_at_end(lines: list[str]) -> list[str]:
    """Drops the closing sections of an article whose titles are in another language.

    They are the last ones of the highest level that hold lists alone, if one of them is
    empty: where references are printed.
    """
    mark = wiki_markup.HEADING
    headings = [number for number, line in enumerate(lines) if line.startswith(mark)]
    levels_and_titles = [_heading(lines[number]) for number in headings]
    if not headings or any(title in _TAIL_SECTIONS for _, title in levels_and_titles):
        return lines
    top = min(level for level, _ in levels_and_titles)
    end, any_empty = len(lines), False
    for start, (level, _) in zip(
        reversed(headings), reversed(levels_and_titles), strict=True
    ):
        if level != top:
            continue
        body = [line for line in lines[start:end] if not line.startswith(mark)]
        if any(_is_paragraph(line) for line in body):
            break
        any_empty |= not any(re.search(r"\w", line) for line in body)
        end = start
    return lines[:end] if any_empty else lines


def _heading(line: str) -> tuple[int, str]:
    return int(line[1]), line[2:].strip(" :.")


def _is_paragraph(line: str) -> bool:
    is_item = line.lstrip().startswith(wiki_markup.LIST_ITEM)
    return not is_item and len(line.split()) >= 8


def _join_paragraphs(lines: list[str]) -> Iterator[str]:
    """Joins the lines of each paragraph; a blank line or a list item ends one."""
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if paragraph and (
            not line.strip() or line.lstrip().startswith(wiki_markup.LIST_ITEM)
        ):
            yield " ".join(paragraph)
            paragraph = []
        if not line.strip():
            yield ""
        elif line.lstrip().startswith(wiki_markup.LIST_ITEM):
            yield line.lstrip()
        elif _REMNANT.search(line):
            yield line
        else:
            paragraph.append(line)


# What a template that was dropped leaves behind, where no sentence misses it.
_GAPS = [
    # A line of gaps alone, or a note at the end of a word or sentence.
    (re.compile(rf"^[\s{_G}]+$"), ""),
    (re.compile(rf"(?<=[^\W\d])(?<!\s){_G}+(?=[\s.,;:!?]|$)"), ""),
    (re.compile(rf"(?:(?<=[.!?])\s|(?<=[.!?,;:\"”])){_G}+(?=\s|$)"), ""),
    (re.compile(rf"^[\s{_G}]+(?=[^\W\d_a-z])"), ""),
    # In brackets: alone, or between punctuation marks. Else the bracket goes whole.
    (re.compile(rf"(?<=[(\[,;])[\s{_G}]+(?=[,;)\]])"), ""),
    (re.compile(rf" ?\([^()\n{_G}]*{_G}[^()\n]*\)"), ""),
]

# Applied in this order to what rendering leaves behind.
_TIDY = [
    *_GAPS,
    (re.compile(r"'{2,}"), ""),
    (re.compile(r"(?:&nbsp;|[\xa0\u2009\u202f\u200a\t])+"), " "),
    (re.compile(r"[\u200b\u200e\u200f\ufeff]"), ""),
    (re.compile(r"</?[a-zA-Z][^<>]{0,200}>"), ""),
    (re.compile(r"\[\[|\]\]|\{\{|\}\}"), ""),
    (re.compile(r"https?://\S+"), ""),
    # Brackets that held a template: "Albedo () or", "Algeria (; , ) is", "(: born".
    (re.compile(r"([(\[])[\s,;:/]+"), r"\1"),
    # Runs are matched from their beginning only, which keeps the time linear.
    (re.compile(r"(?<![\s,;:/])[\s,;:/]+([)\]])"), r"\1"),
    (
        re.compile(
            r" ?\((?:\s|or|and|in|from|also|see|e\.g\.|i\.e\.|pronounced|IPA)*\)"
        ),
        "",
    ),
    (re.compile(r" ?\[\]"), ""),
    (re.compile(r"([,;])(?:\s*[,;])+"), r"\1"),
    (re.compile(r'(?<!\S)(""|“”|\'\')(?!\S)'), ""),
    (re.compile(r"(?<! ) +([,.;:!?)\]])(?=\s|$|[,.;:!?)\]\"”])"), r"\1"),
    (re.compile(r"^[\s.,;:)\]]+(?=\s)"), ""),
    (re.compile(r" {2,}"), " "),
]


def _tidy(line: str) -> str:
    if not line or line.isspace():
        return ""
    for pattern, replacement in _TIDY:
        line = pattern.sub(replacement, line)
    return line.strip()


# Lines of markup that the parser did not understand.
_REMNANT = re.compile(
    r"(?i)^(?:category|image|file|media|template|wikipedia|[a-z-]{2,12}):\S"
    r"|\b(?:thumb|thumbnail|upright|\d+px)\||^[|!{}]|\|\s*$|^#redirect|^see also\b"
)


def _prose(lines: list[str]) -> Iterator[str]:
    """Yields the lines that read as sentences."""
    # Whether a list, or nothing, follows each line.
    before_list, follows = [], True
    for line in reversed(lines):
        before_list.append(follows)
        if line:
            follows = line.startswith(wiki_markup.LIST_ITEM)
    for line, list_follows in zip(lines, reversed(before_list), strict=True):
        if not line:
            continue
        text = line.lstrip(wiki_markup.LIST_ITEM).strip()
        if not re.search(r"\w", text) or _REMNANT.search(text):
            continue
        if wiki_markup.GAP in text:
            text = _without_broken_sentences(text)
            if not text:
                continue
        is_item = line.startswith(wiki_markup.LIST_ITEM)
        # Short lines without a final mark are mostly captions and names.
        ends_well = re.search(r"[.!?…][\"”'’)\]]*$", text) is not None
        words = len(text.split())
        if is_item and not (words >= 8 and ends_well):
            continue
        if not is_item and not ends_well and words < 12:
            continue
        if text.endswith(":") and list_follows:
            continue
        yield re.sub(f" *{wiki_markup.LIST_ITEM} *", " ", text)


def _without_broken_sentences(text: str) -> str:
    """Drops the sentences that lost a formula or words of a template."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z\"“(])", text)
    return " ".join(s for s in sentences if wiki_markup.GAP not in s)

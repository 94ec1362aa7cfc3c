"""Chooses what reads as prose in the rendered text of a wiki page.

The text has the marks of `wiki_marks`. Sections, paragraphs and sentences that are no
prose, or that lost words, are dropped.
"""

import re
from collections.abc import Iterator

from tfvis_jax.data import wiki_marks, wiki_sentences, wiki_tidying

_HEADING, _ITEM, _GAP = wiki_marks.HEADING, wiki_marks.LIST_ITEM, wiki_marks.GAP
# fmt: off
_TAIL_SECTIONS = frozenset({
    "footnotes", "bibliography", "citations", "cited references",
    "external link", "external links", "further reading", "gallery",
    "literature", "note", "notes", "notes and references", "reference",
    "references", "references and notes", "see also",
    "selected bibliography", "sources", "works cited",
})
# fmt: on
# Lines of markup that the parser did not understand.
_REMNANT = re.compile(
    r"(?i)^(?:category|image|file|media|template|wikipedia|[a-z-]{2,12}):\S"
    r"|\b(?:thumb|thumbnail|upright|\d+px)\||^[|!{}]|\|\s*$|^#redirect|^see also\b"
)
_ENDS_WELL = re.compile(rf"[{wiki_sentences.STOPS}][\"”’'»)\]」』）]*$")
# Scripts without spaces between words, which have some two letters each.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


def readable(text: str) -> str:
    """Returns the prose of a rendered page, one paragraph per line."""
    lines = _join_paragraphs(_drop_tail(text.split("\n")))
    return "\n".join(_prose([wiki_tidying.tidy(line) for line in lines]))


def _drop_tail(lines: list[str]) -> Iterator[str]:
    """Drops the sections in `_TAIL_SECTIONS` with their subsections."""
    dropped_level = 0
    for line in _drop_lists_at_end(lines):
        if line.startswith(_HEADING):
            level, title = _heading(line)
            if not dropped_level or level <= dropped_level:
                dropped_level = level if title in _TAIL_SECTIONS else 0
            yield _HEADING
        elif not dropped_level:
            yield line


def _drop_lists_at_end(lines: list[str]) -> list[str]:
    """Drops the closing sections of an article whose titles are in another language.

    They are the last ones of the highest level that hold lists alone, if one of them is
    empty: where references are printed.
    """
    headings = [n for n, line in enumerate(lines) if line.startswith(_HEADING)]
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
        body = [line for line in lines[start:end] if not line.startswith(_HEADING)]
        if any(_num_words(line) >= 8 and not _is_item(line) for line in body):
            break
        any_empty |= not any(re.search(r"\w", line) for line in body)
        end = start
    return lines[:end] if any_empty else lines


def _heading(line: str) -> tuple[int, str]:
    return int(line[1]), line[2:].strip(" :.")


def _is_item(line: str) -> bool:
    return line.lstrip().startswith(_ITEM)


def _num_words(text: str) -> int:
    return len(text.split()) + len(_UNSPACED.findall(text)) // 2


def _join_paragraphs(lines: Iterator[str]) -> Iterator[str]:
    """Joins the lines of each paragraph; a blank line or a list item ends one."""
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if line.strip() and not line.strip(f" {_GAP}"):
            # A template or formula alone on its line parts what is around it.
            line = _ITEM
        ends = not line.strip() or line == _HEADING or _is_item(line)
        if paragraph and ends:
            yield " ".join(paragraph)
            paragraph = []
        if ends:
            yield line.lstrip() if line.strip() else ""
        elif _REMNANT.search(line):
            yield line
        else:
            paragraph.append(line)


def _prose(lines: list[str]) -> Iterator[str]:
    """Yields the lines that read as sentences."""
    # What follows each line that is not blank: "" is the end.
    following, after = [], ""
    for line in reversed(lines):
        following.append(after)
        after = line or after
    before = ""
    for line, after in zip(lines, reversed(following), strict=True):
        if not line:
            continue
        is_first, before = not _is_item(before), line
        text = line.lstrip(_ITEM).strip()
        if not re.search(r"\w", text) or _REMNANT.search(text):
            continue
        # A sentence that goes on in a list or formula, or began before it, is no whole.
        sentences = list(wiki_sentences.split(text))
        if not _is_item(line):
            if not is_first and sentences[0][0].islower():
                del sentences[0]
            ends = not after or after[0] in _ITEM + _HEADING
            goes_on = _is_item(after) and not _ENDS_WELL.search(text)
            if sentences and (goes_on or (ends and text.endswith((":", "：")))):
                del sentences[-1]
        text = "".join(s for s in sentences if _GAP not in s).strip()
        if not text or not _reads_as_prose(text, is_item=_is_item(line)):
            continue
        yield re.sub(f" *{_ITEM} *", " ", text)


def _reads_as_prose(text: str, *, is_item: bool) -> bool:
    # Short lines without a final mark are mostly captions and names.
    ends_well, words = _ENDS_WELL.search(text) is not None, _num_words(text)
    return (words >= 8 and ends_well) if is_item else (ends_well or words >= 12)

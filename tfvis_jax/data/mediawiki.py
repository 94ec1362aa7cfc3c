"""Reads MediaWiki dumps: articles from the XML, readable prose from their markup.

Only running prose is kept. Tables, references, galleries, formulas that cannot be
written as text, headings, lists of names and the closing sections of an article (See
also, References, External links, ...) hold no sentences and are dropped.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Protocol

import mwparserfromhell

from tfvis_jax.data import wiki_markup
from tfvis_jax.errors import InputError

# fmt: off
_TAIL_SECTIONS = frozenset({
    "footnotes", "bibliography", "citations", "cited references",
    "external link", "external links", "further reading", "gallery",
    "literature", "note", "notes", "notes and references", "reference",
    "references", "references and notes", "see also",
    "selected bibliography", "sources", "works cited",
})
# fmt: on


class _Readable(Protocol):
    """All that the XML parser asks of a stream."""

    def read(self, size: int = ..., /) -> bytes: ...


def pages(stream: _Readable, *, name: str) -> Iterator[tuple[str, str]]:
    """Yields (title, markup) of every article of a dump, keeping one in memory.

    An article is a page of namespace 0 that is not a redirect.

    Args:
      stream: the uncompressed XML.
      name: the file's name, for error messages.

    Raises:
      InputError: the XML is damaged, or is not a MediaWiki export.
    """
    events = ElementTree.iterparse(stream, events=("start", "end"))
    root = None
    try:
        for event, element in events:
            tag = element.tag.rpartition("}")[2]
            if root is None:
                root = element
                if tag != "mediawiki":
                    raise InputError(
                        f"{name}: Expected a MediaWiki export (root element "
                        f"<mediawiki>), got <{tag}>; convert other XML to text or JSON "
                        "lines first."
                    )
            if event == "end" and tag == "page":
                if element.findtext("{*}ns") == "0" and (
                    element.find("{*}redirect") is None
                ):
                    title = element.findtext("{*}title") or "untitled"
                    yield title, element.findtext("{*}revision/{*}text") or ""
                # The root would otherwise keep every page that was read.
                root.clear()
    except ElementTree.ParseError as error:
        raise InputError(
            f"{name}: The XML is damaged ({error}); download it again."
        ) from error


def strip_markup(markup: str) -> str:
    """Returns the prose of an article, one paragraph per line, without headings."""
    code = mwparserfromhell.parse(_BEFORE_PARSING.sub("", markup))
    text = _drop_tail_sections(wiki_markup.render(code))
    lines = [_tidy(line) for line in _join_paragraphs(text.split("\n"))]
    return "\n".join(_prose(lines))


# Comments, magic words, references and tables, of which nothing is kept.
_BEFORE_PARSING = re.compile(
    r"<!--.*?-->|__[A-Z]+__|<ref[^<>]*/>|<(ref|timeline)\b[^<>/]*>"
    r".*?</\1\s*>|^\s*\{\|.*?^\s*\|\}",
    re.DOTALL | re.MULTILINE,
)


def _drop_tail_sections(text: str) -> str:
    """Drops headings, and the sections in `_TAIL_SECTIONS` with their subsections."""
    kept, dropped_level = [], 0
    for line in text.split("\n"):
        if line.startswith(wiki_markup.HEADING):
            level, title = int(line[1]), line[2:].strip(" :.")
            if not dropped_level or level <= dropped_level:
                dropped_level = level if title in _TAIL_SECTIONS else 0
            kept.append("")
        elif not dropped_level:
            kept.append(line)
    return "\n".join(kept)


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


# Applied in this order to what rendering leaves behind.
_TIDY = [
    (re.compile(r"'{2,}"), ""),
    (re.compile(r"(?:&nbsp;|[\xa0\u2009\u202f\u200a\t])+"), " "),
    (re.compile(r"[\u200b\u200e\u200f\ufeff]"), ""),
    (re.compile(r"</?[a-zA-Z][^<>]{0,200}>"), ""),
    (re.compile(r"\[\[|\]\]|\{\{|\}\}"), ""),
    (re.compile(r"https?://\S+"), ""),
    # Brackets that held a template: "Albedo () or", "Algeria (; , ) is", "(: born".
    (re.compile(r"([(\[])[\s,;:/]+"), r"\1"),
    (re.compile(r"[\s,;:/]+([)\]])"), r"\1"),
    (
        re.compile(
            r" ?\((?:\s|or|and|in|from|also|see|e\.g\.|i\.e\.|pronounced|IPA)*\)"
        ),
        "",
    ),
    (re.compile(r" ?\[\]"), ""),
    (re.compile(r"([,;])(?:\s*[,;])+"), r"\1"),
    (re.compile(r'(?<!\S)(""|“”|\'\')(?!\S)'), ""),
    (re.compile(r" +([,.;:!?)\]])(?=\s|$|[,.;:!?)\]\"”])"), r"\1"),
    (re.compile(r"^[\s.,;:)\]]+(?=\s)"), ""),
    (re.compile(r" {2,}"), " "),
]


def _tidy(line: str) -> str:
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
    for position, line in enumerate(lines):
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
        if text.endswith(":") and _list_follows(lines, position):
            continue
        yield re.sub(f" *{wiki_markup.LIST_ITEM} *", " ", text)


def _list_follows(lines: list[str], position: int) -> bool:
    following = next((line for line in lines[position + 1 :] if line), "")
    return not following or following.startswith(wiki_markup.LIST_ITEM)


def _without_broken_sentences(text: str) -> str:
    """Drops the sentences that lost a formula."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z\"“(])", text)
    return " ".join(s for s in sentences if wiki_markup.GAP not in s)

"""MediaWiki dumps: articles out of the XML, readable prose out of the markup.

Only running prose is kept. Tables, references, galleries, formulas that cannot be
written as text, headings, lists of names and the apparatus at the end of an article
(See also, References, External links, ...) carry no sentences and are left out.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import IO

import mwparserfromhell
from mwparserfromhell import nodes

from tfvis_jax import errors

_TAIL_SECTIONS = frozenset(
    {
        "see also",
        "references",
        "reference",
        "external links",
        "external link",
        "notes",
        "note",
        "notes and references",
        "references and notes",
        "footnotes",
        "further reading",
        "bibliography",
        "selected bibliography",
        "sources",
        "citations",
        "works cited",
        "cited references",
        "literature",
        "gallery",
    }
)
_DROPPED_TAGS = frozenset(
    {
        "ref",
        "references",
        "table",
        "gallery",
        "timeline",
        "imagemap",
        "source",
        "syntaxhighlight",
        "pre",
        "score",
        "hiero",
        "graph",
        "section",
        "templatestyles",
        "inputbox",
        "noinclude",
    }
)
# Templates that stand for words of the sentence, by the argument that holds them.
_TEXT_ARGUMENT = {
    "lang": "2",
    "transl": "2",
    "transliteration": "2",
    "nowrap": "1",
    "nobr": "1",
    "nobold": "1",
    "small": "1",
    "smallcaps": "1",
    "sc": "1",
    "quote": "1",
    "blockquote": "1",
    "cquote": "1",
    "bquote": "1",
    "quotation": "1",
    "abbr": "1",
    "tooltip": "1",
    "sup": "1",
    "sub": "1",
    "em": "1",
    "strong": "1",
    "ship": "2",
    "angbr": "1",
    "unicode": "1",
    "polytonic": "1",
    "script": "2",
    "linktext": "1",
    "gaps": "1",
    "math": "1",
    "mvar": "1",
    "var": "1",
    "not a typo": "1",
    "sic": "1",
    "okina": "",
    "uss": "1",
    "hms": "1",
    "visible anchor": "1",
    "vanchor": "1",
    "wikt-lang": "2",
    "su": "1",
    "illm": "1",
    "ill": "1",
    "red": "1",
}
_CHARACTER_TEMPLATES = {
    "ndash": "–",
    "spaced ndash": " – ",
    "snd": " – ",
    "spnd": " – ",
    "mdash": "—",
    "emdash": "—",
    "em dash": "—",
    "spaced mdash": " — ",
    "'": "'",
    "'s": "'s",
    "-": "-",
    "!": "",
    "=": "=",
    "nbsp": " ",
    "space": " ",
    "thin space": " ",
    "thinsp": " ",
    "pi": "π",
    "dot": " · ",
    "bullet": " · ",
    "okina": "ʻ",
    "shy": "",
    "ad": "AD",
    "bce": "BCE",
    "bc": "BC",
    "ce": "CE",
}
_MATH_WORDS = {
    "times": "×",
    "cdot": "·",
    "pm": "±",
    "leq": "≤",
    "le": "≤",
    "geq": "≥",
    "ge": "≥",
    "neq": "≠",
    "ne": "≠",
    "approx": "≈",
    "infty": "∞",
    "to": "→",
    "rightarrow": "→",
    "in": "∈",
    "ldots": "...",
    "dots": "...",
    "cdots": "...",
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "varepsilon": "ε",
    "theta": "θ",
    "kappa": "κ",
    "lambda": "λ",
    "mu": "μ",
    "nu": "ν",
    "xi": "ξ",
    "pi": "π",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "phi": "φ",
    "varphi": "φ",
    "chi": "χ",
    "psi": "ψ",
    "omega": "ω",
    "Delta": "Δ",
    "Sigma": "Σ",
    "Omega": "Ω",
    "quad": " ",
}
_HEADING = "\x01"
_LIST_ITEM = "\x02"
_GAP = "\x03"  # Stands for a dropped formula, whose sentence has then lost a part.


def pages(stream: IO[bytes], *, name: str) -> Iterator[tuple[str, str]]:
    """Yields (title, markup) of every article of a dump, holding one at a time.

    Articles are the pages of namespace 0 that are no redirects.

    Args:
      stream: the uncompressed XML.
      name: the file's name, for messages.

    Raises:
      InputError: the XML is damaged or no MediaWiki export.
    """
    events = ElementTree.iterparse(stream, events=("start", "end"))
    root = None
    try:
        for event, element in events:
            tag = element.tag.rpartition("}")[2]
            if root is None:
                root = element
                if tag != "mediawiki":
                    raise errors.InputError(
                        f"{name}: expected a MediaWiki export (root element "
                        f"<mediawiki>), got <{tag}>. Other XML has to be turned into "
                        "text or JSON lines first."
                    )
            if event == "end" and tag == "page":
                if element.findtext("{*}ns") == "0" and (
                    element.find("{*}redirect") is None
                ):
                    title = element.findtext("{*}title") or "untitled"
                    yield title, element.findtext("{*}revision/{*}text") or ""
                # The root keeps every page that was read unless it is told not to.
                root.clear()
    except ElementTree.ParseError as error:
        raise errors.InputError(f"{name}: the XML is damaged ({error}).") from error


def strip_markup(markup: str) -> str:
    """Returns the prose of an article, one paragraph a line, without its headings."""
    code = mwparserfromhell.parse(_BEFORE_PARSING.sub("", markup))
    text = _drop_tail_sections(_render(code))
    lines = [_tidy(line) for line in _join_paragraphs(text.split("\n"))]
    return "\n".join(_prose(lines))


_BEFORE_PARSING = re.compile(
    r"<!--.*?-->|__[A-Z]+__|<ref[^<>]*/>|<(ref|timeline)\b[^<>/]*>"
    r".*?</\1\s*>|^\s*\{\|.*?^\s*\|\}",
    re.DOTALL | re.MULTILINE,
)


def _render(code) -> str:
    return "".join(_render_node(node) for node in code.nodes)


def _render_node(node) -> str:
    match node:
        case nodes.Text():
            return node.value
        case nodes.HTMLEntity():
            return node.normalize()
        case nodes.Heading():
            title = _render(node.title).strip().lower()
            return f"\n{_HEADING}{node.level}{title}\n"
        case nodes.Wikilink():
            return _render_link(node)
        case nodes.ExternalLink():
            return _render(node.title) if node.title else ""
        case nodes.Template():
            return _render_template(node)
        case nodes.Tag():
            return _render_tag(node)
    return ""


def _render_link(link) -> str:
    target = str(link.title).strip()
    prefix, colon, _ = target.partition(":")
    # [[Category:A]] and [[fr:A]] are the page's furniture; [[:Category:A]] is text.
    if colon and (
        prefix.strip().lower() in {"file", "image", "category", "media"}
        or re.fullmatch(r"[a-z]{2,3}(-[a-z]+)?|simple", prefix)
    ):
        return ""
    if link.text is not None:
        return _render(link.text)
    return target.lstrip(":")


def _render_tag(tag) -> str:
    name = str(tag.tag).strip().lower()
    if tag.wiki_markup in {"*", "#", ":", ";"}:
        return _LIST_ITEM
    if name in _DROPPED_TAGS:
        return ""
    if name == "br":
        return "\n" if tag.wiki_markup else " "
    if name == "math":
        return _render_math(str(tag.contents))
    return _render(tag.contents) if tag.contents is not None else ""


def _render_math(latex: str) -> str:
    """Writes a formula as plain text, or marks the gap where that is impossible."""
    text = re.sub(r"\\(?:mathrm|mathbf|mathit|text|rm|bf)\b|\\[,;! ]|~", " ", latex)
    text = re.sub(
        r"\\([A-Za-z]+)", lambda m: _MATH_WORDS.get(m.group(1), m.group()), text
    )
    if "\\" in text or "\n" in text.strip() or len(text) > 60:
        return _GAP
    return re.sub(r"\s+", " ", re.sub(r"[{}]", "", text)).strip()


def _render_template(template) -> str:
    name = str(template.name).strip().lower().replace("_", " ")
    if name in _CHARACTER_TEMPLATES:
        return _CHARACTER_TEMPLATES[name]
    if name in {"convert", "cvt"}:
        return _render_convert(template)
    if name in {"as of", "asof"}:
        return f"As of {_argument(template, '1')}"
    if name in {"circa", "c.", "ca."}:
        return f"c. {_argument(template, '1')}".rstrip()
    if name == "frac":
        return "/".join(_positional(template))
    if name in {"chem", "chem2"}:
        return "".join(_positional(template))
    if name in {"val", "formatnum", "num"} or name.startswith("formatnum:"):
        value = name.partition(":")[2] or _argument(template, "1")
        unit = _argument(template, "u") or _argument(template, "ul")
        return f"{value} {unit}".rstrip()
    if name.startswith("lang-"):
        return _argument(template, "1")
    if name == "nihongo":
        return _argument(template, "1") or _argument(template, "3")
    argument = _TEXT_ARGUMENT.get(name)
    return _argument(template, argument) if argument else ""


def _render_convert(template) -> str:
    arguments = [_group_digits(a) for a in _positional(template)]
    # {{convert|2|to|3|km|mi}}: the word between two numbers is part of the quantity.
    if len(arguments) >= 4 and re.fullmatch(
        r"to|and|or|-|–|by|x|\+/-|to\(-\)|and\(-\)", arguments[1]
    ):
        join = re.sub(r"\(.*\)", "", arguments[1])
        space = "" if join in {"-", "–"} else " "
        return f"{arguments[0]}{space}{join}{space}{arguments[2]} {arguments[3]}"
    return " ".join(arguments[:2])


def _group_digits(number: str) -> str:
    return f"{int(number):,}" if re.fullmatch(r"\d{5,}", number) else number


def _positional(template) -> list[str]:
    return [_render(p.value).strip() for p in template.params if not p.showkey]


def _argument(template, name: str) -> str:
    if not template.has(name):
        return ""
    return _render(template.get(name).value).strip()


def _drop_tail_sections(text: str) -> str:
    """Leaves out the headings, and the sections that hold no prose with theirs."""
    kept, dropped_level = [], 0
    for line in text.split("\n"):
        if line.startswith(_HEADING):
            level, title = int(line[1]), line[2:].strip(" :.")
            if not dropped_level or level <= dropped_level:
                dropped_level = level if title in _TAIL_SECTIONS else 0
            kept.append("")
        elif not dropped_level:
            kept.append(line)
    return "\n".join(kept)


def _join_paragraphs(lines: list[str]) -> Iterator[str]:
    """Joins the lines of a paragraph, which only a blank line or a list item ends."""
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if paragraph and (not line.strip() or line.lstrip().startswith(_LIST_ITEM)):
            yield " ".join(paragraph)
            paragraph = []
        if not line.strip():
            yield ""
        elif line.lstrip().startswith(_LIST_ITEM):
            yield line.lstrip()
        elif _REMNANT.search(line):
            yield line
        else:
            paragraph.append(line)


_TIDY = [
    (re.compile(r"'{2,}"), ""),
    (re.compile(r"[\xa0\u2009\u202f\u200a\t]+"), " "),
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
    (re.compile(r" {2,}"), " "),
]


def _tidy(line: str) -> str:
    for pattern, replacement in _TIDY:
        line = pattern.sub(replacement, line)
    return line.strip()


_REMNANT = re.compile(
    r"(?i)^(?:category|image|file|media|template|wikipedia|[a-z-]{2,12}):\S"
    r"|\b(?:thumb|thumbnail|upright|\d+px)\||^[|!{}]|\|\s*$|^#redirect"
)


def _prose(lines: list[str]) -> Iterator[str]:
    """Keeps the lines that read as sentences."""
    for position, line in enumerate(lines):
        text = line.lstrip(_LIST_ITEM).strip()
        if not re.search(r"\w", text) or _REMNANT.search(text):
            continue
        if _GAP in text:
            text = _without_broken_sentences(text)
            if not text:
                continue
        is_item = line.startswith(_LIST_ITEM)
        ends_well = re.search(r"[.!?…][\"”'’)\]]*$", text) is not None
        words = len(text.split())
        if is_item and not (words >= 8 and ends_well):
            continue
        if not is_item and not ends_well and words < 12:
            continue
        if text.endswith(":") and _list_follows(lines, position):
            continue
        yield re.sub(f" *{_LIST_ITEM} *", " ", text)


def _list_follows(lines: list[str], position: int) -> bool:
    following = next((line for line in lines[position + 1 :] if line), "")
    return not following or following.startswith(_LIST_ITEM)


def _without_broken_sentences(text: str) -> str:
    """Leaves out the sentences that lost a formula."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z\"“(])", text)
    return " ".join(s for s in sentences if _GAP not in s)

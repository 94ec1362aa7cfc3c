"""Renders parsed wiki markup as text: links, tags and templates, node by node.

A template whose words are not known leaves a gap, so that its sentence can be dropped.
"""

import re

from mwparserfromhell import nodes, wikicode

# Marks that rendering leaves in the text for `mediawiki`: a heading line, a list item,
# and a dropped formula or template, whose sentence is then incomplete.
HEADING = "\x01"
LIST_ITEM = "\x02"
GAP = "\x03"

# fmt: off
_DROPPED_TAGS = frozenset({
    "gallery", "graph", "hiero", "imagemap", "inputbox", "noinclude", "pre",
    "ref", "references", "score", "section", "source", "syntaxhighlight",
    "table", "templatestyles", "timeline",
})
# Templates that stand for words of a sentence, by the argument that holds the words.
_FIRST_ARGUMENT = frozenset({
    "abbr", "angbr", "blockquote", "bquote", "cquote", "em", "flag",
    "flagcountry", "flagu", "gaps", "hms",
    "ill", "illm", "linktext", "math", "mvar", "nobold", "nobr", "not a typo",
    "nowrap", "polytonic", "quotation", "quote", "red", "sc", "sic", "small",
    "smallcaps", "strong", "su", "sub", "sup", "tooltip", "unicode", "uss",
    "vanchor", "var", "visible anchor",
})
_SECOND_ARGUMENT = frozenset({
    "lang", "script", "ship", "transl", "transliteration", "wikt-lang",
})
# Templates that print no words of the sentence they are in: notes, marks, layout.
_NO_WORDS = re.compile(
    r"(?:anchor|authority control|by whom|citation|citation needed|cite\b.*|clarify|"
    r"clear|clr|cn|coord|coor .*|col-.*|commons.*|dead link|disputed.*|dubious|efn|"
    r"expand.*|fact|featured.*|failed verification|full|further|good article|harv.*|"
    r"infobox.*|ipa.*|lead.*|main|multiple image|no footnotes|nbsp|note|notelist|or|"
    r"page needed|portal.*|pp-.*|pron.*|r|refimprove.*|refn?|reflist.*|rp|see also|"
    r"seealso|sfn.*|shortcut|sister.*|specify|synthesis.*|unreferenced.*|update.*|"
    r"use (?:dmy|mdy|british).*|verify.*|vague|weasel.*|when|where|which\??|who\??|"
    r"whom\??|why\??|-|-\)|toc.*)",
)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August",
    "September", "October", "November", "December",
)
_CHARACTER_TEMPLATES = {
    "ndash": "–", "spaced ndash": " – ", "snd": " – ", "spnd": " – ",
    "mdash": "—", "emdash": "—", "em dash": "—", "spaced mdash": " — ",
    "'": "'", "'s": "'s", "-": "-", "!": "", "=": "=", "nbsp": " ",
    "space": " ", "thin space": " ", "thinsp": " ", "pi": "π", "dot": " · ",
    "bullet": " · ", "okina": "ʻ", "shy": "", "ad": "AD", "bce": "BCE",
    "bc": "BC", "ce": "CE",
}
_MATH_WORDS = {
    "quad": " ", "times": "×", "cdot": "·", "pm": "±", "leq": "≤", "le": "≤",
    "geq": "≥", "ge": "≥", "neq": "≠", "ne": "≠", "approx": "≈", "infty": "∞",
    "to": "→", "rightarrow": "→", "in": "∈", "ldots": "...", "dots": "...",
    "cdots": "...", "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ",
    "epsilon": "ε", "varepsilon": "ε", "theta": "θ", "kappa": "κ",
    "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ",
    "omega": "ω", "Delta": "Δ", "Sigma": "Σ", "Omega": "Ω",
}
# fmt: on


def render(code: wikicode.Wikicode) -> str:
    """Returns the text of parsed markup, with the marks defined above."""
    return "".join(_render_node(node) for node in code.nodes)


def _render_node(node: nodes.Node) -> str:
    match node:
        case nodes.Text():
            return node.value
        case nodes.HTMLEntity():
            return node.normalize()
        case nodes.Heading():
            title = render(node.title).strip().lower()
            return f"\n{HEADING}{node.level}{title}\n"
        case nodes.Wikilink():
            return _render_link(node)
        case nodes.ExternalLink():
            return render(node.title) if node.title else ""
        case nodes.Template():
            return _render_template(node)
        case nodes.Tag():
            return _render_tag(node)
        # Comments and arguments of templates.
        case _:
            return ""


def _render_link(link: nodes.Wikilink) -> str:
    target = str(link.title).strip()
    prefix, colon, _ = target.partition(":")
    # [[Category:A]] and [[fr:A]] are not part of the text; [[:Category:A]] is a link.
    if colon and (
        prefix.strip().lower() in {"file", "image", "category", "media"}
        or re.fullmatch(r"[a-z]{2,3}(-[a-z]+)?|simple", prefix)
    ):
        return ""
    if link.text is not None:
        return render(link.text)
    return target.lstrip(":")


def _render_tag(tag: nodes.Tag) -> str:
    name = str(tag.tag).strip().lower()
    if tag.wiki_markup in {"*", "#", ":", ";"}:
        return LIST_ITEM
    if name in _DROPPED_TAGS:
        return ""
    if name == "br":
        return "\n" if tag.wiki_markup else " "
    if name == "math":
        return _render_math(str(tag.contents))
    return render(tag.contents) if tag.contents is not None else ""


def _render_math(latex: str) -> str:
    """Returns a formula as plain text, or `GAP` if it cannot be written as such."""
    text = re.sub(r"\\(?:mathrm|mathbf|mathit|text|rm|bf)\b|\\[,;! ]|~", " ", latex)
    text = re.sub(
        r"\\([A-Za-z]+)", lambda m: _MATH_WORDS.get(m.group(1), m.group()), text
    )
    if "\\" in text or "\n" in text.strip() or len(text) > 60:
        return GAP
    return re.sub(r"\s+", " ", re.sub(r"[{}]", "", text)).strip()


def _render_template(template: nodes.Template) -> str:
    name = str(template.name).strip().lower().replace("_", " ")
    if name in _CHARACTER_TEMPLATES:
        return _CHARACTER_TEMPLATES[name]
    if name in {"convert", "cvt"}:
        return _render_convert(template)
    if name in {"as of", "asof"}:
        return _render_as_of(template)
    if name in {"circa", "c.", "ca."}:
        return f"c. {_argument(template, '1')}".rstrip()
    if name == "frac":
        return "/".join(_positional(template))
    if name in {"chem", "chem2"}:
        return "".join(_positional(template))
    if name == "val":
        return _render_value(template)
    if name in {"formatnum", "num"} or name.startswith("formatnum:"):
        return _group_digits(name.partition(":")[2].strip() or _argument(template, "1"))
    if _DATE.fullmatch(name):
        return _render_date(template)
    if name.startswith("lang-"):
        return _argument(template, "1")
    if name == "nihongo":
        return _argument(template, "1") or _argument(template, "3")
    if name in _FIRST_ARGUMENT:
        return _argument(template, "1")
    if name in _SECOND_ARGUMENT:
        return _argument(template, "2")
    # A template that is alone on its lines, such as a table, is cut out later.
    return "" if _NO_WORDS.fullmatch(name) or "\n" in str(template) else GAP


_DATE = re.compile(r"(?:birth|death|start|end)[ -]date(?: and (?:age|years ago))?|dob")
_VALUE_ARGUMENTS = frozenset({"1", "2", "e", "u", "ul", "up", "upl", "fmt", "sortable"})


def _render_value(template: nodes.Template) -> str:
    """Returns {{val}}'s number with its uncertainty, exponent and unit, or a gap."""
    given = {str(p.name).strip() for p in template.params}
    if not given <= _VALUE_ARGUMENTS:
        return GAP
    value = _argument(template, "1")
    if error := _argument(template, "2"):
        value += error if error.startswith("(") else f"±{error}"
    if exponent := _argument(template, "e"):
        # The exponent holds for both.
        value = f"({value})" if "±" in value else value
        value += f"×10^{exponent}"
    unit = _argument(template, "u") or _argument(template, "ul")
    if per := _argument(template, "up") or _argument(template, "upl"):
        unit += f"/{per}"
    return f"{value} {unit}".rstrip()


def _render_date(template: nodes.Template) -> str:
    """Returns "May 4, 1932", or "4 May 1932" if the template asks for that order."""
    numbers = _positional(template)[:3]
    if not numbers or not all(n.isdecimal() for n in numbers):
        return GAP
    return _date(numbers, day_first=_argument(template, "df") in {"y", "yes"})


def _render_as_of(template: nodes.Template) -> str:
    numbers = _positional(template)[:3]
    # The day and the month may be missing, or be words.
    is_date = numbers and all(n.isdecimal() for n in numbers)
    date = _date(numbers, day_first=True) if is_date else " ".join(reversed(numbers))
    start = "as of" if _argument(template, "lc") else "As of"
    return f"{start} {date}" if date else GAP


def _date(numbers: list[str], *, day_first: bool) -> str:
    year, month, day = (*numbers, "", "")[:3]
    if not month or not 1 <= int(month) <= len(_MONTHS):
        return year
    name = _MONTHS[int(month) - 1]
    if not day:
        return f"{name} {year}"
    return f"{day} {name} {year}" if day_first else f"{name} {day}, {year}"


def _render_convert(template: nodes.Template) -> str:
    arguments = [_group_digits(a) for a in _positional(template)]
    # In {{convert|2|to|3|km|mi}} the word between the numbers belongs to the quantity.
    if len(arguments) >= 4 and re.fullmatch(
        r"to|and|or|-|–|by|x|\+/-|to\(-\)|and\(-\)", arguments[1]
    ):
        join = re.sub(r"\(.*\)", "", arguments[1])
        space = "" if join in {"-", "–"} else " "
        return f"{arguments[0]}{space}{join}{space}{arguments[2]} {arguments[3]}"
    return " ".join(arguments[:2])


def _group_digits(number: str) -> str:
    return f"{int(number):,}" if re.fullmatch(r"\d{5,}", number) else number


def _positional(template: nodes.Template) -> list[str]:
    return [render(p.value).strip() for p in template.params if not p.showkey]


def _argument(template: nodes.Template, name: str) -> str:
    if not template.has(name):
        return ""
    return render(template.get(name).value).strip()

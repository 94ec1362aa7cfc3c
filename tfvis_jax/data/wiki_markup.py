"""Renders parsed wiki markup as text: links, tags and templates, node by node."""

import re

from mwparserfromhell import nodes, wikicode

# Marks that rendering leaves in the text for `mediawiki`: a heading line, a list item,
# and a dropped formula, whose sentence is then incomplete.
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
    "abbr", "angbr", "blockquote", "bquote", "cquote", "em", "gaps", "hms",
    "ill", "illm", "linktext", "math", "mvar", "nobold", "nobr", "not a typo",
    "nowrap", "polytonic", "quotation", "quote", "red", "sc", "sic", "small",
    "smallcaps", "strong", "su", "sub", "sup", "tooltip", "unicode", "uss",
    "vanchor", "var", "visible anchor",
})
_SECOND_ARGUMENT = frozenset({
    "lang", "script", "ship", "transl", "transliteration", "wikt-lang",
})
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
    if name in _FIRST_ARGUMENT:
        return _argument(template, "1")
    return _argument(template, "2") if name in _SECOND_ARGUMENT else ""


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

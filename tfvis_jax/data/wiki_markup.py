"""Renders parsed wiki markup as text: links, tags and formulas, node by node."""

import html
import re

from mwparserfromhell import nodes, wikicode

from tfvis_jax.data import wiki_marks, wiki_templates

# fmt: off
_DROPPED_TAGS = frozenset({
    "gallery", "graph", "imagemap", "inputbox", "noinclude", "pre", "ref",
    "references", "score", "section", "source", "syntaxhighlight", "table",
    "templatestyles", "timeline",
})
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


# Media, whatever the wiki calls its files: dumps do not list the older names.
_MEDIA = re.compile(
    r"[^:|\[\]]+:.+\.(?:djvu|flac|gif|jpe?g|midi?|mp[34]|oga|ogg|ogv|opus|pdf|png|stl"
    r"|svg|tiff?|wav|webm|webp|xcf)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-−+–]?\d")
_JOINTS = {"sup": "^", "sub": "_", "frac": " ", "sfrac": " ", "fraction": " "}


def render(code: wikicode.Wikicode) -> str:
    """Returns the text of parsed markup, with the marks of `wiki_marks`."""
    parts = [""]
    for node in code.nodes:
        part = _render_node(node)
        if parts[-1][-1:].isdigit() and _NUMBER.match(part):
            parts.append(_joint(node))
        parts.append(part)
    return "".join(parts)


def _joint(node: nodes.Node) -> str:
    """Returns what keeps a number apart from one right before it: "10^6", "1 1/2"."""
    match node:
        case nodes.Tag():
            return _JOINTS.get(str(node.tag).strip().lower(), "")
        case nodes.Template():
            return _JOINTS.get(str(node.name).strip().lower(), "")
        case _:
            return ""


def _render_node(node: nodes.Node) -> str:
    match node:
        case nodes.Text():
            return node.value
        case nodes.HTMLEntity():
            return node.normalize()
        case nodes.Heading():
            title = render(node.title).strip().lower()
            return f"\n{wiki_marks.HEADING}{node.level}{title}\n"
        case nodes.Wikilink():
            return _render_link(node)
        case nodes.ExternalLink():
            # "[http://a.b]" prints a number, but a bare address is part of a sentence.
            bare = "" if node.brackets else wiki_marks.GAP
            return render(node.title) if node.title else bare
        case nodes.Template():
            return wiki_templates.render(node, render)
        case nodes.Tag():
            return _render_tag(node)
        # Comments and arguments of templates.
        case _:
            return ""


def _render_link(link: nodes.Wikilink) -> str:
    target = render(link.title).strip()
    prefix, colon, _ = target.partition(":")
    # [[Category:A]] and [[fr:A]] are not part of the text; [[:Category:A]] is a link.
    if colon and (
        prefix.strip().lower() in {"file", "image", "category", "media"}
        or re.fullmatch(r"[a-z]{2,3}(-[a-z]+)?|simple", prefix)
        or _MEDIA.fullmatch(target)
    ):
        # An image stands between two sentences without a space.
        return " "
    if link.text is not None:
        return render(link.text)
    return target.lstrip(":")


def _render_tag(tag: nodes.Tag) -> str:
    name = str(tag.tag).strip().lower()
    if tag.wiki_markup in {"*", "#", ":", ";"}:
        return wiki_marks.LIST_ITEM
    if name in {"source", "syntaxhighlight"} and tag.has("inline"):
        return str(tag.contents).strip()
    if name in _DROPPED_TAGS:
        return ""
    if name == "br":
        return "\n" if tag.wiki_markup else " "
    if name == "math":
        return _render_math(html.unescape(str(tag.contents)))
    if name in {"ce", "chem"}:
        return _render_reaction(html.unescape(str(tag.contents)))
    if name == "hiero":
        return wiki_marks.GAP
    return render(tag.contents) if tag.contents is not None else ""


def _render_math(latex: str) -> str:
    """Returns a formula as plain text, or a gap if it cannot be written as such."""
    text = re.sub(r"\\(?:mathrm|mathbf|mathit|text|rm|bf)\b|\\[,;! ]|~", " ", latex)
    text = re.sub(
        r"\\([A-Za-z]+)", lambda m: _MATH_WORDS.get(m.group(1), m.group()), text
    )
    if "\\" in text or "\n" in text.strip() or len(text) > 60:
        return wiki_marks.GAP
    return re.sub(r"\s+", " ", re.sub(r"[{}]", "", text)).strip()


def _render_reaction(code: str) -> str:
    """Returns a chemical formula such as "2H2O -> 2H2 + O2" as text, or a gap."""
    if re.search(r"[\\{}$]", code):
        return wiki_marks.GAP
    return re.sub(r"[\^_]", "", code.replace("<=>", "⇌").replace("->", "→")).strip()

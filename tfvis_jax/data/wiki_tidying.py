"""Puts the spaces and punctuation of a rendered paragraph in order."""

import re

from tfvis_jax.data import wiki_marks

_G, _A = wiki_marks.GAP, wiki_marks.ASIDE
_BRACKET = re.compile(rf" ?\(([^()\n]*[{_G}{_A}][^()\n]*)\)")

# What a template that was dropped leaves behind, where no sentence misses it.
_GAPS = [
    # "It is pronounced [pronunciation] there" misses it; a bracket is dropped anyway.
    (re.compile(rf"(\bpronounced(?: as| like)?\s){_A}"), rf"\1{_G}"),
    # A line of gaps alone, or a note at the end of a word or sentence.
    (re.compile(rf"^[\s{_G}]+$"), ""),
    (re.compile(rf"(?<=[^\W\d]){_G}+(?=[\s.,;:!?]|$)"), ""),
    (re.compile(rf"(?<=[.!?,;:\"”)\]]){_G}+(?=\s|$)"), ""),
    (re.compile(rf"(?<=[.!?])\s{_G}+(?=\s+[\"“(]?[^\Wa-z]|\s*$)"), ""),
    (re.compile(rf"^[\s{_G}]+(?=[\"“'(]*[^\W\d_a-z])"), ""),
    # Alone between the punctuation marks of a bracket.
    (re.compile(rf"(?<=[(\[,;])[\s{_G}{_A}]+(?=[,;)\]])"), ""),
    # After a name, as in "(Azərbaycan [pronunciation])", not after "pronounced".
    (
        re.compile(
            rf"(?<=[(;])(\s*(?=[^\W\d_a-z])[^();:{_G}{_A}]*[^();:{_G}{_A}\s])\s*{_A}"
        ),
        r"\1",
    ),
]

# Applied in this order to what rendering leaves behind.
_TIDY = [
    (re.compile(_A), ""),
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
    # Not before "...", which may follow a space.
    (re.compile(r"(?<! ) +([,.;:!?)\]])(?!\.\.)(?=\s|$|[,.;:!?)\]\"”])"), r"\1"),
    (re.compile(r"(?<=\w)\.\.(?=\s|$)"), "."),
    (re.compile(r"^[\s.,;:)\]]+(?=\s)"), ""),
    (re.compile(r" {2,}"), " "),
]


def tidy(line: str) -> str:
    """Returns a paragraph in order; gaps that no sentence misses are closed."""
    if not line or line.isspace():
        return ""
    for pattern, replacement in _GAPS:
        line = pattern.sub(replacement, line)
    line = _BRACKET.sub(_without_gaps, line)
    for pattern, replacement in _TIDY:
        line = pattern.sub(replacement, line)
    return line.strip()


def _without_gaps(bracket: re.Match[str]) -> str:
    """Drops the parts between semicolons that lost words, or the whole bracket."""
    kept = [p for p in bracket[1].split(";") if not {_G, _A} & set(p) and p.strip()]
    return f" ({'; '.join(map(str.strip, kept))})" if kept else ""

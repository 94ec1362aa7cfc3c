"""Divides prose into sentences, in any language that marks their ends."""

import re
from collections.abc import Iterator

# fmt: off
_ABBREVIATIONS = frozenset({
    "approx", "apr", "art", "aug", "bros", "ca", "capt", "cf", "ch", "co", "col",
    "corp", "dec", "dept", "dr", "ed", "eds", "est", "etc", "feb", "fig", "figs", "fl",
    "fr", "ft", "gen", "gov", "hon", "inc", "jan", "jr", "jul", "jun", "lt", "ltd",
    "maj", "mar", "messrs", "mr", "mrs", "ms", "mt", "no", "nos", "nov", "nr", "oct",
    "op", "orig", "pp", "prof", "pt", "rep", "rev", "sen", "sep", "sept", "sgt", "sr",
    "st", "ste", "ver", "viz", "vol", "vols", "vs",
})
# fmt: on
STOPS = ".!?…。！？｡।؟۔։።។"
_CLOSERS, _OPENERS = "\"'”’»)\\]", "\"'“‘«„(\\[¿¡"
# A run of stops is taken whole and from its start, which keeps the time linear.
_END = re.compile(
    rf"(?<![{STOPS}])[{STOPS}]++[{_CLOSERS}]*+\s++(?=[{_OPENERS}]*+(\w))"
    r"|[。！？｡]++[」』”）]*+"
)
_LAST_WORD = re.compile(rf"[^\s{_OPENERS}—–/]*\Z")
_LONGEST = 16


def split(text: str) -> Iterator[str]:
    """Yields the sentences of a paragraph, which together are the paragraph.

    Where it is not certain that a sentence ends, as after "U.S.", it goes on. So what
    is yielded may be several sentences, but never a part of one.
    """
    start = 0
    for match in _END.finditer(text):
        following = match[1]
        if following and (
            following.islower() or _is_abbreviation(text, match.start(), match.group())
        ):
            continue
        yield text[start : match.end()]
        start = match.end()
    if start < len(text):
        yield text[start:]


def _is_abbreviation(text: str, end: int, mark: str) -> bool:
    """Returns whether the full stop at ``end`` may belong to the word before it."""
    if mark.rstrip() != ".":
        return False
    found = _LAST_WORD.search(text, max(end - _LONGEST, 0), end)
    word = found.group() if found else ""
    return (
        (len(word) == 1 and word.isalpha())
        or "." in word
        or word.lower() in _ABBREVIATIONS
        # "3. Oktober" is an ordinal number in many languages.
        or (word.isdecimal() and len(word) <= 2)
    )

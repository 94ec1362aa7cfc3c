"""Undoes what corpus makers did to running text.

WikiText is distributed tokenised: ``a 2 @-@ litre ( 0 @.@ 4 gal ) " pot "``, with
rare words as ``<unk>`` and headings as ``= = Section = =``. Left in, these marks win
factors of their own. They are undone only in a file that has them: text that was
never tokenised comes through unchanged.
"""

import enum
import re

from tfvis_jax.data import mediawiki


class Style(enum.Enum):
    """How the text of a file was prepared, which decides how it is cleaned."""

    PLAIN = "plain"
    # Marks such as "@-@" without the spaces round punctuation: what remains of
    # WikiText after a tokenizer's decode.
    MARKED = "marked"
    WIKITEXT = "wikitext"
    MEDIAWIKI = "mediawiki"


def detect_style(sample: str) -> Style:
    """Tells from the beginning of a file whether it is tokenised as WikiText is.

    A file is WikiText when it has one of the marks and more commas and full stops
    stand apart from the word before them than next to it; with three marks or more
    but ordinary spacing, only the marks are undone.
    """
    num_marks = len(_MARK.findall(sample)) + len(_UNKNOWN.findall(sample))
    if _SECTION_HEADING.search(sample):
        num_marks += 1
    apart = len(re.findall(r"\w [,.](?=\s|$)", sample))
    attached = len(re.findall(r"\w[,.](?=\s|$)", sample))
    if num_marks >= 1 and apart > attached:
        return Style.WIKITEXT
    return Style.MARKED if num_marks >= 3 else Style.PLAIN


def clean(text: str, *, style: Style) -> str:
    """Returns ``text`` as it would have been written.

    * MEDIAWIKI: the markup is stripped, see `mediawiki.strip_markup`.
    * WIKITEXT: marks, unknown words, headings and the spaces round punctuation are
      undone; every line is one paragraph.
    * MARKED: marks, unknown words and headings are undone.
    * PLAIN: nothing is changed, except that ``= = Section = =`` lines are left out.

    ``<unk>`` is dropped: a run of them ("<unk> and <unk>") counts as one, and brackets
    or quotes that held nothing else, and a comma that would be doubled, go with it.
    """
    match style:
        case Style.MEDIAWIKI:
            return mediawiki.strip_markup(text)
        case Style.PLAIN:
            return _SECTION_HEADING.sub("", text)
    lines = _ANY_HEADING.sub("", text).split("\n")
    lines = [_MARK.sub(r"\1", _drop_unknown(line)) for line in lines]
    if style is Style.WIKITEXT:
        lines = [_detokenise(line).strip() for line in lines]
        return "\n".join(line for line in lines if line)
    return "\n".join(lines)


_MARK = re.compile(r"(?<=\S) ?@ ?([-,.]) ?@(?: (?=\S))?")
_UNKNOWN = re.compile(r"< ?unk ?>")
_SECTION_HEADING = re.compile(r"^[ \t]*(?:= ){2,}[^=\n].*(?: =){2,}[ \t]*\n?", re.M)
_ANY_HEADING = re.compile(r"^[ \t]*(?:= )+[^=\n].*(?: =)+[ \t]*\n?", re.M)

_UNKNOWN_RULES = [
    # A run of unknown words, and what stood round it alone.
    (re.compile(r"\x00(?:(?: ?,| and| or| /| -|-)* ?\x00)+"), "\x00"),
    (re.compile(r"\( ?\x00 ?\) ?"), ""),
    (re.compile(r"\" ?\x00 ?\" ?"), ""),
    (re.compile(r"\x00 @ ?[-,.] ?@ ?|(?: @ ?[-,.] ?@ ?)\x00"), " \x00"),
    (re.compile(r"(?<=[(,]) ?\x00 ?[,;]"), ""),
    (re.compile(r"\x00 's?(?=\s)"), "\x00"),
    (re.compile(r"\x00 ?"), ""),
]


def _drop_unknown(line: str) -> str:
    if not _UNKNOWN.search(line):
        return line
    line = _UNKNOWN.sub("\x00", line)
    for pattern, replacement in _UNKNOWN_RULES:
        line = pattern.sub(replacement, line)
    return line


_SPACING_RULES = [
    (re.compile(r"(?<=\w) '(s|t|re|ve|d|ll|m)\b"), r"'\1"),
    (re.compile(r" n't\b"), "n't"),
    (re.compile(r"(?<=\d) – (?=\d)"), "–"),
    (re.compile(r"(?<=\d) : (?=\d\d)"), ":"),
    (re.compile(r"(?<=\w) / (?=\w)"), "/"),
    (re.compile(r"([(\[{]) +"), r"\1"),
    (re.compile(r" +([)\]}])"), r"\1"),
    (re.compile(r" +([,.;:!?%])(?=\s|$|[)\]}\"',.;:!?])"), r"\1"),
    (re.compile(r"([$£€¥]) (?=\d)"), r"\1"),
    (re.compile(r"(?<=\d) ° ?(?=[CF]\b)"), " °"),
    # A longer word in s before the mark is more likely a plural's possessive.
    (re.compile(r"(?<![a-z]{3}s) ' ([^']{1,80}?) '(?=[ ,.;:!?)]|$)"), r" '\1'"),
    (re.compile(r"(?<=[a-z]{3}s) '(?= )"), "'"),
    (re.compile(r"(?<= ') (?=\d0s)"), ""),
    (re.compile(r" {2,}"), " "),
]


def _detokenise(line: str) -> str:
    line = _attach_quotes(line, mark='"')
    for pattern, replacement in _SPACING_RULES:
        line = pattern.sub(replacement, line)
    return line


def _attach_quotes(line: str, *, mark: str) -> str:
    """Puts opening quotes next to the word that follows, closing ones to the left."""
    # Neighbouring marks share a space, which must serve both.
    parts = f" {line} ".replace(f"{mark} {mark}", f"{mark}  {mark}").split(f" {mark} ")
    # With an odd number the last one is an inch or a slip, and stays as it is.
    num_paired = (len(parts) - 1) // 2 * 2
    text = parts[0]
    for number, part in enumerate(parts[1:]):
        if number >= num_paired:
            text += f" {mark} {part}"
        elif number % 2 == 0:
            text += f" {mark}{part.lstrip()}"
        else:
            text = f"{text.rstrip()}{mark} {part}"
    return text

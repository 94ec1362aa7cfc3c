"""Undoes the tokenization of corpora such as WikiText.

WikiText is distributed tokenized: ``a 2 @-@ litre ( 0 @.@ 4 gal ) " pot "``, with
rare words as ``<unk>`` and headings as ``= = Section = =``. If these marks stayed in,
the dictionary would spend factors on them. They are undone only in files that contain
them: text that was never tokenized passes through unchanged.
"""

import enum
import re

from tfvis_jax.data import mediawiki


class Style(enum.Enum):
    """How the text of a file was prepared; it determines how the text is cleaned."""

    PLAIN = "plain"
    # Marks such as "@-@" but normal spacing around punctuation: WikiText that a
    # tokenizer has encoded and decoded.
    MARKED = "marked"
    WIKITEXT = "wikitext"
    MEDIAWIKI = "mediawiki"


def detect_style(sample: str) -> Style:
    """Returns the style of a file, given a sample from its beginning.

    A file is `WIKITEXT` if it has at least one mark, and if more commas and full stops
    follow a space than follow a word directly. With ordinary spacing but three or more
    marks it is `MARKED`, else `PLAIN`.
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
    """Returns ``text`` as an author would have written it.

    * MEDIAWIKI: the markup is stripped; see `mediawiki.strip_markup`.
    * WIKITEXT: marks, unknown words, headings and the spaces around punctuation are
      removed; every line is one paragraph.
    * MARKED: marks, unknown words and headings are removed.
    * PLAIN: only ``= = Section = =`` lines are removed.

    ``<unk>`` is dropped. A run ("<unk> and <unk>") counts as one, and brackets or
    quotes that hold nothing else, or a comma that would be doubled, are dropped too.
    """
    if style is Style.MEDIAWIKI:
        return mediawiki.strip_markup(text)
    if style is Style.PLAIN:
        return _SECTION_HEADING.sub("", text)
    lines = _ANY_HEADING.sub("", text).split("\n")
    lines = [_MARK.sub(r"\1", _drop_unknown(line)) for line in lines]
    if style is Style.WIKITEXT:
        lines = [_detokenize(line).strip() for line in lines]
        return "\n".join(line for line in lines if line)
    return "\n".join(lines)


_MARK = re.compile(r"(?<=\S) ?@ ?([-,.]) ?@(?: (?=\S))?")
_UNKNOWN = re.compile(r"< ?unk ?>")
_SECTION_HEADING = re.compile(r"^[ \t]*(?:= ){2,}[^=\n].*(?: =){2,}[ \t]*\n?", re.M)
_ANY_HEADING = re.compile(r"^[ \t]*(?:= )+[^=\n].*(?: =)+[ \t]*\n?", re.M)

_UNKNOWN_RULES = [
    # A run of unknown words, then what surrounded nothing else.
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
    # After a longer word that ends in s, the mark is more likely a plural possessive.
    (re.compile(r"(?<![a-z]{3}s) ' ([^']{1,80}?) '(?=[ ,.;:!?)]|$)"), r" '\1'"),
    (re.compile(r"(?<=[a-z]{3}s) '(?= )"), "'"),
    (re.compile(r"(?<= ') (?=\d0s)"), ""),
    (re.compile(r" {2,}"), " "),
]


def _detokenize(line: str) -> str:
    line = _attach_quotes(line, mark='"')
    for pattern, replacement in _SPACING_RULES:
        line = pattern.sub(replacement, line)
    return line


def _attach_quotes(line: str, *, mark: str) -> str:
    """Attaches opening quotes to the next word, closing quotes to the word before."""
    # Adjacent marks share a space, and splitting needs one for each.
    parts = f" {line} ".replace(f"{mark} {mark}", f"{mark}  {mark}").split(f" {mark} ")
    # If their number is odd, the last is an inch sign or a slip and stays unchanged.
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

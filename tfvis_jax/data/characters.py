"""Finds which characters belong together, which are signs, and which set no spaces.

A cluster is a character with the marks and format characters that follow it: accents,
vowel signs, variation selectors, skin tones, joiners with the emoji that they join, and
the vowels and finals of a decomposed Hangul syllable. This is the extended grapheme
cluster of Unicode Standard Annex #29, with fewer rules: format characters such as the
soft hyphen belong to the character before them, flags are two clusters, and a mark
after white space begins a cluster of its own.
"""

import dataclasses
import functools
import unicodedata

import numpy as np

_EXTENDS, _JOINS, _IS_PICTURE, _IS_SPACE, _IS_UNSPACED, _IS_SIGN = 1, 2, 4, 8, 16, 32
_ZERO_WIDTH_JOINER = 0x200D
# Planes 2 and 3 hold ideographs, and beyond plane 14 is private use.
_WITH_MARKS = (range(0x20000), range(0xE0000, 0xE1000))
# Characters that are no marks by category, but extend a cluster by the same annex:
# vowels AM of Thai and Lao, vowels and finals of Hangul, half-width voicing marks,
# skin tones.
_EXTENDING = (
    range(0x0E33, 0x0E34),
    range(0x0EB3, 0x0EB4),
    range(0x1160, 0x1200),
    range(0xD7B0, 0xD800),
    range(0xFF9E, 0xFFA0),
    range(0x1F3FB, 0x1F400),
)
# Blocks of all that emoji-zwj-sequences.txt joins.
_PICTURES = (range(0x2190, 0x2C00), range(0x1F000, 0x1FB00))
# Blocks of the scripts that Unicode Standard Annex #14 gives the line breaking classes
# SA (a dictionary finds the words) and ID (ideographs, kana).
_UNSPACED = (
    range(0x0E00, 0x0F00),  # Thai, Lao
    range(0x1000, 0x10A0),  # Myanmar
    range(0x1780, 0x1800),  # Khmer
    range(0x1950, 0x1A00),  # Tai Le, New Tai Lue, Khmer symbols
    range(0x1A20, 0x1AB0),  # Tai Tham
    range(0x2E80, 0x2FE0),  # radicals
    range(0x3005, 0x3008),  # iteration mark, number zero
    range(0x3021, 0x3030),  # Hangzhou numerals
    range(0x3031, 0x3036),  # kana repeat marks
    range(0x3038, 0x303D),  # Hangzhou numerals, vertical repeat mark
    range(0x3041, 0x3130),  # Hiragana, Katakana, Bopomofo
    range(0x31A0, 0x3200),  # Bopomofo, strokes, Katakana
    range(0x3400, 0x4DC0),  # ideographs
    range(0x4E00, 0xA000),  # ideographs
    range(0xA9E0, 0xAA00),  # Myanmar
    range(0xAA60, 0xAA80),  # Myanmar
    range(0xAA80, 0xAAE0),  # Tai Viet
    range(0xF900, 0xFB00),  # ideographs
    range(0xFF66, 0xFFA0),  # half-width Katakana
    range(0x11700, 0x11750),  # Ahom
    range(0x16FE0, 0x18D80),  # Tangut, Khitan
    range(0x1AFF0, 0x1B300),  # kana, Nushu
    range(0x20000, 0x40000),  # ideographs
)


@dataclasses.dataclass(frozen=True, eq=False)
class Characters:
    """What the n characters of a text are.

    Attributes:
      is_space: [n] bool, True for white space.
      is_unspaced: [n] bool, True for characters of scripts without spaces.
      cluster_start: [n] int64, the first character of each one's cluster.
      cluster_end: [n + 1] int64, the end of the cluster that place i lies in; i where a
        cluster begins or the text ends.
    """

    is_space: np.ndarray
    is_unspaced: np.ndarray
    cluster_start: np.ndarray
    cluster_end: np.ndarray


def classify(text: str) -> Characters | None:
    """Classifies the characters of a text; returns None for plain ones.

    A text is plain if every character is a cluster and all scripts set spaces.
    """
    if text.isascii():
        return None
    kinds = _kinds()[_codes(text)]
    if not np.any(kinds & (_EXTENDS | _IS_UNSPACED)):
        return None
    extends = np.zeros(len(text), bool)
    extends[1:] = _extends(kinds[1:], kinds[:-1])
    places = np.arange(len(text))
    begins = np.append(np.where(extends, len(text), places), len(text))
    return Characters(
        is_space=kinds & _IS_SPACE > 0,
        is_unspaced=kinds & _IS_UNSPACED > 0,
        cluster_start=np.maximum.accumulate(np.where(extends, 0, places)),
        cluster_end=np.minimum.accumulate(begins[::-1])[::-1],
    )


def is_unspaced(character: str) -> bool:
    """Returns whether a character's script sets no spaces between words."""
    return bool(_kinds()[ord(character)] & _IS_UNSPACED)


def are_space(text: str) -> np.ndarray:
    """Returns which characters are white space, [len(text)] bool."""
    return _kinds()[_codes(text)] & _IS_SPACE > 0


def are_signs(text: str) -> np.ndarray:
    """Returns which characters are punctuation or symbols, [len(text)] bool."""
    return _kinds()[_codes(text)] & _IS_SIGN > 0


def are_line_ends(text: str) -> np.ndarray:
    """Returns which characters end a line, [len(text)] bool."""
    codes = _codes(text)
    return (codes == ord("\n")) | (codes == ord("\r"))


def cluster_end(text: str, place: int) -> int:
    """Returns where the cluster ends that ``text[place - 1]`` belongs to."""
    # Most characters are followed by one of ASCII, none of which extends a cluster.
    while 0 < place < len(text) and not text[place].isascii():
        before, kind = _kinds()[[ord(text[place - 1]), ord(text[place])]]
        if not _extends(kind, before):
            break
        place += 1
    return place


def _extends(kinds: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Returns whether characters belong to the cluster of the one before each."""
    marks = (kinds & _EXTENDS > 0) & (before & _IS_SPACE == 0)
    return marks | ((kinds & _IS_PICTURE > 0) & (before & _JOINS > 0))


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@functools.cache
def _kinds() -> np.ndarray:
    """Returns the properties of every code point, [0x110000] uint8."""
    kinds = np.zeros(0x110000, np.uint8)
    for codes in _WITH_MARKS:
        for code in codes:
            category = unicodedata.category(chr(code))
            if category[0] == "M" or category == "Cf":
                kinds[code] |= _EXTENDS
            elif chr(code).isspace():
                kinds[code] |= _IS_SPACE
            elif category[0] in "PS":
                kinds[code] |= _IS_SIGN
    for ranges, kind in (
        (_EXTENDING, _EXTENDS),
        (_PICTURES, _IS_PICTURE),
        (_UNSPACED, _IS_UNSPACED),
    ):
        for codes in ranges:
            kinds[codes.start : codes.stop] |= kind
    kinds[_ZERO_WIDTH_JOINER] |= _JOINS
    return kinds

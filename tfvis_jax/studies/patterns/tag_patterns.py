"""Matchers of patterns that need parts of speech: lists, ordinals, quotations.

A matcher yields the (start, end) characters of every occurrence in a passage.
"""

import re
from collections.abc import Iterator

from tfvis_jax.studies.patterns import passages

Spans = Iterator[tuple[int, int]]

_ORDINAL = re.compile(
    r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh"
    r"|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth"
    r"|nineteenth|twentieth|twenty-first|\d{1,3}(?:st|nd|rd|th))$",
    re.IGNORECASE,
)
_DETERMINERS = ("DT", "PRP$", "PDT")
_MODIFIERS = ("JJ", "JJR", "JJS", "VBN", "VBG", "NN", "NNS", "NNP", "NNPS", "CD", "POS")
_NOUNS = ("NN", "NNS", "NNP", "NNPS")
_ADJECTIVES = ("JJ", "JJR", "JJS")
_LONGEST_ITEM = 4
# "The 4th July" is a date.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)
# "John Smith, a writer, and his wife" lists nobody: an item with "a" describes another.
_DESCRIBING = ("a", "an", "the")
_QUOTATION = re.compile(r"[\"“”]\s?([^\"“”]{3,90}?)\s?[\"“”]")
_DESCRIBES = re.compile(
    r"\b(?:describ\w+|call(?:s|ed|ing)(?!\s?$)|prais\w+|term(?:s|ed)|hail\w+|characteri[sz]\w+"
    r"|critici[sz]\w+|deem\w*|consider(?:s|ed)|dubbed|labell?ed|regard(?:s|ed)|felt"
    r"|found)\b[^.;\"“”]{0,60}$",
    re.IGNORECASE,
)


def noun_enumeration(passage: passages.Passage) -> Spans:
    """Three nouns or more in a list: "rivers, lakes and forests"."""
    place = 0
    while place < len(passage.words):
        found = _list_of_nouns(passage, place)
        if found is None:
            place += 1
            continue
        yield passage.words[place].start, passage.words[found - 1].end
        place = found


def adjective_list(passage: passages.Passage) -> Spans:
    """Two adjectives or more, with a comma between: "long, narrow and winding"."""
    place = 0
    while place < len(passage.words):
        end = _list_of_adjectives(passage, place)
        if end is None:
            place += 1
            continue
        yield passage.words[place].start, passage.words[end - 1].end
        place = end


def quoted_description(passage: passages.Passage) -> Spans:
    """What describes something in quotation marks: 'called it "warm and funny"'.

    The quotation is short, has an adjective, and follows a verb of describing.
    """
    for match in _QUOTATION.finditer(passage.text):
        if not _DESCRIBES.search(passage.text[: match.start()]):
            continue
        if any(
            tag in _ADJECTIVES
            for word, tag in zip(passage.words, passage.tags, strict=True)
            if match.start() < word.start and word.end < match.end()
        ):
            yield match.span()


def ordinal_noun(passage: passages.Passage) -> Spans:
    """An ordinal number and what it counts: "the third season", "19th century"."""
    words, tags = passage.words, passage.tags
    for place, word in enumerate(words):
        if not _ORDINAL.match(word.text):
            continue
        end = place + 1
        while end < min(place + 4, len(words)) and tags[end] in (*_ADJECTIVES, "VBN"):
            end += 1
        if end == len(words) or tags[end] not in _NOUNS:
            continue
        if words[end].text not in _MONTHS:
            while end + 1 < min(place + 5, len(words)) and tags[end + 1] in _NOUNS:
                end += 1
            yield word.start, words[end].end


def _list_of_nouns(passage: passages.Passage, first: int) -> int | None:
    """Returns the word after a list that begins at a word; None if none does."""
    items: list[tuple[int, int]] = []
    place: int | None = first
    is_last = False
    while place is not None:
        end = _noun_phrase(passage, place)
        if end is None:
            return None
        items.append((place, end))
        if is_last:
            break
        place, is_last = _separator(passage, end)
    if not is_last or len(items) < 3:
        return None
    starts = [passage.words[begin].text.lower() for begin, _ in items]
    describing = [start in _DESCRIBING for start in starts]
    if any(describing[1:]) and not describing[0]:
        return None
    return items[-1][1]


def _noun_phrase(passage: passages.Passage, place: int) -> int | None:
    tags = passage.tags
    end = place
    if end < len(tags) and tags[end] in _DETERMINERS:
        end += 1
    last = None
    for at in range(end, min(end + _LONGEST_ITEM, len(tags))):
        if not passage.words[at].text[0].isalnum() or tags[at] not in _MODIFIERS:
            break
        if tags[at] in _NOUNS:
            last = at + 1
    return last


def _separator(passage: passages.Passage, place: int) -> tuple[int | None, bool]:
    """Returns the word after a comma or "and", and whether it begins the last item."""
    words = [word.text.lower() for word in passage.words[place : place + 2]]
    if words[:1] == [","]:
        place, words = place + 1, words[1:]
        if words[:1] in (["and"], ["or"], ["&"]):
            return place + 1, True
        return place, False
    if words[:1] in (["and"], ["or"], ["&"]):
        return place + 1, True
    return None, False


def _list_of_adjectives(passage: passages.Passage, first: int) -> int | None:
    """Returns the word after a list that begins at a word; None if none does."""
    words, tags = passage.words, passage.tags
    n_adjectives, has_comma, comma_before, end = 0, False, False, None
    place: int | None = first
    while place is not None and place < len(words):
        while place < len(words) and tags[place] == "RB" and n_adjectives:
            place += 1
        if place == len(words) or tags[place] not in _ADJECTIVES:
            break
        n_adjectives, end = n_adjectives + 1, place + 1
        has_comma |= comma_before
        comma_before = [word.text for word in words[end : end + 1]] == [","]
        place, _ = _separator(passage, end)
    return end if n_adjectives >= 2 and has_comma else None

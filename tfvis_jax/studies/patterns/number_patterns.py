"""Matchers of patterns that are made of numbers: units, years, dates, scores.

A matcher yields the (start, end) characters of every occurrence in a passage. Spaces
around dashes and parentheses are optional, as tokenized corpora have them.
"""

import itertools
import re
from collections.abc import Iterator

from tfvis_jax.studies.patterns import passages

Spans = Iterator[tuple[int, int]]

_DASH = r"\s?(?:[-–—−‑]|@-@)\s?"
_NUMBER = r"[-−–]?\s?\d+(?:[.,]\d+|\s@[.,]@\s\d+)*(?:\s?[½¼¾⅓⅔])?"
_UNITS = (
    *(r"kilomet(?:re|er)s?", r"centimet(?:re|er)s?", r"millimet(?:re|er)s?"),
    *(r"met(?:re|er)s?", r"miles?(?: per hour)?", "foot", "feet", r"inch(?:es)?"),
    *(r"yards?", r"nautical miles?", r"hectares?", r"acres?", r"kilograms?"),
    *(r"grams?", r"pounds?", r"ounces?", r"tonnes?", r"(?:long |short )?tons?"),
    *(r"degrees?(?: celsius| fahrenheit| c\b| f\b)?", r"knots?", r"lit(?:re|er)s?"),
    *(r"(?:US |imp(?:erial)? )?gal(?:lons?)?\.?", "horsepower", r"[°º]\s?[CFK]"),
    r"(?:square|sq\.?|cubic|cu\.?) ?(?:kilomet(?:re|er)s?|met(?:re|er)s?|miles?|mi|"
    r"km|feet|foot|ft|inch(?:es)?|in|yards?|yd|m)",
    *(r"k?m\s?/\s?[hs]", "ft/s", "kph", "mph", r"[ckm]?m[23²³]?", r"mi[2²]?", "nmi"),
    *(r"ft[²³]?", "in", "yd", "ha", "kg", r"lbs?", "oz", "kn", "hp", "bhp", "shp"),
    *("kW", "MW", "PS", "psi", "kPa", "bar", "lbf", r"N·?m", "kN", "kJ", "kcal"),
    *("cc", "l", "g", "t", "K"),
)
_UNIT = rf"(?:{'|'.join(_UNITS)})(?![\w/])"
_RANGE = rf"{_NUMBER}(?:(?:{_DASH}| to | or | by | × | and ){_NUMBER})?"
_QUANTITY = rf"{_RANGE}(?:\s|{_DASH})?{_UNIT}"
_CONVERSION = re.compile(
    rf"(?<![\w.,])(?:{_QUANTITY}(?:,?\s?{_QUANTITY})?"
    # "six-mile-long (9.7 km)"; "94.9 people per square mile (36.6/km²)".
    rf"(?:(?:{_DASH}|\s)(?:long|wide|tall|high|deep|thick|diameter|away))?"
    rf"|{_NUMBER}\s(?:\w+\s){{0,3}}?per\s{_UNIT})"
    rf"\s?\(\s?(?:about |approximately |around |roughly |nearly |or |[~≈]\s?|c\. )?"
    rf"(?:{_QUANTITY}|{_NUMBER}(?:\s\w+)?\s?/\s?{_UNIT})[^()]{{0,40}}\)",
    re.IGNORECASE,
)

_YEAR = r"(?:1\d|20)\d\d"
_APART = r"(?<![\d.,–\-/$£€])"
_DONE = r"(?![\d%]|[.,]\d|\s?[-–/]\s?\d)"
_YEARS = re.compile(rf"{_APART}({_YEAR})({_DASH}|\s?/\s?)(\d{{4}}|\d{{2}}){_DONE}")
_LISTED = re.compile(
    rf"{_APART}{_YEAR}(?:\s?,\s?{_YEAR})*(?:\s?,)?\s(?:and|&|or)\s{_YEAR}{_DONE}"
)
_FROM_TO = re.compile(
    rf"\b(?:from\s({_YEAR})\s(?:to|until|till|through)\s(?:the\s)?({_YEAR})"
    rf"|between\s({_YEAR})\sand\s({_YEAR})){_DONE}",
    re.IGNORECASE,
)
_TO_PRESENT = re.compile(rf"{_APART}{_YEAR}{_DASH}(?:present|today|now)\b")
# After "1914 – 18" these are counted by 18: no span of years.
_COUNTED = re.compile(
    r"\s(?!seasons?\b|years\b|elections\b|wars\b|games\b|campaigns\b|series\b"
    r"|championships\b|was\b|has\b|is\b|as\b|his\b|its\b|this\b|across\b)"
    r"(?:men|women|people|children|[a-z]+(?<!s)s)\b"
)
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November"
    r"|December)"
)
_DATE = re.compile(
    rf"(?<![\d.,])(?:(?:[12]?\d|3[01])(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}\s?,?\s{_YEAR}"
    rf"|{_MONTH}\s(?:[12]?\d|3[01])(?:st|nd|rd|th)?\s?,?\s{_YEAR})(?!\d)",
    re.IGNORECASE,
)
_SCORE = re.compile(
    rf"(?<![\w.,:–\-/])(\d{{1,3}})({_DASH})(\d{{1,3}})(?![\w%]|[.,:]\d|-)"
)
_RESULT = re.compile(
    r"\b(?:won|wins?|winning|beat|beats|beating|beaten|defeat\w*|lost|los(?:e|es|ing|s)"
    r"|draws?|drew|drawn|tied|victor(?:y|ies)|scor\w+|thrash\w+|aggregate|shootout"
    r"|tie|match|final|semi-?finals?|replay|led|trail\w+|lead)\b",
    re.IGNORECASE,
)
_NO_SCORE = re.compile(
    r"(?:\b(?:pages?|pp?\.|ages?|aged|chapters?|verses?|vol\.|nos?\.|lines?|grades?"
    r"|about|approximately|between|[A-Z][a-z]+ \d+:)|record(?: of)?|:)\s?$",
    re.IGNORECASE,
)
_NEAR = 60
_SENTENCE_END = re.compile(r"[.!?;]\s")


def unit_conversion(passage: passages.Passage) -> Spans:
    """A quantity and, in parentheses, the same in other units: "20 °F (−7 °C)"."""
    for match in _CONVERSION.finditer(passage.text):
        yield match.span()


def consecutive_years(passage: passages.Passage) -> Spans:
    """A season of two years or years in a row: "2005 – 06", "2005 and 2006"."""
    for match, first, last in _pairs_of_years(passage.text):
        if last == first + 1:
            yield match.span()
    for match in _LISTED.finditer(passage.text):
        years = [int(year) for year in re.findall(r"\d{4}", match.group())]
        if all(b == a + 1 for a, b in itertools.pairwise(years)):
            yield match.span()


def year_span(passage: passages.Passage) -> Spans:
    """Years at least two apart: "1914–1918", "from 1914 to 1918"."""
    for match, first, last in _pairs_of_years(passage.text):
        if last >= first + 2:
            yield match.span()
    for match in _FROM_TO.finditer(passage.text):
        first, last = (int(year) for year in match.groups() if year)
        if last >= first + 2:
            yield match.span()
    for match in _TO_PRESENT.finditer(passage.text):
        yield match.span()


def full_date(passage: passages.Passage) -> Spans:
    """Day, month and year: "23 June 2007", "June 23, 2007"."""
    for match in _DATE.finditer(passage.text):
        yield match.span()


def sports_score(passage: passages.Passage) -> Spans:
    """Two numbers of points near a word of a result: "won 3–1"."""
    text = passage.text
    for match in _SCORE.finditer(text):
        start, end = match.span()
        before = _SENTENCE_END.split(text[max(start - _NEAR, 0) : start])[-1]
        after = _SENTENCE_END.split(text[end : end + _NEAR // 2])[0]
        if _NO_SCORE.search(before):
            continue
        if _RESULT.search(before) or _RESULT.search(after):
            yield start, end


def _pairs_of_years(text: str) -> Iterator[tuple[re.Match[str], int, int]]:
    for match in _YEARS.finditer(text):
        first, dash, end = match.groups()
        last = int(end) if len(end) == 4 else int(first[:2] + end)
        if len(end) == 2 and last <= int(first):
            last += 100
            # Only a turn of the century is written so: "1999–00".
            if last != int(first) + 1:
                continue
        if len(end) == 2 and dash != dash.strip() and _COUNTED.match(text, match.end()):
            continue
        # "1000/1001" is a ratio.
        if last <= 2100 and not (len(end) == 4 and "/" in dash):
            yield match, int(first), last

"""Matchers of patterns that are made of names: institutions, places, people.

A matcher yields the (start, end) characters of every occurrence in a passage.
"""

import re
from collections.abc import Iterator

from tfvis_jax.studies.patterns import passages

Spans = Iterator[tuple[int, int]]

_IN_PARENTHESES = re.compile(r"\(\s?([A-Z][A-Za-z&.\-]{1,9}?)\s?[;,)]")
_NAME_WORD = re.compile(r"[\w&'’.]+(?:-\w+)*")
_MINOR = frozenset(
    [
        "of",
        "the",
        "and",
        "for",
        "in",
        "de",
        "on",
        "&",
        "to",
        "at",
        "du",
        "la",
        "des",
        "del",
        "di",
        "y",
        "et",
        "a",
        "an",
        "van",
        "der",
        "und",
    ]
)
# Words between the first and the last of an institution's name, at most.
_LONGEST_NAME = 12

_STATES = (
    *("Alabama", "Alaska", "Arizona", "Arkansas", "California", "Colorado"),
    *("Connecticut", "Delaware", "Florida", "Georgia", "Hawaii", "Idaho", "Illinois"),
    *("Indiana", "Iowa", "Kansas", "Kentucky", "Louisiana", "Maine", "Maryland"),
    *("Massachusetts", "Michigan", "Minnesota", "Mississippi", "Missouri", "Montana"),
    *("Nebraska", "Nevada", "New Hampshire", "New Jersey", "New Mexico", "New York"),
    *("North Carolina", "North Dakota", "Ohio", "Oklahoma", "Oregon", "Pennsylvania"),
    *("Rhode Island", "South Carolina", "South Dakota", "Tennessee", "Texas", "Utah"),
    *("Vermont", "Virginia", "Washington", "West Virginia", "Wisconsin", "Wyoming"),
)
_CITY_STATE = re.compile(
    r"((?:[A-Z][\w.'’\-]*\s){0,2}[A-Z][\w.'’\-]*)\s?,\s?"
    rf"(D\.\s?C\.|DC\b|(?:{'|'.join(sorted(_STATES, key=len, reverse=True))})\b)"
)
# Given names or surnames as well.
_ALSO_NAMES = ("Virginia", "Georgia", "Washington", "Montana")
_ALSO_CITIES = ("New York", "Washington", "Oklahoma")
_NOT_CITIES = frozenset(
    [
        "In",
        "At",
        "From",
        "To",
        "Of",
        "The",
        "A",
        "An",
        "Near",
        "And",
        "But",
        "However",
        "Although",
        "While",
        "When",
        "After",
        "Before",
        "Since",
        "Then",
        "Today",
        "Also",
        "Later",
        "Here",
        "There",
        "Meanwhile",
        "Thus",
        "Still",
        "Yet",
        "Both",
        "Unlike",
        "Like",
        "As",
        "By",
        "For",
        "On",
        "With",
        "Within",
        "Outside",
        "Inside",
        "Through",
        "Born",
        "He",
        "She",
        "It",
        "His",
        "Her",
        "Their",
        "Its",
        "Mr",
        "Mrs",
        "Ms",
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ]
)

_OCCUPATIONS = (
    *("academic", "accountant", "activist", "actor", "actress", "admiral", "agent"),
    *("anthropologist", "archaeologist", "architect", "artist", "astronaut"),
    *("astronomer", "athlete", "attorney", "author", "banker", "baker", "baritone"),
    *("bassist", "biographer", "biologist", "bishop", "botanist", "boxer"),
    *("broadcaster", "businessman", "businesswoman", "captain", "cartoonist"),
    *("chairman", "chef", "chemist", "choreographer", "clergyman", "coach", "colonel"),
    *("columnist", "comedian", "commentator", "composer", "conductor", "correspondent"),
    *("cricketer", "critic", "dancer", "designer", "diplomat", "director", "doctor"),
    *("dramatist", "drummer", "economist", "editor", "educator", "engineer"),
    *("entrepreneur", "explorer", "farmer", "filmmaker", "footballer", "general"),
    *("geographer", "geologist", "goalkeeper", "golfer", "governor", "guitarist"),
    *("historian", "illustrator", "industrialist", "inventor", "jockey", "journalist"),
    *("judge", "jurist", "lawyer", "lecturer", "librarian", "lieutenant", "linguist"),
    *("magician", "manager", "mathematician", "mayor", "merchant", "minister"),
    *("missionary", "model", "musician", "naturalist", "novelist", "nurse", "officer"),
    *("organist", "owner", "painter", "partner", "pastor", "philosopher"),
    *("photographer", "physician", "physicist", "pianist", "pilot", "player"),
    *("playwright", "poet", "politician", "president", "priest", "principal"),
    *("producer", "professor", "programmer", "psychiatrist", "psychologist"),
    *("publisher", "rapper", "reporter", "researcher", "reviewer", "sailor", "scholar"),
    *("scientist", "screenwriter", "sculptor", "secretary", "senator", "singer"),
    *("singer-songwriter", "sociologist", "soldier", "songwriter", "soprano"),
    *("statesman", "striker", "surgeon", "swimmer", "teacher", "technologist"),
    *("tenor", "theologian", "theorist", "trumpeter", "violinist", "vocalist"),
    *("wrestler", "writer", "zoologist"),
)
_OCCUPATION = rf"(?:{'|'.join(sorted(_OCCUPATIONS, key=len, reverse=True))})"
_PERSON = (
    r"[A-Z][\w'’\-]+(?:\s(?:[A-Z]\.|(?:van|von|de|al|bin)\s))*(?:\s?[A-Z][\w'’\-]+)+"
)
_NAME_FIRST = re.compile(
    rf"({_PERSON})\s?,\s(?:(?:a|an|the|his|her|its|their|former|then|chief)\s)?"
    rf"(?:(?!of\b|in\b|and\b|at\b|for\b|who\b|was\b)[\w'’\-]+\s){{0,4}}?{_OCCUPATION}\b"
)
_OCCUPATION_FIRST = re.compile(rf"\b{_OCCUPATION}\s({_PERSON})")
_PLACES = frozenset(
    (*_STATES, "Los Angeles", "San Francisco", "United States", "London")
)


def abbreviation(passage: passages.Passage) -> Spans:
    """An institution and its abbreviation: "World Health Organization (WHO)".

    The capitals of the abbreviation must be first letters of words before it, in order,
    as Schwartz and Hearst (2003) find definitions of abbreviations.
    """
    for match in _IN_PARENTHESES.finditer(passage.text):
        capitals = [char for char in match.group(1) if char.isupper()]
        if len(capitals) < 2:
            continue
        start = _start_of_name(passage.text[: match.start()], capitals)
        if start is not None:
            yield start, match.end()


def city_state(passage: passages.Passage) -> Spans:
    """A city and its state in the USA: "Key West, Florida"."""
    text = passage.text
    for match in _CITY_STATE.finditer(text):
        city, state = match.groups()
        start = match.start()
        words = city.split(" ")
        while words and words[0] in _NOT_CITIES:
            start += len(words.pop(0)) + 1
        city = " ".join(words)
        if not words or words[-1] in _NOT_CITIES:
            continue
        if city in (*_STATES, "British Columbia") and city not in _ALSO_CITIES:
            continue
        if state in _ALSO_NAMES and re.match(r"\s[A-Z]", text[match.end() :]):
            continue
        yield start, match.end()


def name_occupation(passage: passages.Passage) -> Spans:
    """A person and what the person does: "Jeff Weiss, a music writer"."""
    for match in _NAME_FIRST.finditer(passage.text):
        if match.group(1) not in _PLACES:
            yield match.span()
    for match in _OCCUPATION_FIRST.finditer(passage.text):
        if match.group(1) not in _PLACES:
            yield match.span()


def _start_of_name(before: str, capitals: list[str]) -> int | None:
    """Returns where the name begins that ends at the end of a text; None if nowhere."""
    words = list(_NAME_WORD.finditer(before))[-_LONGEST_NAME:]
    # Anything but commas and spaces ends a name, as does the end of a sentence.
    wanted, n_capitalised, skipped, end = list(capitals), 0, 0, len(before)
    for match in reversed(words):
        word = match.group()
        between = before[match.end() : end]
        if between.strip(" ,") or (word.endswith(".") and len(word) > 3):
            return None
        end = match.start()
        initials = [part[0] for part in re.split(r"-", word) if part]
        matched = False
        for initial in reversed(initials):
            if (
                wanted
                and initial.upper() == wanted[-1]
                and (initial.isupper() or word not in _MINOR)
            ):
                wanted.pop()
                matched = True
        n_capitalised += word[0].isupper() and matched
        if not wanted:
            return match.start() if n_capitalised >= 2 and word[0].isupper() else None
        if not matched and word not in _MINOR:
            skipped += 1
            if skipped > 1 or not word[0].isupper():
                return None
    return None

"""Kinds of patterns that can be checked mechanically, and the tokens that take part.

The kinds are those that the paper (Yun et al., 2021, table 3) finds at middle layers
and more of their sort. A token takes part in a pattern if it shares a character with
an occurrence of it in the passage that the model reads.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tfvis_jax.description import terms
from tfvis_jax.errors import InputError
from tfvis_jax.studies.patterns import (
    name_patterns,
    number_patterns,
    passages,
    tag_patterns,
)


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A kind of pattern.

    Attributes:
      name: its name.
      example: a text with one occurrence.
      find: yields the (start, end) characters of every occurrence in a passage.
      needs_tags: If True, ``find`` needs a part-of-speech tagger.
    """

    name: str
    example: str
    find: Callable[[passages.Passage], Iterator[tuple[int, int]]]
    needs_tags: bool = False


ALL = (
    Pattern("unit conversion", "20 km (12 mi)", number_patterns.unit_conversion),
    Pattern("consecutive years", "2005 – 06", number_patterns.consecutive_years),
    Pattern("span of years", "1914–1918", number_patterns.year_span),
    Pattern("full date", "23 June 2007", number_patterns.full_date),
    Pattern("sports score", "won 3–1", number_patterns.sports_score),
    Pattern(
        "institution (abbreviation)",
        "World Health Organization (WHO)",
        name_patterns.abbreviation,
    ),
    Pattern("city, state", "Key West, Florida", name_patterns.city_state),
    Pattern(
        "name, occupation", "Jeff Weiss, a music writer", name_patterns.name_occupation
    ),
    Pattern(
        "enumeration of nouns",
        "rivers, lakes and forests",
        tag_patterns.noun_enumeration,
        needs_tags=True,
    ),
    Pattern(
        "list of adjectives",
        "a long, narrow and winding road",
        tag_patterns.adjective_list,
        needs_tags=True,
    ),
    Pattern(
        "quoted description",
        'called it "warm and funny"',
        tag_patterns.quoted_description,
        needs_tags=True,
    ),
    Pattern(
        "ordinal and noun",
        "the third season",
        tag_patterns.ordinal_noun,
        needs_tags=True,
    ),
)


def chosen(names: Sequence[str], *, has_tagger: bool) -> tuple[Pattern, ...]:
    """Returns the patterns of these names, all that can be matched if there are none.

    Args:
      names: names of patterns.
      has_tagger: whether there is a part-of-speech tagger.

    Raises:
      InputError: there is no such pattern, or it needs a tagger.
    """
    if not names:
        return tuple(p for p in ALL if has_tagger or not p.needs_tags)
    by_name = {pattern.name: pattern for pattern in ALL}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise InputError(
            f"Expected patterns out of {', '.join(map(repr, by_name))}; got "
            f"{', '.join(map(repr, unknown))}."
        )
    without = [n for n in names if by_name[n].needs_tags and not has_tagger]
    if without:
        raise InputError(
            f"{', '.join(without)}: this needs parts of speech; give the folder of a "
            "tagger (--tagger)."
        )
    return tuple(by_name[name] for name in names)


def spans(
    text: str, wanted: Sequence[Pattern], tagger: terms.Tagger | None = None
) -> list[list[tuple[int, int]]]:
    """Finds the occurrences of patterns in a passage.

    Args:
      text: the passage.
      wanted: the patterns.
      tagger: returns a tag of the Penn Treebank for each word.

    Returns:
      For each pattern the (start, end) characters of its occurrences, in order.
    """
    passage = passages.Passage(text, tagger)
    return [sorted(set(pattern.find(passage))) for pattern in wanted]


def taking_part(
    found: Sequence[tuple[int, int]], starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Returns which tokens share a character with an occurrence, [n_tokens] bool.

    Args:
      found: (start, end) characters of the occurrences.
      starts: [n_tokens] first character of each token.
      ends: [n_tokens] character after its last.
    """
    inside = np.zeros(len(starts), bool)
    for start, end in found:
        inside |= (starts < end) & (ends > start)
    return inside


def split_names(given: Sequence[str]) -> list[str]:
    """Returns the names of a list that was split at commas, some of which have one.

    Args:
      given: names or parts of names, such as "city" and "state".
    """
    names, known = [], {pattern.name for pattern in ALL}
    parts = [part.strip() for part in given]
    while parts:
        pair = ", ".join(parts[:2])
        names.append(pair if pair in known else parts[0])
        parts = parts[2 if pair in known else 1 :]
    return names

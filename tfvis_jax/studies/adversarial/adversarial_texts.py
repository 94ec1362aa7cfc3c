"""Variants of a passage that keep a pattern less and less; the target word stays.

The grades are those of the paper's table 4. Whole words are replaced, never pieces.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tfvis_jax.studies.adversarial import adversarial_words
from tfvis_jax.studies.patterns import passages

ORIGINAL, NEAR, FAR = "original", "near words", "far words of the class"
COMMON, MASKED, REMOVED = "common words", "words masked", "words removed"
OUTSIDE, ELSEWHERE = "near words outside", "random sentence"
OWN, OWN_CONTROL = "own sentence", "random sentence, best token"
# From the closest to the pattern to the farthest; the claim is that α falls.
GRADED = (ORIGINAL, NEAR, FAR, COMMON, MASKED, ELSEWHERE)
# Not in the order: what the claim says nothing about, and own sentences.
BESIDE = (OUTSIDE, REMOVED, OWN, OWN_CONTROL)
# Tokens that a window loses may be those that matter: long passages are cut before.
_MOST_WORDS = 45


@dataclasses.dataclass(frozen=True)
class Variant:
    """A text and the characters of it at which a feature is read.

    Attributes:
      text: the text.
      start, end: characters; of several tokens in them, the one that fires most counts.
    """

    text: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Context:
    """An occurrence of a pattern, and the word in it at which a feature fires.

    Attributes:
      passage: tagged.
      span: (start, end) characters of the occurrence.
      target: index of the word.
    """

    passage: passages.Passage
    span: tuple[int, int]
    target: int

    def inside(self) -> list[int]:
        """Returns the words with content in the occurrence, without the target."""
        return [place for place in self._content() if self._is_inside(place)]

    def outside(self) -> list[int]:
        """Returns the words with content outside of the occurrence."""
        return [place for place in self._content() if not self._is_inside(place)]

    def _content(self) -> list[int]:
        return [
            place
            for place, (word, tag) in enumerate(
                zip(self.passage.words, self.passage.tags, strict=True)
            )
            if place != self.target and adversarial_words.is_content(word.text, tag)
        ]

    def _is_inside(self, place: int) -> bool:
        word = self.passage.words[place]
        return word.start < self.span[1] and word.end > self.span[0]


def context(
    passage: passages.Passage, span: tuple[int, int], at: int
) -> Context | None:
    """Returns the context of a character; None where nothing can be replaced.

    Args:
      passage: tagged.
      span: (start, end) characters of the occurrence.
      at: a character of the target.
    """
    if len(passage.words) > _MOST_WORDS:
        return None
    for place, word in enumerate(passage.words):
        if word.start <= at < word.end:
            found = Context(passage, span, place)
            return found if found.inside() else None
    return None


def variants(
    given: Context, lexicon: adversarial_words.Lexicon, rng: np.random.Generator
) -> dict[str, Variant] | None:
    """Returns the variants of a context that come from it, by grade.

    Args:
      given: the context.
      lexicon: words to replace others by.
      rng: draws them.

    Returns:
      None if the lexicon lacks words for all that is to be replaced.
    """
    tags = given.passage.tags
    words = [word.text for word in given.passage.words]
    known = [p for p in given.inside() if lexicon.knows(words[p], tags[p])]
    if not known:
        return None
    around = [p for p in given.outside() if lexicon.knows(words[p], tags[p])]
    around = rng.permutation(around)[: len(known)].tolist() if around else []

    def swapped(places: Sequence[int], choose: Callable[..., str]) -> Variant:
        return rewritten(given, {p: choose(words[p], tags[p], rng) for p in places})

    return {
        ORIGINAL: rewritten(given, {}),
        NEAR: swapped(known, lexicon.near),
        FAR: swapped(known, lexicon.far),
        COMMON: swapped(known, lexicon.common),
        MASKED: rewritten(given, dict.fromkeys(known, lexicon.unknown)),
        REMOVED: rewritten(given, dict.fromkeys(known, "")),
        OUTSIDE: swapped(around, lexicon.near),
    }


def rewritten(given: Context, new: dict[int, str]) -> Variant:
    """Returns the text of a context with some words replaced, and where the target is.

    Args:
      given: the context.
      new: the new text of words, by index; "" removes a word.
    """
    text, parts, last = given.passage.text, [], 0
    start = end = length = 0
    for place, word in enumerate(given.passage.words):
        between = text[last : word.start]
        shown = new.get(place, word.text)
        if place in new and word.text[0].isupper() and shown[:1].islower():
            shown = shown[0].upper() + shown[1:]
        if not shown:
            # With the space before it.
            between = between.rstrip(" ")
        parts += [between, shown]
        if place == given.target:
            start = length + len(between)
            end = start + len(shown)
        length += len(between) + len(shown)
        last = word.end
    return Variant("".join([*parts, text[last:]]), start, end)


def elsewhere(
    given: Context,
    others: Sequence[passages.Passage],
    rng: np.random.Generator,
) -> Variant | None:
    """Returns a random sentence with the target's word in it.

    Another text that has the word is preferred. If there is none, the word takes the
    place of one of the same part of speech.

    Args:
      given: the context.
      others: tagged passages without the pattern.
      rng: draws the passage.

    Returns:
      None if no passage has a word of the same part of speech.
    """
    target = given.passage.words[given.target].text
    tag = given.passage.tags[given.target]
    order = rng.permutation(len(others)).tolist()
    for place in order:
        for word in others[place].words:
            if word.text.lower() == target.lower():
                return Variant(others[place].text, word.start, word.end)
    for place in order:
        passage = others[place]
        for number, found in enumerate(passage.tags):
            if found[:2] == tag[:2]:
                host = Context(passage, (0, 0), number)
                return rewritten(host, {number: target})
    return None

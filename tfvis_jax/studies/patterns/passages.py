"""A passage as pattern matchers read it: its text, its words, and their tags."""

import dataclasses
import functools
import re

from tfvis_jax.description import terms
from tfvis_jax.errors import InputError

# A clitic is a word of its own, as taggers are trained on it.
_WORD = re.compile(
    r"['’](?:s|re|ve|ll|d|m)\b|\d[\d,.]*\d(?!\w)|\w+(?:[-.&]\w+|['’](?!s\b)\w+)*|[^\w\s]"
)


@dataclasses.dataclass(frozen=True)
class Word:
    """A word or a punctuation mark of a passage.

    Attributes:
      text: as spelled.
      start: its first character in the passage.
      end: the character after its last.
    """

    text: str
    start: int
    end: int


class Passage:
    """A text, its words and, where a tagger is given, their parts of speech.

    Attributes:
      text: the text.
      tagger: returns a tag for each word; None without parts of speech.
    """

    def __init__(self, text: str, tagger: terms.Tagger | None = None) -> None:
        """Makes a passage of a text.

        Args:
          text: the text.
          tagger: returns a tag of the Penn Treebank for each word.
        """
        self.text = text
        self.tagger = tagger

    @functools.cached_property
    def words(self) -> list[Word]:
        """Words and punctuation marks in order."""
        return [Word(m.group(), *m.span()) for m in _WORD.finditer(self.text)]

    @functools.cached_property
    def tags(self) -> list[str]:
        """A tag of the Penn Treebank for each word.

        Raises:
          InputError: there is no tagger, or it returns more or fewer tags than words.
        """
        if self.tagger is None:
            raise InputError(
                "This pattern needs parts of speech; give the folder of a tagger "
                "(--tagger)."
            )
        tags = self.tagger(_as_in_the_treebank([word.text for word in self.words]))
        if len(tags) != len(self.words):
            raise InputError(
                f"Expected a tagger that returns one tag for each of "
                f"{len(self.words)} words, got {len(tags)}."
            )
        return tags


def _as_in_the_treebank(words: list[str]) -> list[str]:
    """Writes quotation marks as the Penn Treebank does, apart for begin and end."""
    written, is_open = [], False
    for word in words:
        if word in ('"', "“", "”"):
            is_open = word == "“" or (word == '"' and not is_open)
            word = "``" if is_open else "''"
        written.append(word)
    return written

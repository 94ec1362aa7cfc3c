"""Words to replace others by: near ones, far ones, and common ones of the same class.

A word's class is its part of speech, most often that of it in a text; capitalised
words and numbers of the same length are classes of their own. Near and far are cosines
of the input embeddings of the model, in which only whole words of its vocabulary are
looked for.
"""

import collections
from collections.abc import Iterable

import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.runs import setup
from tfvis_jax.studies.patterns import passages

# Tags of words that carry content; all others are the frame of a pattern.
_CONTENT = ("NN", "JJ", "VB", "RB", "CD")
_NEAREST, _COMMONEST = 5, 20
# A class needs some words to choose from.
_LEAST_WORDS = 10
# Of scripts that no BERT of this library has; read as an unknown token.
_UNKNOWN = ("𒀀", "𓀀", "⸎", "〄")


class Lexicon:
    """The words of a text by class, with their embeddings.

    Attributes:
      unknown: a text that the model reads as its unknown token, [UNK].
    """

    def __init__(self, opened: setup.Setup, texts: Iterable[passages.Passage]) -> None:
        """Counts the words of a text.

        Args:
          opened: model and tokeniser of the run.
          texts: tagged passages.

        Raises:
          InputError: the tokeniser has no unknown token.
        """
        tokenizer = opened.tokenizer
        counts: dict[str, collections.Counter[str]] = {}
        for passage in texts:
            for word, tag in zip(passage.words, passage.tags, strict=True):
                if is_content(word.text, tag):
                    counts.setdefault(class_of(word.text, tag), collections.Counter())[
                        word.text
                    ] += 1
        self._ids: dict[str, int] = {}
        for word in {word for found in counts.values() for word in found}:
            ids = tokenizer.encode(word).ids
            if len(ids) == 1 and ids[0] != tokenizer.unk_id:
                self._ids[word] = int(ids[0])
        self._words = {
            name: [word for word, _ in found.most_common() if word in self._ids]
            for name, found in counts.items()
        }
        table = np.asarray(
            opened.pretrained.encoder.embeddings.word[...],
            np.float32,
        )
        norms = np.linalg.norm(table, axis=1, keepdims=True)
        self._embeddings = table / np.maximum(norms, 1e-9)
        self._tokenizer = tokenizer
        self.unknown = next(
            (
                text
                for text in _UNKNOWN
                if tokenizer.encode(text).ids.tolist() == [tokenizer.unk_id]
            ),
            "",
        )
        if not self.unknown:
            raise InputError(
                "Expected a tokeniser that reads an unknown character as its unknown "
                "token; masked words cannot be tried with this model."
            )

    def knows(self, word: str, tag: str) -> bool:
        """Returns whether there are words to replace a word by."""
        return len(self._others(word, tag)) >= _LEAST_WORDS

    def near(self, word: str, tag: str, rng: np.random.Generator) -> str:
        """Returns one of the nearest words of the same class."""
        others = self._by_nearness(word, tag)
        return others[int(rng.integers(min(_NEAREST, len(others))))]

    def far(self, word: str, tag: str, rng: np.random.Generator) -> str:
        """Returns a word of the same class from its farther half."""
        others = self._by_nearness(word, tag)
        return others[int(rng.integers(len(others) // 2, len(others)))]

    def common(self, word: str, tag: str, rng: np.random.Generator) -> str:
        """Returns one of the commonest words of the same part of speech."""
        same = [
            other
            for name, words in self._words.items()
            if name.split("/")[0] == tag[:2]
            for other in words[:_COMMONEST]
            if other.lower() != word.lower()
        ]
        return same[int(rng.integers(len(same)))] if same else self.near(word, tag, rng)

    def _others(self, word: str, tag: str) -> list[str]:
        found = self._words.get(class_of(word, tag), [])
        return [other for other in found if other.lower() != word.lower()]

    def _by_nearness(self, word: str, tag: str) -> list[str]:
        """Returns the other words of a class, nearest first."""
        others = self._others(word, tag)
        # A word of several pieces is the mean of them.
        own = self._embeddings[self._tokenizer.encode(word).ids].mean(axis=0)
        cosines = self._embeddings[[self._ids[other] for other in others]] @ own
        return [others[place] for place in np.argsort(-cosines, kind="stable").tolist()]


def is_content(word: str, tag: str) -> bool:
    """Returns whether a word carries content, as nouns and numbers do."""
    return word[0].isalnum() and tag[:2] in _CONTENT


def class_of(word: str, tag: str) -> str:
    """Returns the class of a word, such as "NN/NNS/lower" or "CD/4"."""
    if word[0].isdigit():
        return f"CD/{len(word)}"
    case = "upper" if word[0].isupper() else "lower"
    return f"{tag[:2]}/{tag}/{case}"

"""Choose featured factors: of a clear level, and telling by words or by contexts."""

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfvis_jax.data import words as words_lib
from tfvis_jax.description import terms
from tfvis_jax.examples import contexts
from tfvis_jax.examples import results as results_lib
from tfvis_jax.levels import rule

# Number of top-activating examples that are looked at.
_CONTEXTS = 20
# More frequent tokens are function words, which say little by themselves.
_MAX_FREQUENCY = 5e-4
# A factor whose examples are from so few documents may show what these are about.
_FEW_DOCUMENTS = 2
# A factor with fewer other words among these examples is not suggested.
_LEAST_TOLD = 0.5


def choose(
    results: results_lib.Results, levels: Sequence[rule.Level], *, per_level: int = 4
) -> list[int]:
    """Returns the factors of each level whose level is most probable.

    Of factors that are low-level, or guessed to be something else, those are left out
    that fire on function words, marks and pieces of names alone: at least half of the
    top-activating tokens must be whole words of at least three letters that are not too
    frequent. Where a higher level was measured, what a factor tells may be in the words
    around it, and none is left out. A level may so have fewer factors, or none. What
    fires in few documents has no level (`rule.MIN_DOCUMENTS`).

    Args:
      results: results of the run, with examples.
      levels: level of every factor.
      per_level: largest number of factors for each of low, mid and high.

    Returns:
      Factor indices, low-level factors first. In each level come last those whose
      top-activating examples are from one document or two, where the corpus has many;
      before them those that fire most on the word of a better one; before these,
      those on words that tell nothing. Otherwise the most probable come first, and of
      equal probability the strongest.
    """
    strength = results.importance().max(axis=0)
    chosen: list[int] = []
    for name in rule.LEVELS[:3]:
        members = [f for f, level in enumerate(levels) if level.name == name]
        members.sort(key=lambda f: (-levels[f].probability, -strength[f], f))
        ranked: list[tuple[_Rank, int]] = []
        words: set[str] = set()
        for factor in members:
            examples = _examples(results, factor)
            told = _told(results, examples) >= _LEAST_TOLD
            if not told and (name == rule.LEVELS[0] or levels[factor].is_guess):
                continue
            word = _most_frequent(examples)
            rank = _Rank(_is_narrow(results, examples), word in words, not told)
            if not (rank.is_narrow or rank.is_untold):
                words.add(word)
            ranked.append((rank, factor))
            if sum(not any(rank) for rank, _ in ranked) == per_level:
                break
        # Sorting keeps the order of those of one rank.
        ranked.sort(key=lambda each: each[0])
        chosen += [factor for _, factor in ranked[:per_level]]
    return chosen


class _Rank(NamedTuple):
    """What puts a factor behind others, what weighs most first."""

    is_narrow: bool
    is_repeated: bool
    is_untold: bool


def _most_frequent(examples: contexts.ExampleList) -> str:
    counted = collections.Counter(words_lib.fold(each.word) for each in examples)
    return max(counted, key=counted.__getitem__, default="")


def _examples(results: results_lib.Results, factor: int) -> contexts.ExampleList:
    # Not `peak_layer`, which refuses dead factors: they have no examples here.
    layer = results.trained.layers[int(np.argmax(results.importance()[:, factor]))]
    return contexts.strongest(results, factor, layer=layer, n=_CONTEXTS)


def _is_narrow(results: results_lib.Results, examples: contexts.ExampleList) -> bool:
    """Returns whether few of many documents have all examples."""
    documents = {example.document for example in examples}
    return len(documents) <= _FEW_DOCUMENTS and terms.by_document(results.windows)


def _told(results: results_lib.Results, examples: contexts.ExampleList) -> float:
    """Returns the share of examples that are words which say something."""
    if not examples:
        return 0.0
    words = [words_lib.fold(example.word) for example in examples]
    # A token that is a whole word says more than a piece of a name.
    tokens = [results.windows.token_texts(e.window)[e.position] for e in examples]
    readable = [
        word.isalpha() and len(word) > 2 and words_lib.fold(token) == word
        for word, token in zip(words, tokens, strict=True)
    ]
    places = np.array([(example.window, example.position) for example in examples])
    token_ids = results.windows.token_ids(places[:, 0])[
        np.arange(len(places)), places[:, 1]
    ]
    counts = results.windows.token_counts
    rare = counts[token_ids] < _MAX_FREQUENCY * counts.sum()
    return float(np.mean(np.array(readable) & rare))

"""Choose featured factors: strong, spread over many documents, and readable."""

import collections
from collections.abc import Sequence

import numpy as np

from tfvis_jax.data import words as words_lib
from tfvis_jax.examples import contexts
from tfvis_jax.examples import results as results_lib
from tfvis_jax.levels import rule

# Number of top-activating examples that are looked at.
_CONTEXTS = 20
# Number of strongest factors of a level that are considered.
_CANDIDATES = 150
# More frequent tokens are function words, which say little by themselves.
_MAX_FREQUENCY = 5e-4


def choose(
    results: results_lib.Results, levels: Sequence[rule.Level], *, per_level: int = 4
) -> list[int]:
    """Returns factors of each level that people are likely to recognise.

    Among the strongest factors of a level, it prefers those whose top-activating tokens
    are whole words (at least three letters, not too frequent) from many documents. In
    the low level, where a factor usually stands for one word, it also prefers those
    whose tokens agree on the word.

    Args:
      results: results of the run, with examples.
      levels: level of every factor.
      per_level: number of factors for each of low, mid and high.

    Returns:
      Factor indices, low-level factors first.
    """
    strength = results.importance().max(axis=0)
    chosen: list[int] = []
    for name in rule.LEVELS[:3]:
        members = [f for f, level in enumerate(levels) if level.name == name]
        members.sort(key=lambda f: (-strength[f], f))
        scores = {f: _readability(results, f, name) for f in members[:_CANDIDATES]}
        best = sorted(scores, key=lambda f: (-scores[f], f))
        chosen += best[:per_level]
    return chosen


def top_words(results: results_lib.Results, factor: int, *, n: int) -> list[str]:
    """Returns the n words that fire a factor most often at its peak layer.

    Args:
      results: of the run.
      factor: index of the factor.
      n: maximum number of words.
    """
    words = [example.word for example in _at_peak(results, factor)]
    counts = collections.Counter(map(words_lib.fold, words))
    # Folding removes joiners, without which some scripts read badly.
    spelt = {words_lib.fold(word): word.casefold() for word in reversed(words)}
    return [spelt[word] for word, _ in counts.most_common(n)]


def _readability(results: results_lib.Results, factor: int, level: str) -> float:
    """Returns a score in 0 … 1, the product of the shares that `choose` names."""
    examples = _at_peak(results, factor)
    if not examples:
        return 0.0
    words = [words_lib.fold(example.word) for example in examples]
    # A token that is a whole word says more than a piece of a name.
    tokens = [results.windows.token_texts(e.window)[e.position] for e in examples]
    readable = np.mean(
        [
            word.isalpha() and len(word) > 2 and words_lib.fold(token) == word
            for word, token in zip(words, tokens, strict=True)
        ]
    )
    places = np.array([(example.window, example.position) for example in examples])
    token_ids = results.windows.token_ids(places[:, 0])[
        np.arange(len(places)), places[:, 1]
    ]
    counts = results.windows.token_counts
    rare = np.mean(counts[token_ids] < _MAX_FREQUENCY * counts.sum())
    documents = len({example.document for example in examples}) / len(examples)
    agreement = collections.Counter(words).most_common(1)[0][1] / len(words)
    return float(readable * rare * documents * (agreement if level == "low" else 1))


def _at_peak(results: results_lib.Results, factor: int) -> contexts.ExampleList:
    # Not `peak_layer`, which refuses dead factors: they have no examples here.
    layer = results.trained.layers[int(np.argmax(results.importance()[:, factor]))]
    return contexts.strongest(results, factor, layer=layer, n=_CONTEXTS)

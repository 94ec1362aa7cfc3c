"""A handful of factors worth showing first: strong, spread over documents, readable."""

import collections
from collections.abc import Sequence

import numpy as np

from tfvis_jax.examples import contexts, results
from tfvis_jax.levels import rule

_CONTEXTS = 20
_CANDIDATES = 150
# A more frequent token is a word of grammar, and says little by itself.
_MAX_FREQUENCY = 5e-4


def choose(
    run: results.Results, levels: Sequence[rule.Level], *, per_level: int = 4
) -> list[int]:
    """Returns factors of each level that a person is likely to recognise.

    Among the strongest factors of a level, those come first whose top tokens are whole
    words (at least three letters, not among the most frequent) from many documents; in
    the low level, where a factor tends to stand for one word, also those whose top
    tokens agree on it.

    Args:
      run: a run with examples.
      levels: of its factors.
      per_level: factors for each of low, mid and high.

    Returns:
      Factor numbers, low ones first.
    """
    strength = run.importance().max(axis=0)
    chosen: list[int] = []
    for name in rule.LEVELS[:3]:
        members = [f for f, level in enumerate(levels) if level.name == name]
        members.sort(key=lambda f: (-strength[f], f))
        scores = {f: _readability(run, f, name) for f in members[:_CANDIDATES]}
        best = sorted(scores, key=lambda f: (-scores[f], f))
        chosen += best[:per_level]
    return chosen


def top_words(run: results.Results, number: int, *, n: int) -> list[str]:
    """Returns the words that a factor marks most often at its peak layer."""
    counts = collections.Counter(e.word.casefold() for e in _peak(run, number))
    return [word for word, _ in counts.most_common(n)]


def _readability(run: results.Results, number: int, level: str) -> float:
    examples = _peak(run, number)
    if not examples:
        return 0.0
    words = [example.word.casefold() for example in examples]
    # A token that is a whole word says more than a piece of a name.
    tokens = [run.windows.token_texts(e.window)[e.position] for e in examples]
    readable = np.mean(
        [
            word.isalpha() and len(word) > 2 and token.casefold() == word
            for word, token in zip(words, tokens, strict=True)
        ]
    )
    places = np.array([(example.window, example.position) for example in examples])
    token_ids = run.windows.token_ids(places[:, 0])[
        np.arange(len(places)), places[:, 1]
    ]
    counts = run.windows.token_counts
    rare = np.mean(counts[token_ids] < _MAX_FREQUENCY * counts.sum())
    documents = len({example.document for example in examples}) / len(examples)
    agreement = collections.Counter(words).most_common(1)[0][1] / len(words)
    return float(readable * rare * documents * (agreement if level == "low" else 1))


def _peak(run: results.Results, number: int) -> contexts.ExampleList:
    layer = run.trained.layers[int(np.argmax(run.importance()[:, number]))]
    return contexts.strongest(run, number, layer=layer, n=_CONTEXTS)

"""Choose featured factors: of a clear level, and with words that say something."""

import itertools
from collections.abc import Sequence

import numpy as np

from tfvis_jax.data import words as words_lib
from tfvis_jax.examples import contexts
from tfvis_jax.examples import results as results_lib
from tfvis_jax.levels import rule

# Number of top-activating examples that are looked at.
_CONTEXTS = 20
# More frequent tokens are function words, which say little by themselves.
_MAX_FREQUENCY = 5e-4
# A factor with fewer other words among these examples is not suggested.
_LEAST_TOLD = 0.5


def choose(
    results: results_lib.Results, levels: Sequence[rule.Level], *, per_level: int = 4
) -> list[int]:
    """Returns the factors of each level whose level is most probable.

    Left out are those that fire on function words, marks and pieces of names alone: at
    least half of the top-activating tokens must be whole words of at least three
    letters that are not too frequent. A level may so have fewer factors, or none. What
    fires in few documents has no level (`rule.MIN_DOCUMENTS`).

    Args:
      results: results of the run, with examples.
      levels: level of every factor.
      per_level: largest number of factors for each of low, mid and high.

    Returns:
      Factor indices, low-level factors first; in each level the most probable first,
      and of equal probability the strongest.
    """
    strength = results.importance().max(axis=0)
    chosen: list[int] = []
    for name in rule.LEVELS[:3]:
        members = [f for f, level in enumerate(levels) if level.name == name]
        members.sort(key=lambda f: (-levels[f].probability, -strength[f], f))
        telling = (f for f in members if _told(results, f) >= _LEAST_TOLD)
        chosen += itertools.islice(telling, per_level)
    return chosen


def _told(results: results_lib.Results, factor: int) -> float:
    """Returns the share of top-activating tokens that are words which say something."""
    # Not `peak_layer`, which refuses dead factors: they have no examples here.
    layer = results.trained.layers[int(np.argmax(results.importance()[:, factor]))]
    examples = contexts.strongest(results, factor, layer=layer, n=_CONTEXTS)
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

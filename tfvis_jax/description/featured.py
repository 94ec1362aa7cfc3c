"""Choose featured factors: of a clear level, and with words that say something."""

from collections.abc import Sequence

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

    Left out are those that fire on function words, marks and pieces of names alone: at
    least half of the top-activating tokens must be whole words of at least three
    letters that are not too frequent. A level may so have fewer factors, or none.
    Those whose top-activating examples are from one document or two come last, where
    the corpus has many. What fires in few documents has no level
    (`rule.MIN_DOCUMENTS`).

    Args:
      results: results of the run, with examples.
      levels: level of every factor.
      per_level: largest number of factors for each of low, mid and high.

    Returns:
      Factor indices, low-level factors first; in each level those of many documents
      first, then the most probable, and of equal probability the strongest.
    """
    strength = results.importance().max(axis=0)
    chosen: list[int] = []
    for name in rule.LEVELS[:3]:
        members = [f for f, level in enumerate(levels) if level.name == name]
        members.sort(key=lambda f: (-levels[f].probability, -strength[f], f))
        broad: list[int] = []
        narrow: list[int] = []
        for factor in members:
            if len(broad) == per_level:
                break
            examples = _examples(results, factor)
            if _told(results, examples) >= _LEAST_TOLD:
                (narrow if _is_narrow(results, examples) else broad).append(factor)
        chosen += [*broad, *narrow][:per_level]
    return chosen


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

"""Find the words and phrases that fire each factor, how strongly and how exclusively.

The mass of a word is the sum of α over its tokens that fire the factor. It is exact for
the stored top-activating examples. The tokens below them are represented by the random
sample.
"""

import collections
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfvis_jax.description.word_table import WordTable
from tfvis_jax.examples import stored

# A phrase holds the word that fires the factor, and occurs among this many of its
# top-activating examples.
_PHRASE_EXAMPLES = 50
# It occurs in at least this many windows; fewer may be chance or copies.
_PHRASE_WINDOWS = 3
# An estimate from fewer tokens of the random sample is no more than a guess.
_ENOUGH = 3


class Mass(NamedTuple):
    """Words that fire a factor at a layer.

    Attributes:
      word: [k] int32, their numbers in the `WordTable`.
      firings: [k] float64, estimated number of firing tokens of each.
      mass: [k] float64, estimated sum of α over them.
      sure_firings, sure_mass: [k] float64, the same without what is estimated from
        fewer than three tokens of the random sample.
      window, position: [k] int32, the first stored token of each, the strongest one
        if it is among the top-activating examples.
      alpha: [k] float64, α of that token.
    """

    word: np.ndarray
    firings: np.ndarray
    mass: np.ndarray
    sure_firings: np.ndarray
    sure_mass: np.ndarray
    window: np.ndarray
    position: np.ndarray
    alpha: np.ndarray


class _Tokens(NamedTuple):
    """Stored tokens that fire a factor at a layer, [m] each.

    Attributes:
      activation: float64, α.
      weight: float64, how many tokens of the corpus each stands for.
      window, position: int32, of the token.
      n_top: number of the top-activating ones, which come first.
    """

    activation: np.ndarray
    weight: np.ndarray
    window: np.ndarray
    position: np.ndarray
    n_top: int


def of_layer(
    found: stored.Examples, table: WordTable, *, index: int, factor: int
) -> Mass:
    """Returns the words that fire a factor at a layer, with their mass.

    Args:
      found: examples of the run.
      table: words of the corpus.
      index: index into the layers of the examples.
      factor: index of the factor.
    """
    tokens = _tokens(found, index=index, factor=factor)
    word, first, place = np.unique(
        table.numbers(tokens.window, tokens.position),
        return_index=True,
        return_inverse=True,
    )
    activation, weight = tokens.activation, tokens.weight
    sampled = np.arange(len(activation)) >= tokens.n_top
    often = np.bincount(place, sampled, minlength=len(word)) >= _ENOUGH
    sure = np.where(sampled & ~often[place], 0.0, weight)
    return Mass(
        word,
        np.bincount(place, weight, minlength=len(word)),
        np.bincount(place, weight * activation, minlength=len(word)),
        np.bincount(place, sure, minlength=len(word)),
        np.bincount(place, sure * activation, minlength=len(word)),
        tokens.window[first],
        tokens.position[first],
        activation[first],
    )


def windows_of(found: stored.Examples, *, index: int, factor: int) -> np.ndarray:
    """Returns the windows that `of_layer` asks the words of, [m]."""
    return _tokens(found, index=index, factor=factor).window


def _tokens(found: stored.Examples, *, index: int, factor: int) -> _Tokens:
    at = (index, factor)
    top = np.asarray(found.activation[at])
    n_top, firing = int(np.count_nonzero(top)), int(found.firing[at])
    sample = np.asarray(found.random_activation[at])
    # All stronger tokens are in the list, so that only weaker ones are estimated.
    below = (sample > 0) & (sample < top[n_top - 1]) if n_top else sample > 0
    if firing <= n_top:
        below = np.zeros_like(below)
    parts = [
        (top[:n_top], found.window[at][:n_top], found.position[at][:n_top], 1.0),
        (
            sample[below],
            found.random_window[at][below],
            found.random_position[at][below],
            (firing - n_top) / max(int(below.sum()), 1),
        ),
    ]
    return _Tokens(
        np.concatenate([a for a, _, _, _ in parts]).astype(np.float64),
        np.concatenate([np.full(len(a), scale) for a, _, _, scale in parts]),
        np.concatenate([window for _, window, _, _ in parts]),
        np.concatenate([position for _, _, position, _ in parts]),
        n_top,
    )


def strongest(
    layers: Sequence[Mass], table: WordTable, *, n_tokens: int, limit: int
) -> list[tuple[str, float]]:
    """Returns the words that fire a factor most strongly and most exclusively.

    Words that are known from one or two tokens of the random sample are left out. The
    weight of a word is the product of its share of the factor's α and of the mean α
    over all its occurrences in the corpus, at the layer where this is largest. A word
    that fires many factors weakly has a small weight in each.

    Args:
      layers: the words that fire the factor at each layer, from `of_layer`.
      table: words of the corpus.
      n_tokens: number of tokens of the corpus.
      limit: maximum number of words.

    Returns:
      Pairs of word and weight, largest weight first.
    """
    numbers, weights = [np.zeros(0, np.int32)], [np.zeros(0)]
    for words in layers:
        if not len(words.word):
            continue
        share = words.sure_mass / words.mass.sum()
        occurrences = table.shares(words.word) * n_tokens
        # A sample of a large corpus may hold fewer of a word than fire the factor.
        mean = words.sure_mass / np.maximum(occurrences, words.sure_firings)
        numbers.append(words.word)
        weights.append(share * mean)
    number, weight = np.concatenate(numbers), np.concatenate(weights)
    number, weight = number[weight > 0], weight[weight > 0]
    # As many as may be one word's, at all layers, for each that is wanted.
    enough = min(limit * len(layers), len(weight))
    if enough:
        chosen = weight >= np.partition(weight, -enough)[-enough]
        number, weight = number[chosen], weight[chosen]
    order = np.lexsort((number, -weight))
    ranked: dict[int, float] = {}
    for word, value in zip(number[order].tolist(), weight[order].tolist(), strict=True):
        ranked.setdefault(word, value)
    best = itertools.islice(ranked.items(), limit)
    return [(table.spelling(word), value) for word, value in best]


def phrases(
    found: stored.Examples, table: WordTable, *, index: int, factor: int, limit: int
) -> list[tuple[str, float]]:
    """Returns the pairs and triples of words around a factor's strongest tokens.

    Args:
      found: examples of the run.
      table: words of the corpus.
      index: index into the layers of the examples.
      factor: index of the factor.
      limit: maximum number of phrases.

    Returns:
      Pairs of phrase, folded, and share of the windows that hold it; largest share
      first.
    """
    windows: dict[tuple[int, ...], set[int]] = collections.defaultdict(set)
    at = (index, factor)
    n = min(np.count_nonzero(found.activation[at]), _PHRASE_EXAMPLES)
    references = zip(
        found.window[at][:n].tolist(), found.position[at][:n].tolist(), strict=True
    )
    seen = set()
    for window, position in references:
        seen.add(window)
        for ngram in table.ngrams(window, position):
            windows[ngram].add(window)
    often = [
        (" ".join(table.folded[n] for n in ngram), len(holding) / len(seen))
        for ngram, holding in windows.items()
        if len(holding) >= _PHRASE_WINDOWS
    ]
    return sorted(often, key=lambda item: (-item[1], item[0]))[:limit]

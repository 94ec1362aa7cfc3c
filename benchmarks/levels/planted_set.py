"""Which concepts are planted: as many of each class, each at one of three depths.

The layer goes by turns and not by class, so that it gives no class away.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.levels import concepts as concepts_lib
from benchmarks.levels.planted_factors import Plant

# Depths, as shares of the layers, from which directions are taken by turns.
_DEPTHS = (1 / 3, 2 / 3, 1)
# Rows of a word that is planted: enough for a mean, too few for a word of grammar.
_WORD_COUNT = (40, 400)
_MIN_TEMPLATE = 150
_MIN_PIECE = 3


def choose(
    tokens: concepts_lib.Tokens,
    concepts: Sequence[concepts_lib.Concept],
    *,
    form: np.ndarray,
    per_class: int,
    n_layers: int,
    seed: int = 0,
) -> list[Plant]:
    """Draws concepts of each class.

    Args:
      tokens: the corpus.
      concepts: of the classes mid, high and topic.
      form: [n_tokens] number of each token's word family.
      per_class: concepts of a class, at most.
      n_layers: layers of the dictionary.
      seed: decides which.
    """
    rng = np.random.default_rng(seed)
    words = [
        concepts_lib.Concept(name, "low", rows) for name, rows in _words(tokens, form)
    ]
    templates = [
        concept
        for concept in concepts
        if concept.level == "mid" and len(concept.rows) >= _MIN_TEMPLATE
    ]
    domains = [concept for concept in concepts if concept.level == "high"]
    documents = [concept for concept in concepts if concept.level == "topic"]
    documents.sort(key=lambda concept: -len(concept.rows))
    drawn = [
        _draw(rng, words, per_class),
        _draw(rng, templates, per_class),
        domains[:per_class],
        documents[:per_class],
    ]
    layers = [round(depth * (n_layers - 1)) for depth in _DEPTHS]
    return [
        Plant(c.name, c.level, c.rows, layers[number % len(layers)])
        for of_class in drawn
        for number, c in enumerate(of_class)
    ]


def _draw(
    rng: np.random.Generator, concepts: Sequence[concepts_lib.Concept], count: int
) -> list[concepts_lib.Concept]:
    return [concepts[i] for i in rng.permutation(len(concepts))[:count]]


def _words(
    tokens: concepts_lib.Tokens, form: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    order = np.argsort(form, kind="stable")
    _, first = np.unique(form[order], return_index=True)
    for rows in np.split(order, first[1:]):
        if not _WORD_COUNT[0] <= len(rows) <= _WORD_COUNT[1]:
            continue
        start = tokens.start[rows[0]]
        word = tokens.text[start:].split(maxsplit=1)[0]
        if word.isalpha() and len(word) >= _MIN_PIECE:
            yield word.casefold(), rows

"""A corpus of nine words, hostile ones among them, and the factors that they fire."""

import numpy as np

from tfvis_jax.data import words as words_lib
from tfvis_jax.viewer import site

EVIL = "<script>document.title = 'broken'</script><img src=x onerror=alert(1)>"
WORDS = ("left", "Straße", "cafe\u0301", "of", "bank", "x" * 400, EVIL, "ΟΔΟΣ", "rare")
OCCURRENCES = np.array([41, 7, 6, 900, 12, 2, 3, 5, 1.0])


class Corpus:
    """Nine words, numbered by their place in `WORDS`."""

    folded = tuple(words_lib.fold(word) for word in WORDS)

    def spelling(self, number):
        return words_lib.composed(WORDS[number])

    def occurrences(self, numbers):
        return OCCURRENCES[numbers]

    def context(self, window, position):
        return site.Context(
            before=f"before {window} ",
            word=WORDS[position],
            after=f" after {EVIL}",
            activation=0.0,
            document=f"Article {window}",
        )


def firings(factor):
    """Returns the words of a factor at four layers: some of the nine."""
    rng = np.random.default_rng(factor)
    layers = []
    for layer in range(4):
        word = np.flatnonzero(rng.random(len(WORDS)) < 0.6)
        if factor == 5 or not len(word):
            none = np.zeros(0)
            layers.append(site.WordFirings(none.astype(int), *[none] * 6))
            continue
        firings = np.ceil(OCCURRENCES[word] * rng.random(len(word)))
        mass = firings * rng.uniform(0.05, 1, len(word))
        layers.append(
            site.WordFirings(
                word=word,
                firings=firings,
                mass=mass,
                own=mass / mass.sum(),
                window=np.full(len(word), 10 * factor + layer),
                position=word,
                alpha=rng.uniform(1, 2, len(word)),
            )
        )
    return layers

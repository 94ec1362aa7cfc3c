"""How alike the words are that fire a factor, in the model's own word embeddings.

A factor of one word, of a semantic field or of a word class fires at words that lie
close together before any context is read. Where the firing words lie apart, the word
does not say why the factor fires.
"""

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import stored
from tfvis_jax.levels import firings as firings_lib
from tfvis_jax.runs import setup

# Firings whose words are compared, in pairs.
_DRAWS = 200


class Embeddings:
    """Word embeddings of unit norm about their mean in the corpus."""

    def __init__(self, opened: setup.Setup, windows: windows_lib.Windows):
        """Reads the embeddings of a run's model."""
        vectors = np.asarray(opened.pretrained.encoder.embeddings.word[...], np.float32)
        count = np.zeros(len(vectors))
        known = windows.token_counts[: len(vectors)]
        count[: len(known)] = known
        vectors = vectors - count @ vectors / max(count.sum(), 1)
        norm = np.linalg.norm(vectors, axis=1, keepdims=True)
        self._vectors = vectors / np.maximum(norm, np.finfo(np.float32).tiny)
        self._windows = windows

    def kinship(self, examples: stored.Examples, index: int, factor: int) -> float:
        """Returns the mean cosine of the tokens of two firings, −1 to 1.

        Firings stand for equal weights Σα. Only pairs from different documents count; 0
        if there are none.

        Args:
          examples: examples of the run.
          index: index into the layers of the examples.
          factor: index of the factor.
        """
        drawn = firings_lib.draw(examples, index, factor, n=_DRAWS)
        if not len(drawn.window):
            return 0.0
        ids = self._windows.token_ids(drawn.window)[
            np.arange(len(drawn.window)), drawn.position
        ]
        return between_groups(
            self._vectors[ids].astype(np.float64),
            self._windows.documents[drawn.window],
        )


def between_groups(vectors: np.ndarray, group: np.ndarray) -> float:
    """Returns the mean product of two vectors of different groups, 0 if there is one.

    Args:
      vectors: [n, d].
      group: [n] int.
    """
    numbers, place = np.unique(group, return_inverse=True)
    sums = (place == np.arange(len(numbers))[:, None]).astype(vectors.dtype) @ vectors
    count = np.bincount(place)
    # All pairs, less those within a group.
    pairs = len(vectors) ** 2 - (count**2).sum()
    total = vectors.sum(axis=0)
    return float((total @ total - (sums**2).sum()) / pairs) if pairs else 0.0

"""The tokens of drawn passages: hidden states, codes, patterns."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse

from tfvis_jax import codes
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.studies.patterns import pattern_text
from tfvis_jax.studies.patterns import patterns as patterns_lib

# Passages that are encoded together; their residuals are not kept.
_TOGETHER = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """One row for each token of the passages.

    Attributes:
      codes: [rows, n_factors] CSR by layer.
      x: [rows, d_model] float32 by layer, hidden states divided by the layer's scale.
      taking_part: [n_patterns, rows] bool.
      passage_of: [rows] int64.
      document_of: [rows] int64, the document of each row's passage.
      half_of: [rows] int64.
      is_random: [rows] bool, True for tokens of passages drawn at random.
      token_ids: [rows] int32.
      starts, ends: [rows] int64, characters in the passage.
    """

    codes: dict[int, scipy.sparse.csr_array]
    x: dict[int, np.ndarray]
    taking_part: np.ndarray
    passage_of: np.ndarray
    document_of: np.ndarray
    half_of: np.ndarray
    is_random: np.ndarray
    token_ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def of_half(self, half: int) -> np.ndarray:
        """Returns the rows of one half, ascending."""
        return np.flatnonzero(self.half_of == half)


def encode(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    drawn: pattern_text.DrawnText,
    *,
    layers: Sequence[int],
    progress: Callable[[str], None] = lambda what: None,
) -> Rows:
    """Encodes the passages and marks the tokens that take part in patterns.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      drawn: the passages.
      layers: layers of the dictionary.
      progress: called with lines of text.

    Raises:
      InputError: there is no such layer.
    """
    parts = []
    for first in range(0, len(drawn.passages), _TOGETHER):
        progress(f"encoding passages, {first:,} of {len(drawn.passages):,}")
        encoded = codes.encode_texts(
            opened,
            trained,
            drawn.passages[first : first + _TOGETHER],
            layers=layers,
            with_rows=True,
        )
        parts.append(dataclasses.replace(encoded, residual=None))

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(part.tokens, name) for part in parts])

    passage_of = np.concatenate(
        [
            np.asarray(part.tokens.document, np.int64) + number * _TOGETHER
            for number, part in enumerate(parts)
        ]
    )
    starts, ends = column("start"), column("end")
    return Rows(
        codes={
            layer: scipy.sparse.csr_array(
                scipy.sparse.vstack([p.codes[layer] for p in parts], format="csr")
            )
            for layer in layers
        },
        x={
            layer: np.concatenate([(p.x or {})[layer] for p in parts])
            for layer in layers
        },
        taking_part=_taking_part(drawn, passage_of, starts, ends),
        passage_of=passage_of,
        document_of=drawn.document_of[passage_of],
        half_of=drawn.half_of[passage_of],
        is_random=drawn.is_random[passage_of],
        token_ids=column("token_id"),
        starts=starts,
        ends=ends,
    )


def _taking_part(
    drawn: pattern_text.DrawnText,
    passage_of: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
) -> np.ndarray:
    found = np.zeros((len(drawn.patterns), len(passage_of)), bool)
    bounds = np.searchsorted(passage_of, np.arange(len(drawn.passages) + 1))
    for passage, of_patterns in enumerate(drawn.spans):
        rows = slice(*bounds[passage : passage + 2])
        for number, spans in enumerate(of_patterns):
            found[number, rows] = patterns_lib.taking_part(
                spans, starts[rows], ends[rows]
            )
    return found

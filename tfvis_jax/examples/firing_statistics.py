"""Count how a factor's activations are distributed and which factors fire with it.

All counts are integers, so parts of a corpus add up exactly in any order.
"""

import dataclasses

import numpy as np

from tfvis_jax.examples import ranked_lists

# Sums add α as an integer multiple of this. The error per token is at most 3e-8, about
# the rounding error of float32 at α = 0.5.
FIXED_POINT = 2.0**-24
# Four bins of equal width per octave, from 2⁻¹² to 2¹².
_FIRST_OCTAVE, _OCTAVES, _PER_OCTAVE = -12, 24, 4
N_BINS = _OCTAVES * _PER_OCTAVE
# The first bin also holds all smaller values, the last bin all larger ones.
HISTOGRAM_EDGES = np.array(
    [
        0.0,
        *(
            2.0 ** (_FIRST_OCTAVE + number // _PER_OCTAVE)
            * (1 + number % _PER_OCTAVE / _PER_OCTAVE)
            for number in range(1, N_BINS)
        ),
        np.inf,
    ]
)
# Limit for the pair counts: 8 bytes per layer and pair of factors.
MAX_PAIR_BYTES = 512 * 2**20


def fixed_point(values: np.ndarray) -> np.ndarray:
    """Rounds values to int64 multiples of `FIXED_POINT`."""
    return np.rint(np.asarray(values, np.float64) / FIXED_POINT).astype(np.int64)


def bins(activation: np.ndarray) -> np.ndarray:
    """Returns the histogram bin of each activation, [m] float32 > 0."""
    # The exponent and the two highest mantissa bits count quarters of octaves.
    quarters = activation.view(np.int32) >> 21
    first = (127 + _FIRST_OCTAVE) * _PER_OCTAVE
    return np.clip(quarters - first, 0, N_BINS - 1)


def counts_pairs(*, n_layers: int, n_factors: int) -> bool:
    """Returns whether co-firing pairs fit in `MAX_PAIR_BYTES` and are counted."""
    return n_layers * n_factors**2 * 8 <= MAX_PAIR_BYTES


@dataclasses.dataclass
class LayerCounts:
    """Counts at one layer.

    Attributes:
      histogram: [n_factors, `N_BINS`] int64, number of tokens per activation bin.
      pairs: [n_factors, n_factors] int64, number of tokens that fire both factors,
        above the diagonal; None if pairs are not counted.
      norm: [] int64, Σ ‖x‖ over all tokens, in units of `FIXED_POINT`.
      n_tokens: [] int64, number of tokens.
    """

    histogram: np.ndarray
    pairs: np.ndarray | None
    norm: np.ndarray
    n_tokens: np.ndarray

    @classmethod
    def zeros(cls, *, n_factors: int, pairs: bool) -> "LayerCounts":
        """Returns the counts of zero tokens."""
        return cls(
            histogram=np.zeros((n_factors, N_BINS), np.int64),
            pairs=np.zeros((n_factors, n_factors), np.int64) if pairs else None,
            norm=np.zeros((), np.int64),
            n_tokens=np.zeros((), np.int64),
        )

    def add_rows(
        self,
        norms: np.ndarray,
        *,
        row: np.ndarray,
        factor: np.ndarray,
        activation: np.ndarray,
    ) -> None:
        """Adds tokens to the counts.

        Args:
          norms: [rows], ‖x‖ of each token.
          row: [m], row of each positive code, ascending.
          factor: [m], factor of each positive code, ascending within a row.
          activation: [m] float32, the positive codes.
        """
        flat = factor * N_BINS + bins(activation)
        found = np.bincount(flat, minlength=self.histogram.size)
        self.histogram += found.reshape(self.histogram.shape)
        if self.pairs is not None:
            self.pairs += count_pairs(row, factor, n_factors=len(self.pairs))
        self.norm += fixed_point(norms).sum()
        self.n_tokens += len(norms)

    def add(self, other: "LayerCounts") -> None:
        """Adds the counts of other tokens; both or neither must count pairs."""
        self.histogram += other.histogram
        if self.pairs is not None and other.pairs is not None:
            self.pairs += other.pairs
        self.norm += other.norm
        self.n_tokens += other.n_tokens

    @property
    def mean_norm(self) -> float:
        """Mean ‖x‖ of the tokens; 0 if there are none."""
        return float(self.norm) * FIXED_POINT / max(int(self.n_tokens), 1)


def count_pairs(row: np.ndarray, factor: np.ndarray, *, n_factors: int) -> np.ndarray:
    """Counts the rows in which each pair of factors is active.

    Args:
      row: [m], row of each active factor, ascending.
      factor: [m], the active factors, ascending within a row.
      n_factors: number of factors in the dictionary.

    Returns:
      [n_factors, n_factors] int64, zero on and below the diagonal.
    """
    # `tfvis encode`, which counts nothing, would import it each time.
    import scipy.sparse

    per_row = np.bincount(row)
    # Half the bytes take half the time; an int16 counts 32,767 rows.
    dtype = np.int16 if len(per_row) <= np.iinfo(np.int16).max else np.int32
    starts = np.concatenate([[0], np.cumsum(per_row)])
    fires = scipy.sparse.csr_array(
        (np.ones(len(factor), dtype), factor, starts), shape=(len(per_row), n_factors)
    )
    # As fast as the product of both sparse with 8,192 factors, and up to three times as
    # fast with fewer: it adds whole rows, and need not look up where a pair belongs.
    both = fires.T @ fires.toarray()
    return np.triu(both, 1).astype(np.int64)


def partners(
    pairs: np.ndarray | None, *, firing: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the k co-firing factors of each factor.

    They are ranked by the Jaccard index: the number of tokens that fire both, divided
    by the number that fire either. Ties are broken by factor index.

    Args:
      pairs: [n_factors, n_factors] pair counts above the diagonal, or None if pairs
        were not counted.
      firing: [n_factors], number of tokens that fire each factor.
      k: number of co-firing factors per factor.

    Returns:
      Factors [n_factors, k] int32, padded with −1, and their scores [n_factors, k]
      float32, padded with 0.
    """
    partner = np.full((len(firing), k), -1, np.int32)
    partner_score = np.zeros((len(firing), k), np.float32)
    if pairs is None:
        return partner, partner_score
    both = pairs + pairs.T
    score = both / np.maximum(firing[:, None] + firing[None] - both, 1)
    # Only the k best of a factor, and those that tie with them, are sorted.
    if k < len(firing):
        last = np.partition(score, len(firing) - k, axis=1)[:, len(firing) - k]
        score[score < last[:, None]] = 0
    row, column = np.nonzero(score)
    order = np.lexsort((-score[row, column], row))
    rank = ranked_lists.rank_in_group(row[order])
    order, rank = order[rank < k], rank[rank < k]
    where = row[order], rank
    partner[where] = column[order]
    partner_score[where] = score[row[order], column[order]]
    return partner, partner_score

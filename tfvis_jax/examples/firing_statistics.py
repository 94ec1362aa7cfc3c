"""How a factor's activations are distributed, and with which others it fires.

All are whole numbers, so that parts of a corpus add up exactly in any order.
"""

import dataclasses

import numpy as np

# α enters sums as a whole number of these: an error of 3e-8 for each token at most,
# about that of float32 itself at α = 0.5.
FIXED_POINT = 2.0**-24
# Four bins an octave from 2⁻¹² to 2¹²: equal widths between powers of two.
_FIRST_OCTAVE, _OCTAVES, _PER_OCTAVE = -12, 24, 4
N_BINS = _OCTAVES * _PER_OCTAVE
# The first bin takes all that is smaller, the last all that is larger.
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
# A pair that is counted costs as much as 1,000 products of a matrix product.
_DENSE_ABOVE = 1e-3
# Pairs that are counted at a time: 32 MB.
_MAX_KEYS = 4_000_000
# Counting pairs takes 8 bytes for each pair of factors at each layer.
MAX_PAIR_BYTES = 512 * 2**20


def fixed_point(values: np.ndarray) -> np.ndarray:
    """Returns int64 multiples of `FIXED_POINT`, the nearest to the values."""
    return np.rint(np.asarray(values, np.float64) / FIXED_POINT).astype(np.int64)


def bins(activation: np.ndarray) -> np.ndarray:
    """Returns the bin of each activation [m] float32 > 0, read off its bits."""
    # Exponent and the two highest bits of the mantissa count quarters of octaves.
    quarters = activation.view(np.int32) >> 21
    first = (127 + _FIRST_OCTAVE) * _PER_OCTAVE
    return np.clip(quarters - first, 0, N_BINS - 1)


def counts_pairs(*, n_layers: int, n_factors: int) -> bool:
    """Whether pairs of factors that fire together are counted; not in large sizes."""
    return n_layers * n_factors**2 * 8 <= MAX_PAIR_BYTES


@dataclasses.dataclass
class Counts:
    """Counts of one layer.

    Attributes:
      histogram: [n_factors, `N_BINS`] int64, tokens by activation.
      pairs: [n_factors, n_factors] int64, tokens that fire both, above the diagonal;
        None if not counted.
      norm: [] int64, Σ ‖x‖ of all tokens in units of `FIXED_POINT`.
      n_tokens: [] int64.
    """

    histogram: np.ndarray
    pairs: np.ndarray | None
    norm: np.ndarray
    n_tokens: np.ndarray

    @classmethod
    def zeros(cls, *, n_factors: int, pairs: bool) -> "Counts":
        """Returns counts of no tokens."""
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
        """Counts more tokens.

        Args:
          norms: [rows], ‖x‖ of the tokens.
          row: [m] rising, whose code each of the positive ones is.
          factor: [m], its factor; rising within a row.
          activation: [m] float32, the code.
        """
        flat = factor * N_BINS + bins(activation)
        found = np.bincount(flat, minlength=self.histogram.size)
        self.histogram += found.reshape(self.histogram.shape)
        if self.pairs is not None:
            self.pairs += count_pairs(row, factor, n_factors=len(self.pairs))
        self.norm += fixed_point(norms).sum()
        self.n_tokens += len(norms)

    def add(self, other: "Counts") -> None:
        """Adds the counts of other tokens."""
        self.histogram += other.histogram
        if self.pairs is not None:
            self.pairs += other.pairs
        self.norm += other.norm
        self.n_tokens += other.n_tokens

    @property
    def mean_norm(self) -> float:
        """Mean ‖x‖."""
        return float(self.norm) * FIXED_POINT / max(int(self.n_tokens), 1)


def count_pairs(row: np.ndarray, factor: np.ndarray, *, n_factors: int) -> np.ndarray:
    """Counts the rows in which two factors stand together.

    Args:
      row: [m] rising.
      factor: [m], rising within a row.
      n_factors: how many there are.

    Returns:
      [n_factors, n_factors] int64, zero on and below the diagonal.
    """
    per_row = np.bincount(row)
    n_pairs = np.sum(per_row**2) // 2
    if n_pairs > _DENSE_ABOVE * len(per_row) * n_factors**2:
        fires = np.zeros((len(per_row), n_factors), np.float32)
        fires[row, factor] = 1
        # Exact: float32 counts to 2²⁴. NumPy computes half of it, by symmetry.
        return np.triu(fires.T @ fires, 1).astype(np.int64)
    found = np.zeros(n_factors**2, np.int64)
    left, last = np.arange(len(row)), np.repeat(np.cumsum(per_row), per_row) - 1
    keys: list[np.ndarray] = []
    turns = range(1, int(per_row.max(initial=0)))
    for apart in turns:
        # Entries of the same row, so many places apart.
        left = left[last[left] - left >= apart]
        keys.append(factor[left] * n_factors + factor[left + apart])
        if apart == turns[-1] or sum(map(len, keys)) > _MAX_KEYS:
            found += np.bincount(np.concatenate(keys), minlength=len(found))
            keys = []
    return found.reshape(n_factors, n_factors)


def partners(
    pairs: np.ndarray | None, *, firing: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the k factors with which each fires together most.

    The score is Jaccard's: tokens that fire both over tokens that fire either. Equal
    ones come by number.

    Args:
      pairs: [n_factors, n_factors] counts above the diagonal; None where they were not
        counted.
      firing: [n_factors], tokens that fire each.
      k: partners.

    Returns:
      Factors [n_factors, k] int32, −1 where fewer fire with it; scores float32.
    """
    partner = np.full((len(firing), k), -1, np.int32)
    partner_score = np.zeros((len(firing), k), np.float32)
    if pairs is None:
        return partner, partner_score
    both = pairs + pairs.T
    score = both / np.maximum(firing[:, None] + firing[None] - both, 1)
    order = np.argsort(-score, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(score, order, axis=1)
    partner[:, : order.shape[1]] = np.where(best > 0, order, -1)
    partner_score[:, : order.shape[1]] = best
    return partner, partner_score

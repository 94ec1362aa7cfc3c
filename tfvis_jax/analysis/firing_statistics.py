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
      pairs: [n_factors, n_factors] int64, tokens that fire both; None if not counted.
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
        codes: np.ndarray,
        norms: np.ndarray,
        *,
        factor: np.ndarray,
        activation: np.ndarray,
    ) -> None:
        """Counts more tokens.

        Args:
          codes: [rows, n_factors].
          norms: [rows], ‖x‖.
          factor: [m], those of the positive codes.
          activation: [m] float32, these codes.
        """
        flat = factor * N_BINS + bins(activation)
        found = np.bincount(flat, minlength=self.histogram.size)
        self.histogram += found.reshape(self.histogram.shape)
        if self.pairs is not None:
            fires = (codes > 0).astype(np.float32)
            # Exact: float32 counts to 2²⁴. NumPy computes half of it, by symmetry.
            self.pairs += (fires.T @ fires).astype(np.int64)
        self.norm += fixed_point(norms).sum()
        self.n_tokens += len(codes)

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


def partners(
    pairs: np.ndarray | None, *, n_factors: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the k factors with which each fires together most.

    The score is Jaccard's: tokens that fire both over tokens that fire either. Equal
    ones come by number.

    Args:
      pairs: [n_factors, n_factors] counts; the diagonal has each factor's own. None
        where they were not counted.
      n_factors: factors in the dictionary.
      k: partners.

    Returns:
      Factors [n_factors, k] int32, −1 where fewer fire with it; scores float32.
    """
    partner = np.full((n_factors, k), -1, np.int32)
    partner_score = np.zeros((n_factors, k), np.float32)
    if pairs is None:
        return partner, partner_score
    own = np.diag(pairs)
    score = pairs / np.maximum(own[:, None] + own[None] - pairs, 1)
    np.fill_diagonal(score, 0)
    order = np.argsort(-score, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(score, order, axis=1)
    partner[:, : order.shape[1]] = np.where(best > 0, order, -1)
    partner_score[:, : order.shape[1]] = best
    return partner, partner_score

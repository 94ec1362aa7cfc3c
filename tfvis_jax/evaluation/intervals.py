"""How far held-out figures would move with other documents: bootstrap intervals.

Rows of one document are alike, so documents are drawn, not rows: with replacement, as
many as there are (a cluster bootstrap). Every figure is computed again from the sums of
the drawn documents, the mean row μ of the FVU included. The 2.5 % and 97.5 % quantiles
of 1,000 draws are the interval (Efron and Tibshirani 1993, *An Introduction to the
Bootstrap*, chapter 13).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# Fewer documents say next to nothing about others.
LEAST_DOCUMENTS = 5
# More are joined with their neighbours, which bounds the memory.
MOST_DOCUMENTS = 1000
_DRAWS = 1000
_SEED = 0
_QUANTILES = (0.025, 0.975)


class Interval(NamedTuple):
    """A 95 % interval; NaN where there was nothing to measure."""

    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Intervals:
    """The intervals of one figure.

    Attributes:
      all: of all layers pooled.
      per_layer: of each layer.
    """

    all: Interval
    per_layer: list[Interval]


@dataclasses.dataclass
class DocumentSums:
    """Sums over the rows of each document, of one layer.

    Attributes:
      n_rows: [n_documents].
      x: [n_documents, d_model], Σ x.
      squared_norm: [n_documents], Σ ‖x‖².
      squared_error: [n_documents] for each kind of codes, Σ ‖x − x̂‖².
      n_active: [n_documents] for each kind of codes, number of non-zero codes.
    """

    n_rows: np.ndarray
    x: np.ndarray
    squared_norm: np.ndarray
    squared_error: dict[str, np.ndarray]
    n_active: dict[str, np.ndarray]

    @classmethod
    def zeros(
        cls, kinds: Sequence[str], *, n_documents: int, d_model: int
    ) -> "DocumentSums":
        """Returns the sums of no rows at all."""

        def zeros() -> np.ndarray:
            return np.zeros(n_documents)

        return cls(
            zeros(),
            np.zeros((n_documents, d_model)),
            zeros(),
            {kind: zeros() for kind in kinds},
            {kind: zeros() for kind in kinds},
        )


def groups(documents: np.ndarray) -> np.ndarray:
    """Numbers the documents of windows from 0, joining neighbours where they are many.

    Args:
      documents: [n] number of each window's document.

    Returns:
      [n] int64, below `MOST_DOCUMENTS`.
    """
    found, places = np.unique(documents, return_inverse=True)
    if len(found) <= MOST_DOCUMENTS:
        return places
    return places * MOST_DOCUMENTS // len(found)


def of_kind(layers: Sequence[DocumentSums], kind: str) -> dict[str, Intervals] | None:
    """Returns the intervals of FVU and L0 of one kind of codes.

    Args:
      layers: sums of each layer over the same documents.
      kind: name of the codes in the sums.

    Returns:
      Intervals by the name of the figure; None for fewer than `LEAST_DOCUMENTS`.
    """
    n_documents = int(np.count_nonzero(layers[0].n_rows))
    if n_documents < LEAST_DOCUMENTS:
        return None
    size = len(layers[0].n_rows)
    # [draws, documents], how often each was drawn.
    drawn = np.random.default_rng(_SEED).multinomial(
        size, np.full(size, 1 / size), size=_DRAWS
    )

    def over(figure: Callable[..., np.ndarray]) -> Intervals:
        return Intervals(
            _interval(figure(drawn, layers, kind)),
            [_interval(figure(drawn, [layer], kind)) for layer in layers],
        )

    return {"fvu": over(fvu), "l0": over(l0)}


def fvu(drawn: np.ndarray, layers: Sequence[DocumentSums], kind: str) -> np.ndarray:
    """Returns the fraction of variance unexplained of each draw, [draws].

    Args:
      drawn: [draws, n_documents], how often each document counts.
      layers: sums of each layer.
      kind: name of the codes.
    """
    error = sum(drawn @ layer.squared_error[kind] for layer in layers)
    variance = sum(
        drawn @ layer.squared_norm
        - np.sum((drawn @ layer.x) ** 2, axis=1) / np.maximum(drawn @ layer.n_rows, 1)
        for layer in layers
    )
    return _ratio(error, variance)


def l0(drawn: np.ndarray, layers: Sequence[DocumentSums], kind: str) -> np.ndarray:
    """Returns the mean number of active factors of each draw; arguments of `fvu`."""
    n_active = sum(drawn @ layer.n_active[kind] for layer in layers)
    return _ratio(n_active, sum(drawn @ layer.n_rows for layer in layers))


def _ratio(numerator: np.ndarray | int, denominator: np.ndarray | int) -> np.ndarray:
    below = np.asarray(denominator, np.float64)
    return np.where(below > 0, numerator / np.where(below > 0, below, 1), np.nan)


def _interval(values: np.ndarray) -> Interval:
    known = values[~np.isnan(values)]
    if not known.size:
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, _QUANTILES)
    return Interval(float(low), float(high))

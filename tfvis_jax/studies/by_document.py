"""Means and ratios of measurements with intervals over documents.

Measurements of one document are alike, so documents are drawn, not measurements: with
replacement, as many as there are (a cluster bootstrap; Efron and Tibshirani 1993, *An
Introduction to the Bootstrap*, chapter 13). All figures of one `Resampled` come from
the same draws, so that differences and ratios of two of them are paired.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.probing import scores

_PERCENTILES = (2.5, 97.5)


class Resampled:
    """Documents drawn again and again.

    Attributes:
      documents: [n] int64, the document of each measurement, numbered from 0.
      times: [n_resamples + 1, n_documents], how often each document counts; the first
        line is the data itself.
    """

    def __init__(
        self, documents: np.ndarray, *, n_resamples: int = 1000, seed: int = 0
    ) -> None:
        """Draws the documents.

        Args:
          documents: [n], any name or number for the document of each measurement.
          n_resamples: number of draws.
          seed: of the draws.

        Raises:
          InputError: there are no measurements.
        """
        found, places = np.unique(np.asarray(documents), return_inverse=True)
        if not len(found):
            raise InputError("Expected measurements of one document or more, got none.")
        n = len(found)
        drawn = np.random.default_rng(seed).multinomial(
            n, np.full(n, 1 / n), size=n_resamples
        )
        self.documents = places.astype(np.int64)
        self.times = np.concatenate([np.ones((1, n), np.int64), drawn])

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return self.times.shape[1]

    def mean(
        self, values: np.ndarray, weights: np.ndarray | None = None
    ) -> scores.Estimate:
        """Returns Σ w v / Σ w.

        Args:
          values: [n]; not read where the weight is 0.
          weights: [n] ≥ 0, such as tokens that a value is a mean over; ones if None.
        """
        return estimate(self._means(values, weights))

    def geometric_mean(self, values: np.ndarray, *, floor: float) -> scores.Estimate:
        """Returns exp(mean of log(max(value, floor))); few large values do not rule it.

        Args:
          values: [n] ≥ 0.
          floor: what smaller values count as.
        """
        logs = np.log(np.maximum(np.asarray(values, np.float64), floor))
        return estimate(np.exp(self._means(logs, None)))

    def _means(self, values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        values = np.asarray(values, np.float64)
        if weights is None:
            weights = np.ones(len(values))
        counted = np.where(weights > 0, values, 0) * weights
        total, weight = self._sums(counted), self._sums(weights)
        return np.divide(
            total, weight, out=np.full(len(total), np.nan), where=weight > 0
        )

    def _sums(self, values: np.ndarray) -> np.ndarray:
        by_document = np.bincount(
            self.documents, weights=values, minlength=self.n_documents
        )
        return self.times @ by_document


def estimate(values: np.ndarray) -> scores.Estimate:
    """Returns a figure with its interval.

    Args:
      values: [1 + n_resamples], the figure of the data, then of each resample.
    """
    known = values[1:][~np.isnan(values[1:])]
    low, high = np.percentile(known, _PERCENTILES) if len(known) else (np.nan, np.nan)
    return scores.Estimate(float(values[0]), float(low), float(high), values[1:])


def quotient(above: scores.Estimate, below: scores.Estimate) -> scores.Estimate:
    """Returns the ratio of two figures of the same draws."""
    a, b = (np.append(each.value, each.samples) for each in (above, below))
    return estimate(np.divide(a, b, out=np.full(len(a), np.nan), where=b != 0))


def difference(
    a: scores.Estimate, b: scores.Estimate, *, sign: float = 1
) -> scores.Estimate:
    """Returns sign · (a − b) of two figures of the same draws."""
    gap = scores.difference(a, b)
    return estimate(sign * np.append(gap.value, gap.samples))


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values for a JSON file: estimates as `numbers`, None for NaN."""

    def convert(value: Any) -> Any:
        if isinstance(value, scores.Estimate):
            return numbers(value)
        if isinstance(value, list | tuple):
            return [convert(each) for each in value]
        if isinstance(value, Mapping):
            return {name: convert(each) for name, each in value.items()}
        if isinstance(value, float) and np.isnan(value):
            return None
        return value

    return convert(values)


def numbers(found: scores.Estimate) -> list[float | None]:
    """Returns [value, low, high] for a JSON file, None for NaN."""
    return [
        None if np.isnan(number) else float(f"{number:.6g}")
        for number in (found.value, found.low, found.high)
    ]

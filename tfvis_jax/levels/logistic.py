"""A multinomial logistic model over a few named numbers, read from JSON.

The probability of class c is softmax(b + Wz)_c, with z the numbers less their mean,
divided by their scale, and held within ±4: nothing was seen beyond.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np

from tfvis_jax import schema as schema_lib

_Numbers = list[schema_lib.Finite]
LIMIT = 4.0


class Logistic(msgspec.Struct, frozen=True):
    """The model.

    Attributes:
      classes: names of the classes.
      names: names of the numbers.
      mean, scale: of each number.
      weight: one row for each class, one entry for each number.
      bias: of each class.
    """

    classes: list[str]
    names: list[str]
    mean: _Numbers
    scale: list[schema_lib.AboveZero]
    weight: list[_Numbers]
    bias: _Numbers

    def probabilities(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Returns the probability of each class.

        Args:
          numbers: all of `names`; others are ignored.
        """
        z = standardised(
            np.array([numbers[name] for name in self.names]), self.mean, self.scale
        )
        p = softmax(np.array(self.bias) + np.array(self.weight) @ z)
        return dict(zip(self.classes, p.tolist(), strict=True))


class Split(msgspec.Struct, frozen=True):
    """Divides long range into topic and high by the documents of the strongest firings.

    Attributes:
      midpoint: share of them in few documents at which both are as probable.
      slope: of the log odds.
    """

    midpoint: schema_lib.Finite
    slope: schema_lib.NotNegative

    def topic(self, tip_few: float) -> float:
        """Returns the probability of a topic, given that a factor is long-range."""
        odds = np.array([0.0, self.slope * (tip_few - self.midpoint)])
        return float(softmax(odds)[1])


class Calibration(msgspec.Struct, frozen=True):
    """The models of the levels, and what they were fitted on.

    Attributes:
      fitted_on: a sentence.
      measured: for factors on which context was measured.
      guess: for factors of which only the examples are known.
      split: of long range, into topic and high.
      least: probability below which the level is unclear.
    """

    fitted_on: str
    measured: Logistic
    guess: Logistic
    split: Split
    least: Annotated[float, msgspec.Meta(ge=0, le=1)]


def read(path: pathlib.Path) -> Calibration:
    """Reads the models that `benchmarks.levels.fit` has written."""
    return schema_lib.read(path, Calibration, remedy="Install the package again.")


def standardised(
    numbers: np.ndarray, mean: Sequence[float], scale: Sequence[float]
) -> np.ndarray:
    """Returns (numbers − mean) / scale within ±4; the last axis is that of names."""
    z = (numbers - np.asarray(mean)) / np.asarray(scale)
    return np.clip(z, -LIMIT, LIMIT)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns exp(logits), normalised along the last axis."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    weights = np.exp(logits)
    return weights / weights.sum(axis=-1, keepdims=True)

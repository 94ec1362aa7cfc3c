"""Factors that point where a factor points, and factors that fire where it fires."""

import dataclasses
import typing

import numpy as np

from tfvis_jax.examples import stored

if typing.TYPE_CHECKING:
    from tfvis_jax.runs import dictionary_file


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """Another factor.

    Attributes:
      factor: its number.
      score: how near it is; see the function that found it.
    """

    factor: int
    score: float


def by_cosine(
    trained: "dictionary_file.TrainedDictionary", factor: int, *, k: int
) -> tuple[Neighbour, ...]:
    """Returns the k factors of the largest cosine with a factor, the nearest first."""
    cosine = trained.factors @ trained.factors[factor]
    order = np.argsort(-cosine, kind="stable")
    nearest = order[order != factor][:k]
    return tuple(Neighbour(int(f), float(cosine[f])) for f in nearest)


def by_firing(
    found: stored.Examples, factor: int, *, layer: int, k: int
) -> tuple[Neighbour, ...]:
    """Returns the k factors that fire at the same tokens as a factor most.

    The score is Jaccard's: tokens that fire both over tokens that fire either. None
    where the run has too many factors for pairs to be counted.

    Args:
      found: the examples of the run.
      factor: its number.
      layer: where they fire together.
      k: how many at most.
    """
    index = found.layers.index(layer)
    partner = found.partner[index, factor].tolist()
    score = found.partner_score[index, factor].tolist()
    pairs = zip(partner, score, strict=True)
    return tuple(Neighbour(f, s) for f, s in pairs if f >= 0 and s > 0)[:k]

"""Find factors of similar direction, and co-firing factors."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from tfvis_jax.examples import stored

if TYPE_CHECKING:
    from tfvis_jax.runs import trained_dictionary


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """A related factor.

    Attributes:
      factor: index of the related factor.
      score: similarity; see the function that found it.
    """

    factor: int
    score: float


def by_cosine(
    trained: "trained_dictionary.TrainedDictionary", factor: int, *, k: int
) -> tuple[Neighbour, ...]:
    """Returns the k factors with the largest cosine similarity, largest first.

    Args:
      trained: dictionary of the run.
      factor: index of the factor.
      k: maximum number of factors.
    """
    # Factors have unit norm.
    cosine = trained.factors @ trained.factors[factor]
    order = np.argsort(-cosine, kind="stable")
    nearest = order[order != factor][:k]
    return tuple(Neighbour(int(f), float(cosine[f])) for f in nearest)


def by_firing(
    found: stored.Examples, factor: int, *, layer: int, k: int
) -> tuple[Neighbour, ...]:
    """Returns at most k co-firing factors, which fire at the same tokens as a factor.

    The score is the Jaccard index: tokens that fire both, divided by tokens that fire
    either. The result is empty if the run has too many factors for counting pairs.

    Args:
      found: examples of the run.
      factor: index of the factor.
      layer: layer at which they fire together.
      k: maximum number of factors.
    """
    index = found.layers.index(layer)
    partner, score = found.partners(index, factor)
    pairs = zip(partner[:k].tolist(), score[:k].tolist(), strict=True)
    return tuple(Neighbour(f, s) for f, s in pairs)

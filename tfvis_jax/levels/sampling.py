"""Choose the factors whose levels are worth measuring, where not all are measured.

Most factors are low or unreadable, which the examples tell without context. What the
examples give to words around a factor or further away is where measuring tells most.
"""

import dataclasses
from collections.abc import Sequence

from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import rule


def by_context(
    evidence: Sequence[evidence_lib.Evidence | None], *, n: int
) -> list[int]:
    """Returns the factors for which a guess gives context most.

    That is 1 − P(low) − P(unreadable), of the probabilities without measured context.
    What is measured already does not count, so that the choice stays the same.

    Args:
      evidence: [n_factors]; None for factors that never fire.
      n: number of factors.

    Returns:
      Up to n factors, those of most context first, then those of the smallest number.
      Factors with too little evidence for probabilities are not among them.
    """
    context: dict[int, float] = {}
    for factor, each in enumerate(evidence):
        if each is None:
            continue
        p = rule.judge(dataclasses.replace(each, context=None)).probabilities
        if p:
            context[factor] = 1 - p["low"] - p["unreadable"]
    return sorted(context, key=lambda factor: (-context[factor], factor))[:n]

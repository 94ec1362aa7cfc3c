"""A second run beside the one that a page shows: which factors are the same."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfvis_jax.viewer import payload


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """The factors of a second run, and those that factors of the first are like.

    Attributes:
      title: Title of the second run.
      corpus: Name of its text.
      l1_penalty: Its λ; None where an imported encoder finds its codes.
      words: [n_second] words of each of its factors, strongest first.
      labels: [n_second] label of each, or an empty string.
      nearest: [n_first] the factor of the second run of largest cosine.
      cosine: [n_first] this cosine.
      partner: [n_first] the factor of the second run in the one-to-one matching of
        largest sum of cosines; None where it has too few factors.
      partner_cosine: [n_first] the cosine with it, or None.
      by_chance: Median over the first run's factors of the largest cosine with as many
        random directions.
    """

    title: str
    corpus: str
    l1_penalty: float | None
    words: Sequence[Sequence[str]]
    labels: Sequence[str]
    nearest: Sequence[int]
    cosine: Sequence[float]
    partner: Sequence[int | None]
    partner_cosine: Sequence[float | None]
    by_chance: float


def value(beside: Beside) -> dict[str, Any]:
    """Returns the value of ``data/beside``.

    Args:
      beside: The second run.
    """
    return {
        "by_chance": payload.number(beside.by_chance, digits=2),
        "corpus": beside.corpus,
        "cosine": payload.numbers(beside.cosine, digits=3),
        "l1_penalty": payload.number_or_none(beside.l1_penalty),
        "labels": list(beside.labels),
        "nearest": list(beside.nearest),
        "partner": list(beside.partner),
        "partner_cosine": [
            None if cosine is None else payload.number(cosine, digits=3)
            for cosine in beside.partner_cosine
        ],
        "title": beside.title,
        "words": [list(words) for words in beside.words],
    }

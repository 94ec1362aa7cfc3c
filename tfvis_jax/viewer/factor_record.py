"""One factor as its page gets it: numbers per layer, contexts, all firings.

A context shared by several layers or bands is stored once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvis_jax.viewer import payload, site

_LAYER_WORDS = 6


def record(
    data: site.SiteData,
    factor: int,
    contexts: list[list[site.Context]],
    words: list[tuple[str, int]],
    layer_words: list[list[tuple[str, int]]],
    firings: list[site.Firings],
) -> dict[str, Any]:
    """Returns what the page of a factor needs.

    Args:
      data: What the site shows.
      factor: Number of the factor.
      contexts: Its contexts per layer, largest activation first.
      words: Its words, with numbers of documents.
      layer_words: The same for each layer.
      firings: Its firings per layer, or nothing.
    """
    texts: dict[tuple[str, str, str, str, int | None, int], int] = {}

    relatives = data.relatives(factor)

    def entries(found: Sequence[site.Context]) -> list[tuple[Any, ...]]:
        return [_entry(context, texts) for context in found]

    return {
        "activation": payload.numbers(data.max_activation[:, factor]),
        "contexts": [entries(layer) for layer in contexts],
        "density": payload.numbers(data.density[:, factor]),
        "factor": factor,
        "firings": [
            {
                "bands": [entries(band) for band in (at.upper, at.middle, at.random)],
                "documents": (at.documents, at.strongest),
                "explained": _shares(at.explained([word for word, _ in words])),
                "histogram": _trimmed(at.histogram),
                "quantiles": [
                    q if q is None else payload.number(q) for q in at.quantiles
                ],
            }
            for at in firings
        ],
        "lowers": _scored(relatives.lowers),
        "nearest": _scored(relatives.nearest),
        "raises": _scored(relatives.raises),
        "together": [_scored(at) for at in relatives.together],
        "importance": payload.numbers(data.importance[:, factor]),
        "label_remarks": data.labels[factor].remarks if factor in data.labels else "",
        "label_scores": _label_scores(data.label_scores.get(factor)),
        "label_source": data.labels[factor].source if factor in data.labels else "",
        "layer_words": [found[:_LAYER_WORDS] for found in layer_words],
        "reason": data.level_reasons[factor],
        "texts": list(texts),
        "words": words,
    }


def _label_scores(found: site.LabelScores | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "judge": found.judge,
        "shares": [
            (name, payload.numbers(shares, digits=3))
            for name, shares in found.shares.items()
        ],
    }


def _entry(
    context: site.Context, texts: dict[tuple[str, str, str, str, int | None, int], int]
) -> tuple[Any, ...]:
    """Returns place of the text, α, the other words in one list, and copies."""
    key = (
        *(context.before, context.word, context.after, context.document),
        *(context.window, context.start),
    )
    others = [
        value
        for start, length, activation in context.others
        for value in (start, length, payload.two_digits(activation))
    ]
    place = texts.setdefault(key, len(texts))
    return place, payload.number(context.activation), others, context.copies


def _scored(
    found: Sequence[tuple[int | str, float]],
) -> list[tuple[int | str, float | None]]:
    return [(each, payload.number(score, digits=3)) for each, score in found]


def _shares(shares: tuple[float, float] | None) -> list[float | None] | None:
    return None if shares is None else payload.numbers(shares, digits=3)


def _trimmed(histogram: Sequence[int]) -> list[int]:
    """Returns the first bin that is not empty, and the counts up to the last one."""
    filled = np.flatnonzero(histogram)
    if not len(filled):
        return []
    first, last = int(filled[0]), int(filled[-1])
    return [first, *map(int, histogram[first : last + 1])]

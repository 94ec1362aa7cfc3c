"""Writes the files of factors, 16 each, and tells what the rest of a site needs.

A file depends on its own factors alone, so that several processes can write them.
"""

import math
import pathlib
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfvis_jax.data import words as words_lib
from tfvis_jax.errors import InputError
from tfvis_jax.viewer import factor_record, payload, site

# Factors in a file.
SIZE = 16
# A factor is narrow if its strongest tokens are from so few documents.
_NARROW = 2
_LIST_WORDS = 8
# Whether these fire is decided by the words around: their own say little of them.
_IN_CONTEXT = ("mid", "high", "topic")
# Characters of a context in a row of the list, before its word and after it.
_BEFORE, _AFTER = 30, 60


class Shard(NamedTuple):
    """What the rest of a site says of the factors of one file.

    Attributes:
      factors: their numbers.
      n_contexts: number of their contexts.
      windows: the passages that their contexts name.
      narrow: how many of them fire most in very few documents.
      words: of each, its words, with numbers of documents.
      terms: of each, what a search finds it by.
      strongest: of those that the page suggests, the strongest context.
      lines: of those measured to need context, the strongest one, cut to a line.
      word_firings: of each, the words that fire it at each layer.
    """

    factors: range
    n_contexts: int
    windows: set[int]
    narrow: int
    words: list[list[tuple[str, int]]]
    terms: list[site.SearchTerms]
    strongest: dict[int, tuple[Any, ...] | None]
    lines: list[tuple[int, str, str, str]]
    word_firings: list[list[site.WordFirings]]


# Writes the files of all factors below a folder; yields what they hold, in order. To
# close the generator gives up the rest.
Shards = Generator[Shard, None, None]
Write = Callable[[pathlib.Path, site.SiteData], Shards]


def ranges(n_factors: int) -> Iterator[range]:
    """Yields the numbers of the factors of each file."""
    for start in range(0, n_factors, SIZE):
        yield range(start, min(start + SIZE, n_factors))


def one_by_one(folder: pathlib.Path, data: site.SiteData) -> Shards:
    """Writes the files of all factors in this process; a `Write`."""
    for factors in ranges(data.n_factors):
        yield write(folder, data, factors)


def write(folder: pathlib.Path, data: site.SiteData, factors: range) -> Shard:
    """Writes the file of some factors.

    Args:
      folder: Folder of the site.
      data: What the site shows.
      factors: One of `ranges`.

    Raises:
      InputError: ``data.contexts`` or ``data.firings`` does not return one entry per
        layer.
    """
    shard = Shard(factors, 0, set(), 0, [], [], {}, [], [])
    n_contexts = narrow = 0
    entries = []
    for factor in factors:
        contexts = _contexts(data, factor)
        n_contexts += sum(len(layer) for layer in contexts)
        by_layer = _words(data, factor, contexts)
        words = _telling(data, factor, contexts, by_layer)
        shard.words.append(words)
        if factor in data.featured:
            shard.strongest[factor] = _strongest(data, factor, contexts)
        if _needs_context(data, factor) and (best := _best(data, factor, contexts)):
            shard.lines.append((factor, *_line(best)))
        shard.terms.append(data.terms(factor))
        shard.word_firings.append(data.word_firings(factor))
        firings = _firings(data, factor)
        entry = factor_record.record(data, factor, contexts, words, by_layer, firings)
        shard.windows.update(text[4] for text in entry["texts"] if text[4] is not None)
        narrow += _is_narrow(data, factor, firings)
        entries.append(entry)
    payload.save(
        folder, f"data/factors/{factors.start // SIZE:05d}", {"factors": entries}
    )
    return shard._replace(n_contexts=n_contexts, narrow=narrow)


def _firings(data: site.SiteData, factor: int) -> list[site.Firings]:
    """Returns the firings of a factor per layer, or nothing."""
    firings = data.firings(factor)
    if firings and len(firings) != len(data.layers):
        raise InputError(
            f"Expected `firings({factor})` to return one entry for each of the "
            f"{len(data.layers)} layers or none, got {len(firings)}."
        )
    return firings


def _is_narrow(
    data: site.SiteData, factor: int, firings: Sequence[site.Firings]
) -> bool:
    """Returns whether a factor's strongest tokens are from very few documents."""
    if not firings:
        return False
    at = firings[int(np.argmax(np.nan_to_num(data.importance[:, factor])))]
    return at.strongest > _NARROW and at.documents <= _NARROW


def _contexts(data: site.SiteData, factor: int) -> list[list[site.Context]]:
    """Returns the contexts of a factor per layer, largest activation first."""
    contexts = data.contexts(factor)
    if len(contexts) != len(data.layers):
        raise InputError(
            f"Expected `contexts({factor})` to return one list for each of the "
            f"{len(data.layers)} layers, got {len(contexts)}."
        )
    return [
        sorted(
            layer,
            key=lambda c: c.activation if math.isfinite(c.activation) else -math.inf,
            reverse=True,
        )
        for layer in contexts
    ]


def _words(
    data: site.SiteData, factor: int, contexts: list[list[site.Context]]
) -> list[list[tuple[str, int]]]:
    """Returns the words of a factor at each layer."""
    if data.words is None:
        return [site.top_words(layer, limit=_LIST_WORDS) for layer in contexts]
    return data.words(factor)


def _telling(
    data: site.SiteData,
    factor: int,
    contexts: list[list[site.Context]],
    by_layer: list[list[tuple[str, int]]],
) -> list[tuple[str, int]]:
    """Returns the words that stand for a factor: those of its peak layer.

    Where it has words of its contexts alone, those of the layers with at least half the
    peak importance count: where a factor rarely fires, they say little about it.
    """
    importance = data.importance[:, factor]
    if data.words is not None:
        return by_layer[int(np.argmax(np.nan_to_num(importance, nan=-1.0)))]
    enough = importance >= np.max(importance) / 2
    telling = [
        c for layer, kept in zip(contexts, enough, strict=True) if kept for c in layer
    ]
    return site.top_words(telling, limit=_LIST_WORDS)


def _strongest(
    data: site.SiteData, factor: int, contexts: list[list[site.Context]]
) -> tuple[Any, ...] | None:
    """Returns the strongest context of a factor at its peak layer, if there is one."""
    best = _best(data, factor, contexts)
    if best is None:
        return None
    return best.before, best.word, best.after, payload.number(best.activation)


def _best(
    data: site.SiteData, factor: int, contexts: list[list[site.Context]]
) -> site.Context | None:
    found = contexts[int(np.argmax(np.nan_to_num(data.importance[:, factor])))]
    return found[0] if found else None


def _needs_context(data: site.SiteData, factor: int) -> bool:
    """Returns whether a factor was measured to fire by the words around its word."""
    return (
        bool(data.level_scores)
        and not math.isnan(data.level_scores[factor])
        and data.levels[factor] in _IN_CONTEXT
    )


def _line(context: site.Context) -> tuple[str, str, str]:
    """Returns a context as a line: before, word and after, cut between words."""
    flat = (re.sub(r"\s+", " ", text) for text in (context.before, context.after))
    before, after = words_lib.nearest(*flat, room=(_BEFORE, _AFTER))
    return before, " ".join(context.word.split()), after

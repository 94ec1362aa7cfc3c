"""How large a site is, or will be, by what its files hold."""

import dataclasses
import math
import pathlib

import numpy as np

from tfvis_jax.viewer import factor_record, payload, site, word_pages

# Factors that an estimate looks at.
_SAMPLE = 12
# Bytes of a factor in the list of factors, per layer and besides.
_INDEX_LAYER, _INDEX_FACTOR = 8, 420
# Bytes of the page of a word, per layer and besides.
_WORD_LAYER, _WORD = 90, 500
# Where the files of a site lie, and what they hold.
_KINDS = {
    "assets": "the page itself",
    "data/factors": "factors and contexts",
    "data/windows": "whole passages",
    "data/words": "pages of words",
    "data/sentences": "recorded sentences",
    "data": "list of factors",
    "": "start page and checksums",
}


@dataclasses.dataclass(frozen=True)
class Size:
    """Files of one kind.

    Attributes:
      what: What they hold.
      files: Number of files.
      size: Bytes.
    """

    what: str
    files: int
    size: int


def measure(folder: pathlib.Path) -> list[Size]:
    """Returns the sizes of a site by kind.

    Args:
      folder: Of the site.
    """
    totals = {kind: [0, 0] for kind in _KINDS}
    for path in folder.rglob("*"):
        if path.is_file():
            inside = path.parent.relative_to(folder).as_posix()
            kind = inside if inside in _KINDS else ""
            totals[kind][0] += 1
            totals[kind][1] += path.stat().st_size
    return [
        Size(what, *totals[kind]) for kind, what in _KINDS.items() if totals[kind][0]
    ]


def estimate(data: site.SiteData, *, shard_size: int, window_shard: int) -> list[Size]:
    """Estimates the sizes of a site before it is written, from a few of its factors.

    Args:
      data: What the site shows.
      shard_size: Factors in a file.
      window_shard: Passages in a file.
    """
    chosen = np.unique(np.linspace(0, data.n_factors - 1, _SAMPLE).round().astype(int))
    scale = data.n_factors / len(chosen)
    size, passages = 0, set[int]()
    for factor in chosen.tolist():
        record = factor_record.record(
            data,
            factor,
            data.contexts(factor),
            [],
            [[] for _ in data.layers],
            data.firings(factor),
        )
        size += len(payload.line(record).encode("utf-8"))
        passages |= {text[4] for text in record["texts"] if text[4] is not None}
    texts = [len(data.window_text(p).encode("utf-8")) for p in sorted(passages)[:100]]
    # Factors share passages: there are no more than their numbers tell.
    n_passages = min(math.ceil(len(passages) * scale), max(passages, default=-1) + 1)
    index = data.n_factors * (_INDEX_FACTOR + _INDEX_LAYER * len(data.layers))
    found = [
        Size(
            "factors and contexts",
            math.ceil(data.n_factors / shard_size),
            round(size * scale),
        ),
        Size("list of factors", 3, index),
    ]
    if texts:
        found.insert(
            1,
            Size(
                "whole passages",
                math.ceil(n_passages / window_shard),
                round(n_passages * float(np.mean(texts))),
            ),
        )
    if data.corpus_words is not None:
        n_words = len(word_pages.with_pages(data.corpus_words))
        size = n_words * (_WORD + _WORD_LAYER * len(data.layers))
        # One file more holds all words.
        found.insert(-1, Size("pages of words", word_pages.NUM_SHARDS + 1, size))
    return found

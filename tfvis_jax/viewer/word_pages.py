"""Writes the pages of words: which factors fire on a word, at which layers.

    data/words/00.js … ff.js  the words whose hash ends in this byte (`shard_of`)
    data/words/known.js       all of them, most frequent first

The factors of a word come from all over the dictionary, whereas factors are written one
after the other. What they say of words is spilled to temporary files, in which the
records of each of the 256 files of words stand together: those of one of them alone are
in memory at a time.
"""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfvis_jax.viewer import payload, site

NUM_SHARDS = 256
# Rarer words, and those beyond the most frequent ones, have no page.
LEAST_OCCURRENCES = 2
MOST_WORDS = 30_000
# Factors of a word: the strongest at each layer, and those that fire on little else.
_STRONGEST, _OWN = 3, 2
# A word that occurs seldom tells less of its factors.
_MOST_FACTORS, _MOST_OF_RARE, _RARE = 12, 8, 10
# α over all occurrences, relative to the largest, below which a factor is left out.
_LEAST = 0.1
_BUFFERED = 500_000
_RECORD = np.dtype(
    [
        *[(name, "<i4") for name in ("word", "factor", "layer", "window", "position")],
        *[(name, "<f4") for name in ("firings", "mass", "own", "alpha")],
    ]
)

# Saves a data file of a site under its name.
Save = Callable[[str, object], None]


class _Row(NamedTuple):
    """One factor of a word: its records, one a layer, and the strongest of them."""

    records: np.ndarray
    strongest: np.ndarray


@dataclasses.dataclass(frozen=True)
class Spill:
    """What factors say of words, in temporary files.

    Attributes:
      folder: of the files, empty at first.
      folded: the words without regard to case, by number; more may be added later.
    """

    folder: pathlib.Path
    folded: Sequence[str]
    _waiting: list[np.ndarray] = dataclasses.field(default_factory=list)
    _shards: list[int] = dataclasses.field(default_factory=list)
    # Of each file: where the records of each shard begin, and where the last ones end.
    _ends: list[np.ndarray] = dataclasses.field(default_factory=list)

    def add(self, factor: int, layers: Sequence[site.WordFirings]) -> None:
        """Adds the words that fire a factor at each layer."""
        for index, at in enumerate(layers):
            if not len(at.word):
                continue
            records = np.zeros(len(at.word), _RECORD)
            records["factor"], records["layer"] = factor, index
            for name in at._fields:
                records[name] = getattr(at, name)
            self._waiting.append(records)
        if sum(map(len, self._waiting)) >= _BUFFERED:
            self._flush()

    def read(self, part: int) -> np.ndarray:
        """Returns the records of the words of a shard."""
        self._flush()
        found = [np.zeros(0, _RECORD)]
        for number, ends in enumerate(self._ends):
            first, last = ends[part], ends[part + 1]
            if first < last:
                with (self.folder / str(number)).open("rb") as file:
                    file.seek(int(first) * _RECORD.itemsize)
                    found.append(np.fromfile(file, _RECORD, int(last - first)))
        return np.concatenate(found)

    def _flush(self) -> None:
        if not self._waiting:
            return
        records = np.concatenate(self._waiting)
        self._waiting.clear()
        self._shards.extend(map(shard_of, self.folded[len(self._shards) :]))
        part = np.array(self._shards, np.int32)[records["word"]]
        order = np.argsort(part, kind="stable")
        ends = np.searchsorted(part[order], np.arange(NUM_SHARDS + 1))
        records[order].tofile(self.folder / str(len(self._ends)))
        self._ends.append(ends)


def shard_of(word: str) -> int:
    """Returns the shard of a folded word: FNV-1a of its UTF-8, modulo 256."""
    value = 0x811C9DC5
    for byte in word.encode("utf-8", "replace"):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value % NUM_SHARDS


def write(save: Save, spill: Spill, words: site.CorpusWords, *, n_layers: int) -> int:
    """Writes the pages of words.

    Args:
      save: Saves a data file.
      spill: What the factors say of words.
      words: The words of the corpus.
      n_layers: Number of layers.

    Returns:
      The number of words that have a page.
    """
    occurrences = _occurrences(words)
    chosen = _with_pages(occurrences)
    known: list[tuple[int, str]] = []
    for shard in range(NUM_SHARDS):
        records = spill.read(shard)
        records = records[np.isin(records["word"], chosen)]
        records = records[np.argsort(records["word"], kind="stable")]
        numbers, starts = np.unique(records["word"], return_index=True)
        entries = [
            _entry(found, words, number, float(occurrences[number]), n_layers=n_layers)
            for number, found in zip(
                numbers.tolist(), np.split(records, starts[1:]), strict=False
            )
        ]
        entries.sort(key=lambda entry: entry["folded"])
        known += [(-entry["occurrences"], entry["spelling"]) for entry in entries]
        # Also an empty one: that a word is unknown must not look like a missing file.
        save(f"data/words/{shard:02x}", {"words": entries})
    save("data/words/known", {"words": [spelling for _, spelling in sorted(known)]})
    return len(known)


def with_pages(words: site.CorpusWords) -> np.ndarray:
    """Returns the numbers of the words that have a page, ascending."""
    return _with_pages(_occurrences(words))


def _occurrences(words: site.CorpusWords) -> np.ndarray:
    return np.asarray(words.occurrences(np.arange(len(words.folded))))


def _with_pages(occurrences: np.ndarray) -> np.ndarray:
    order = np.argsort(-occurrences, kind="stable")[:MOST_WORDS]
    return np.sort(order[occurrences[order] >= LEAST_OCCURRENCES])


def _entry(
    found: np.ndarray,
    words: site.CorpusWords,
    number: int,
    occurrences: float,
    *,
    n_layers: int,
) -> dict[str, Any]:
    contexts: dict[tuple[str, str, str, str], int] = {}
    rows = []
    for row in _rows(found, occurrences):
        best = row.strongest
        context = words.context(int(best["window"]), int(best["position"]))
        key = (context.before, context.word, context.after, context.document)
        columns: list[list[float | None]] = [[None] * n_layers for _ in range(3)]
        of_row = row.records
        for layer, mean, firings, own in zip(
            of_row["layer"].tolist(),
            (of_row["mass"] / of_row["firings"]).tolist(),
            of_row["firings"].tolist(),
            of_row["own"].tolist(),
            strict=True,
        ):
            columns[0][layer] = payload.number(mean, digits=2)
            columns[1][layer] = round(min(firings / occurrences, 1.0), 3)
            columns[2][layer] = round(own, 3)
        place = contexts.setdefault(key, len(contexts))
        alpha = payload.number(float(best["alpha"]), digits=3)
        factor, layer = int(best["factor"]), int(best["layer"])
        rows.append((factor, layer, alpha, place, *columns))
    return {
        "contexts": list(contexts),
        "factors": rows,
        "folded": words.folded[number],
        "occurrences": math.ceil(occurrences),
        "spelling": words.spelling(number),
    }


def _rows(found: np.ndarray, occurrences: float) -> list[_Row]:
    """Returns the factors of a word, the strongest first.

    A factor is as strong as its mean α over all occurrences of the word, at the layer
    where this is largest. Those that fire on little else are chosen as the search ranks
    them: by this mean times the word's share of the factor's α.
    """
    factor, layer = found["factor"], found["layer"]
    mean = found["mass"] / occurrences
    weight = found["own"] * mean
    chosen = np.zeros(len(found), bool)
    for score, n in ((mean, _STRONGEST), (weight, _OWN)):
        order = np.lexsort((-score, layer))
        ordered = layer[order]
        # Place among those of the same layer, the largest first.
        place = np.arange(len(order)) - np.searchsorted(ordered, ordered)
        chosen[order[place < n]] = True
    kept = np.flatnonzero(np.isin(factor, factor[chosen]))
    kept = kept[np.argsort(factor[kept], kind="stable")]
    numbers, starts = np.unique(factor[kept], return_index=True)
    largest = np.maximum.reduceat(mean[kept], starts)
    most = _MOST_OF_RARE if occurrences < _RARE else _MOST_FACTORS
    rows = []
    for row in np.lexsort((numbers, -largest))[:most].tolist():
        if largest[row] < _LEAST * float(mean.max()):
            break
        end = starts[row + 1] if row + 1 < len(starts) else len(kept)
        of_factor = kept[starts[row] : end]
        # Of all layers: the example that says most of what the factor stands for.
        strongest = found[of_factor[np.argmax(found["alpha"][of_factor])]]
        rows.append(_Row(found[of_factor], strongest))
    return rows

"""Writes the static site of a run.

    index.html, assets/       the page, the same for every run
    data/manifest.js          what the run is, counts
    data/index.js             columns over all factors, for the list of factors
    data/factors/00000.js …   16 factors each: numbers per layer, contexts
    data/windows/00000.js …   whole passages of the contexts, by 64 numbers
    data/live.js              the recorded sentences; none are encoded on demand
    data/sentences/00000.js … one recorded sentence each

The site opens by double-click and from any static web server. Data files are scripts
(see ``payload``). Within a factor, a context shared by several layers is stored once.
"""

import importlib.resources
import itertools
import math
import numbers
import pathlib
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import abc
from typing import Any

import numpy as np

from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.viewer import factor_record, payload, site

SCHEMA = "tfvis-site/1"
SHARD_SIZE = 16
WINDOW_SHARD = 64
# A factor is narrow if its strongest tokens are from so few documents.
_NARROW = 2
_LIST_WORDS = 8


def write(
    folder: pathlib.Path | str,
    data: site.SiteData,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes the site of a run; an old site is replaced once the new one is complete.

    Only the contexts of one shard of factors are in memory at a time.

    Args:
      folder: Folder of the site.
      data: What the site shows.
      progress: Called with the number of factors written and the total.

    Raises:
      InputError: ``folder`` exists and is not a site, or ``data.contexts`` does not
        return one list per layer.
    """
    folder = pathlib.Path(folder).absolute()
    _check_replaceable(folder)
    with files.whole_folder(folder) as partial:
        _copy(importlib.resources.files("tfvis_jax.viewer") / "static", partial)
        words, terms, n_contexts = [], [], 0
        windows: set[int] = set()
        narrow = 0
        for start in range(0, data.n_factors, SHARD_SIZE):
            stop = min(start + SHARD_SIZE, data.n_factors)
            entries = []
            for factor in range(start, stop):
                contexts = _contexts(data, factor)
                n_contexts += sum(len(layer) for layer in contexts)
                telling = _where_it_lives(data.importance[:, factor], contexts)
                words.append(site.top_words(telling, limit=_LIST_WORDS))
                terms.append(data.terms(factor))
                firings = _firings(data, factor)
                entry = factor_record.record(data, factor, contexts, words[-1], firings)
                windows.update(
                    text[4] for text in entry["texts"] if text[4] is not None
                )
                narrow += _is_narrow(data, factor, firings)
                entries.append(entry)
            name = f"data/factors/{start // SHARD_SIZE:05d}"
            _save(partial, name, {"factors": entries})
            if progress is not None:
                progress(stop, data.n_factors)
        _save_windows(partial, data, windows)
        _save(partial, "data/index", _index(data, words, terms))
        recorded = []
        for number, records in enumerate(data.sentences):
            name = f"data/sentences/{number:05d}"
            _save(partial, name, records)
            recorded.append({"name": name, "text": records[0]["text"]})
        _save(partial, "data/live", {"live": False, "recorded": recorded})
        _save(
            partial,
            "data/manifest",
            _manifest(data, n_contexts=n_contexts, narrow=narrow),
        )


def read(folder: pathlib.Path | str, name: str) -> dict[str, Any]:
    """Returns the value of one data file of a site, such as ``"data/manifest"``.

    Raises:
      FileNotFoundError: The site has no such file.
      ValueError: The file is damaged.
    """
    text = (pathlib.Path(folder) / f"{name}.js").read_text(encoding="utf-8")
    return payload.loads(text)[1]


def _check_replaceable(folder: pathlib.Path) -> None:
    if not folder.exists():
        return
    if folder.is_dir() and (
        (folder / "data" / "manifest.js").is_file() or not any(folder.iterdir())
    ):
        return
    raise InputError(
        f"Expected a new folder or an existing site to replace, got {folder}, which "
        "holds something else; choose another folder."
    )


def _copy(source: abc.Traversable, target: pathlib.Path) -> None:
    for entry in source.iterdir():
        if entry.is_dir():
            (target / entry.name).mkdir()
            _copy(entry, target / entry.name)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())


def _save(folder: pathlib.Path, name: str, value: object) -> None:
    path = folder / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(payload.dumps(name, value).encode("utf-8"))


def _save_windows(
    folder: pathlib.Path, data: site.SiteData, windows: Iterable[int]
) -> None:
    for shard, members in itertools.groupby(
        sorted(windows), key=lambda number: number // WINDOW_SHARD
    ):
        texts = [(number, data.window_text(number)) for number in members]
        _save(folder, f"data/windows/{shard:05d}", {"windows": texts})


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


def _where_it_lives(
    importance: np.ndarray, contexts: list[list[site.Context]]
) -> list[site.Context]:
    """Returns the contexts of the layers with at least half the peak importance.

    Where a factor rarely fires, its contexts say little about it.
    """
    enough = importance >= np.max(importance) / 2
    return [
        c for layer, kept in zip(contexts, enough, strict=True) if kept for c in layer
    ]


def _index(
    data: site.SiteData,
    words: Sequence[list[tuple[str, int]]],
    terms: Sequence[site.SearchTerms],
) -> dict[str, Any]:
    listed = {word for top in words for word, _ in top}
    vocabulary = sorted(listed | {word for found in terms for word, _ in found.words})
    places = {word: place for place, word in enumerate(vocabulary)}
    alive = _alive(data)
    peak = np.argmax(np.nan_to_num(data.importance, nan=-1.0), axis=0)
    density = np.take_along_axis(data.density, peak[None], axis=0)[0]
    return {
        "activation": payload.numbers(np.nan_to_num(data.max_activation).max(axis=0)),
        "density": payload.numbers(density, digits=3),
        "fires": [
            [
                (places[word], payload.number(weight, digits=2))
                for word, weight in found.words
            ]
            for found in terms
        ],
        "importance": [payload.numbers(layer, digits=3) for layer in data.importance],
        # Pairs, like the report's.
        "labels": [(f, data.labels[f].text) for f in sorted(data.labels)],
        "level_scores": payload.numbers(data.level_scores, digits=3),
        "levels": [site.LEVELS.index(level) for level in data.levels],
        "phrases": [
            [
                (phrase, payload.number(weight, digits=2))
                for phrase, weight in found.phrases
            ]
            for found in terms
        ],
        "peak": [int(p) if a else None for p, a in zip(peak, alive, strict=True)],
        "vocabulary": vocabulary,
        "words": [[(places[word], count) for word, count in top] for top in words],
    }


def _manifest(data: site.SiteData, *, n_contexts: int, narrow: int) -> dict[str, Any]:
    alive = _alive(data)
    alive_levels = [level for level, a in zip(data.levels, alive, strict=True) if a]
    return {
        "corpus": data.corpus,
        "counts": {
            "alive": int(alive.sum()),
            "contexts": n_contexts,
            "factors": data.n_factors,
            "layers": len(data.layers),
            "levels": [alive_levels.count(level) for level in site.LEVELS],
            "narrow": narrow,
            "shards": math.ceil(data.n_factors / SHARD_SIZE),
        },
        "featured": [int(factor) for factor in data.featured],
        "histogram_edges": payload.numbers(data.histogram_edges),
        "l1_penalty": payload.number(data.l1_penalty),
        "layers": [int(layer) for layer in data.layers],
        "level_names": site.LEVELS,
        "model": data.model,
        # Pairs: a name out of the report must not become a key of a script's object.
        "report": [[name, _report(data.report[name])] for name in sorted(data.report)],
        "schema": SCHEMA,
        "shard_size": SHARD_SIZE,
        "title": data.title,
        "window_shard": WINDOW_SHARD,
    }


def _alive(data: site.SiteData) -> np.ndarray:
    return np.nan_to_num(data.max_activation).max(axis=0) > 0


def _report(entry: float | str | Sequence[float]) -> object:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, numbers.Integral):
        return int(entry)
    if isinstance(entry, int | float | numbers.Real):
        return payload.number(float(entry))
    return payload.numbers(entry)

"""Writes the static site of a run.

    index.html, assets/       the page, the same for every run
    data/manifest.js          what the run is, counts
    data/index.js             columns over all factors, for the list of factors
    data/factors/00000.js …   16 factors each: numbers per layer, contexts
    data/live.js              the recorded sentences; none are encoded on demand
    data/sentences/00000.js … one recorded sentence each

The site opens by double-click and from any static web server. Data files are scripts
(see ``payload``). Within a factor, a context shared by several layers is stored once.
"""

import importlib.resources
import math
import numbers
import pathlib
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import abc
from typing import Any

import numpy as np

from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.viewer import payload, site

SCHEMA = "tfvis-site/1"
SHARD_SIZE = 16
_LIST_WORDS = 8
_LAYER_WORDS = 6


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
        words, n_contexts = [], 0
        for start in range(0, data.n_factors, SHARD_SIZE):
            stop = min(start + SHARD_SIZE, data.n_factors)
            entries = []
            for factor in range(start, stop):
                contexts = _contexts(data, factor)
                n_contexts += sum(len(layer) for layer in contexts)
                telling = _where_it_lives(data.importance[:, factor], contexts)
                words.append(site.top_words(telling, limit=_LIST_WORDS))
                entries.append(_factor(data, factor, contexts, words[-1]))
            name = f"data/factors/{start // SHARD_SIZE:05d}"
            _save(partial, name, {"factors": entries})
            if progress is not None:
                progress(stop, data.n_factors)
        _save(partial, "data/index", _index(data, words))
        recorded = []
        for number, records in enumerate(data.sentences):
            name = f"data/sentences/{number:05d}"
            _save(partial, name, records)
            recorded.append({"name": name, "text": records[0]["text"]})
        _save(partial, "data/live", {"live": False, "recorded": recorded})
        _save(partial, "data/manifest", _manifest(data, n_contexts=n_contexts))


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


def _factor(
    data: site.SiteData,
    factor: int,
    contexts: list[list[site.Context]],
    words: list[tuple[str, int]],
) -> dict[str, Any]:
    texts: dict[tuple[str, str, str, str], int] = {}
    ranked = []
    for layer in contexts:
        keys = [(c.before, c.word, c.after, c.document) for c in layer]
        places = [texts.setdefault(key, len(texts)) for key in keys]
        values = [payload.number(c.activation) for c in layer]
        ranked.append(list(zip(places, values, strict=True)))
    return {
        "activation": _numbers(data.max_activation[:, factor]),
        "contexts": ranked,
        "density": _numbers(data.density[:, factor]),
        "factor": factor,
        "importance": _numbers(data.importance[:, factor]),
        "label_remarks": data.labels[factor].remarks if factor in data.labels else "",
        "layer_words": [site.top_words(c, limit=_LAYER_WORDS) for c in contexts],
        "reason": data.level_reasons[factor],
        "texts": list(texts),
        "words": words,
    }


def _index(
    data: site.SiteData, words: Sequence[list[tuple[str, int]]]
) -> dict[str, Any]:
    vocabulary = sorted({word for top in words for word, _ in top})
    places = {word: place for place, word in enumerate(vocabulary)}
    alive = _alive(data)
    peak = np.argmax(np.nan_to_num(data.importance, nan=-1.0), axis=0)
    density = np.take_along_axis(data.density, peak[None], axis=0)[0]
    return {
        "activation": _numbers(np.nan_to_num(data.max_activation).max(axis=0)),
        "density": _numbers(density, digits=3),
        "importance": [_numbers(layer, digits=3) for layer in data.importance],
        # Pairs, like the report's.
        "labels": [(f, data.labels[f].text) for f in sorted(data.labels)],
        "levels": [site.LEVELS.index(level) for level in data.levels],
        "peak": [int(p) if a else None for p, a in zip(peak, alive, strict=True)],
        "vocabulary": vocabulary,
        "words": [[(places[word], count) for word, count in top] for top in words],
    }


def _manifest(data: site.SiteData, *, n_contexts: int) -> dict[str, Any]:
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
            "shards": math.ceil(data.n_factors / SHARD_SIZE),
        },
        "featured": [int(factor) for factor in data.featured],
        "l1_penalty": payload.number(data.l1_penalty),
        "layers": [int(layer) for layer in data.layers],
        "level_names": site.LEVELS,
        "model": data.model,
        # Pairs: a name out of the report must not become a key of a script's object.
        "report": [[name, _report(data.report[name])] for name in sorted(data.report)],
        "schema": SCHEMA,
        "shard_size": SHARD_SIZE,
        "title": data.title,
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
    return _numbers(entry)


def _numbers(values: Iterable[float], *, digits: int = 4) -> list[float | None]:
    return [payload.number(value, digits=digits) for value in np.asarray(values)]

"""Writes the static site of a run.

    index.html, assets/       the page, the same for every run
    data/manifest.js          what the run is, counts
    data/index.js             columns over all factors, for the list of factors
    data/factors/00000.js …   16 factors each: numbers per layer, contexts
    data/words/00.js …        the factors of each word, in 256 shards
    data/windows/00000.js …   whole passages of the contexts, by 64 numbers
    data/notes.js             what people say of factors
    data/ratings.js           what people say of contexts
    data/levels.js            what the levels follow from
    data/run.js               settings, text, cost and curves of the training
    data/beside.js            the factors of a second run, if there is one
    data/live.js              the recorded sentences; none are encoded on demand
    data/sentences/00000.js … one recorded sentence each
    SHA256SUMS                checksums of all files

The site opens by double-click and from any static web server. Data files are scripts
(see ``payload``). Within a factor, a context shared by several layers is stored once.
"""

import contextlib
import itertools
import math
import numbers
import pathlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.runs import human_notes
from tfvis_jax.runs import ratings as ratings_lib
from tfvis_jax.viewer import (
    assets,
    checksums,
    factor_shards,
    payload,
    run_record,
    site,
    word_pages,
)
from tfvis_jax.viewer import beside as beside_lib

SCHEMA = "tfvis-site/1"
SHARD_SIZE = factor_shards.SIZE
WINDOW_SHARD = 64


def write(
    folder: pathlib.Path | str,
    data: site.SiteData,
    *,
    progress: Callable[[int, int], None] | None = None,
    factors: factor_shards.Write = factor_shards.one_by_one,
) -> None:
    """Writes the site of a run; an old site is replaced once the new one is complete.

    Only the contexts of one shard of factors are in memory at a time.

    Args:
      folder: Folder of the site.
      data: What the site shows.
      progress: Called with the number of factors written and the total.
      factors: Writes the files of factors, in this process or in others.

    Raises:
      InputError: ``folder`` exists and is not a site, or ``data.contexts`` does not
        return one list per layer.
    """
    folder = pathlib.Path(folder).absolute()
    _check_replaceable(folder)
    with files.whole_folder(folder) as partial:
        assets.write(partial)
        words, terms, n_contexts = [], [], 0
        spill = word_pages.Spill(
            partial / ".words",
            data.corpus_words.folded if data.corpus_words is not None else (),
        )
        spill.folder.mkdir()
        windows: set[int] = set()
        narrow = 0
        strongest: dict[int, tuple[Any, ...] | None] = {}
        lines: list[tuple[int, str, str, str]] = []
        with contextlib.closing(factors(partial, data)) as shards:
            for shard in shards:
                n_contexts += shard.n_contexts
                words += shard.words
                terms += shard.terms
                strongest |= shard.strongest
                lines += shard.lines
                windows |= shard.windows
                narrow += shard.narrow
                for factor, found in zip(
                    shard.factors, shard.word_firings, strict=True
                ):
                    spill.add(factor, found)
                if progress is not None:
                    progress(shard.factors.stop, data.n_factors)
        _save_windows(partial, data, windows)
        n_words = _save_words(partial, data, spill)
        payload.save(partial, "data/index", _index(data, words, terms, lines))
        recorded = []
        for number, records in enumerate(data.sentences):
            name = f"data/sentences/{number:05d}"
            payload.save(partial, name, records)
            recorded.append({"name": name, "text": records[0]["text"]})
        payload.save(partial, "data/live", {"live": False, "recorded": recorded})
        payload.save(partial, "data/notes", notes_value(data.notes))
        payload.save(partial, "data/ratings", ratings_value(data.ratings))
        payload.save(partial, "data/levels", _levels(data))
        if data.run is not None:
            payload.save(partial, "data/run", run_record.value(data.run))
        if data.beside is not None:
            payload.save(partial, "data/beside", beside_lib.value(data.beside))
        payload.save(
            partial,
            "data/manifest",
            _manifest(
                data,
                n_contexts=n_contexts,
                narrow=narrow,
                n_words=n_words,
                strongest=strongest,
            ),
        )
        checksums.write(partial)


def notes_value(
    notes: Mapping[int, human_notes.Note], *, editable: bool = False
) -> dict[str, Any]:
    """Returns the value of ``data/notes``.

    Args:
      notes: What people say of factors.
      editable: If True, the page may change them.
    """
    return {
        "editable": editable,
        "notes": [(factor, notes[factor].as_json()) for factor in sorted(notes)],
    }


def ratings_value(
    ratings: Sequence[ratings_lib.Rating], *, editable: bool = False
) -> dict[str, Any]:
    """Returns the value of ``data/ratings``.

    Args:
      ratings: What people say of contexts.
      editable: If True, the server stores what the page sends.
    """
    return {"editable": editable, "ratings": [each.as_json() for each in ratings]}


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


def _save_windows(
    folder: pathlib.Path, data: site.SiteData, windows: Iterable[int]
) -> None:
    for shard, members in itertools.groupby(
        sorted(windows), key=lambda number: number // WINDOW_SHARD
    ):
        texts = [(number, data.window_text(number)) for number in members]
        payload.save(folder, f"data/windows/{shard:05d}", {"windows": texts})


def _save_words(
    folder: pathlib.Path, data: site.SiteData, spill: word_pages.Spill
) -> int:
    """Writes the pages of words; returns how many there are."""
    n_words = 0
    if data.corpus_words is not None:
        n_words = word_pages.write(
            lambda name, value: payload.save(folder, name, value),
            spill,
            data.corpus_words,
            n_layers=len(data.layers),
        )
    shutil.rmtree(spill.folder)
    return n_words


def _index(
    data: site.SiteData,
    words: Sequence[list[tuple[str, int]]],
    terms: Sequence[site.SearchTerms],
    lines: Sequence[tuple[int, str, str, str]],
) -> dict[str, Any]:
    listed = {word for top in words for word, _ in top}
    vocabulary = sorted(listed | {word for found in terms for word, _ in found.words})
    places = {word: place for place, word in enumerate(vocabulary)}
    alive, names = _alive(data), data.level_names
    peak = np.argmax(np.nan_to_num(data.importance, nan=-1.0), axis=0)
    density = np.take_along_axis(data.density, peak[None], axis=0)[0]
    return {
        "activation": payload.numbers(np.nan_to_num(data.max_activation).max(axis=0)),
        # Only of factors whose words say little.
        "contexts": lines,
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
        "levels": [names.index(level) for level in data.levels],
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


def _levels(data: site.SiteData) -> dict[str, Any]:
    evidence = data.level_evidence
    if evidence is None:
        return {"least": 0, "measures": [], "names": [], "probabilities": []}
    known = {name for each in evidence.probabilities if each for name in each}
    names = [name for name in data.level_names if name in known]
    return {
        "least": payload.number(evidence.least),
        "measures": [
            {
                "name": measure.name,
                "label": measure.label,
                "values": payload.numbers(measure.values, digits=3),
            }
            for measure in evidence.measures
        ],
        "names": names,
        "probabilities": [
            each and payload.numbers([each[name] for name in names], digits=3)
            for each in evidence.probabilities
        ],
    }


def _manifest(
    data: site.SiteData,
    *,
    n_contexts: int,
    narrow: int,
    n_words: int,
    strongest: dict[int, tuple[Any, ...] | None],
) -> dict[str, Any]:
    alive = _alive(data)
    alive_levels = [level for level, a in zip(data.levels, alive, strict=True) if a]
    return {
        # The files that not every site has.
        "beside": data.beside is not None,
        "corpus": data.corpus,
        "dictionary_hash": data.dictionary_hash,
        "counts": {
            "alive": int(alive.sum()),
            "contexts": n_contexts,
            "factors": data.n_factors,
            "layers": len(data.layers),
            "levels": [alive_levels.count(level) for level in data.level_names],
            "narrow": narrow,
            "shards": math.ceil(data.n_factors / SHARD_SIZE),
            "words": n_words,
        },
        "featured": [int(factor) for factor in data.featured],
        "featured_contexts": [strongest[int(factor)] for factor in data.featured],
        "histogram_edges": payload.numbers(data.histogram_edges),
        "l1_penalty": payload.number_or_none(data.l1_penalty),
        "layers": [int(layer) for layer in data.layers],
        "level_names": data.level_names,
        "made_from": sorted(data.made_from.items()),
        "model": data.model,
        # Pairs: a name out of the report must not become a key of a script's object.
        "run": data.run is not None,
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

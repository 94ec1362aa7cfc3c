"""The page of a run, as files."""

import functools
import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfvis_jax.description import featured, firing_words, word_counts
from tfvis_jax.errors import InputError
from tfvis_jax.examples import firing_statistics, passages, stored
from tfvis_jax.levels import level_file
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import live
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline import report as report_lib
from tfvis_jax.pipeline.writing import writing
from tfvis_jax.sparse_coding import checks
from tfvis_jax.viewer import bundle, site

# Terms by which a search finds a factor.
_SEARCH_WORDS, _SEARCH_PHRASES = 12, 5
# Words shown on either side; the page shows the whole window on demand.
_AROUND = 8
# Contexts shown of each band of quantiles, and at random.
_IN_BAND, _AT_RANDOM = 4, 5


def export_site(
    directory: str | os.PathLike[str],
    *,
    contexts: int = 20,
    sentences: Sequence[str] = (),
    progress: progress_lib.Progress = progress_lib.silent,
) -> pathlib.Path:
    """Writes `site/` from the dictionary, the examples and the report of a run.

    Args:
      directory: of the run, with its examples.
      contexts: contexts to show per layer and factor.
      sentences: sentences to encode now, so that the page shows them without a server.
      progress: hears of the stage "export".

    Returns:
      The folder of the page; it opens at `index.html`.

    Raises:
      InputError: the training of the run has not finished, or has no examples, or a
        sentence cannot be encoded.
    """
    checks.check_count("contexts", contexts, at_least=0)
    stages = progress_lib.Stages(progress)
    with writing(directory) as run, stages.stage("export") as show:
        data = site_data(
            run_lib.load_run(directory), contexts=contexts, sentences=sentences
        )
        bundle.write(run.site, data, progress=show)
    return run.site


def site_data(
    run: run_lib.Run, *, contexts: int, sentences: Sequence[str] = ()
) -> site.SiteData:
    """Returns what the page of a run shows.

    Args:
      run: trained, with its examples.
      contexts: contexts to show per layer and factor.
      sentences: sentences to encode.

    Raises:
      InputError: a sentence cannot be encoded.
    """
    report, trained, examples = run.report, run.trained, run.examples

    reader = passages.Passages(run.windows, examples)
    table = firing_words.WordTable(run.windows, word_counts.of_windows(run.windows))

    # Asked for twice for each factor.
    @functools.lru_cache(maxsize=4 * len(trained.layers))
    def mass(index: int, factor: int) -> firing_words.Mass:
        return firing_words.of_layer(examples, table, index=index, factor=factor)

    def contexts_of(number: int) -> list[list[site.Context]]:
        return [
            _contexts(reader, reader.strongest(index, number, n=contexts))
            for index in range(len(trained.layers))
        ]

    def firings_of(number: int) -> list[site.Firings]:
        return [
            _firings(
                *(reader, examples, table, mass(index, number)),
                index=index,
                factor=number,
                n=contexts,
            )
            for index in range(len(trained.layers))
        ]

    return site.SiteData(
        title=run.directory.path.name,
        model=report_lib.model_name(report["model"]),
        corpus=", ".join(pathlib.Path(p).name for p in report["corpus"]),
        layers=trained.layers,
        n_factors=len(trained.factors),
        l1_penalty=trained.l1_penalty,
        report={
            "tokens": report["n_tokens"],
            "fvu": _number(report["fvu"]["all"]),
            "FVU per layer": [_number(value) for value in report["fvu"]["per_layer"]],
            "l0": _number(report["l0"]["all"]),
            "L0 per layer": [_number(value) for value in report["l0"]["per_layer"]],
            "factors alive on held-out text": _number(report["alive"]),
            "mean duality gap": _number(report["gap"]["mean"]),
            "activations in an importance score": examples.activation.shape[2],
            "held-out hidden states": report["n_held_out_rows"],
        },
        importance=run.importance(),
        density=examples.density,
        max_activation=examples.max_activation,
        levels=[level.name for level in run.levels],
        level_reasons=[level.reason for level in run.levels],
        featured=featured.choose(run, run.levels),
        contexts=contexts_of,
        labels={
            number: site.Label(text=label.text, remarks=" ".join(label.remarks))
            for number, label in run.labels.items()
        },
        sentences=_recorded(run, sentences),
        terms=_search_terms(run, table, mass),
        firings=firings_of,
        histogram_edges=firing_statistics.HISTOGRAM_EDGES.tolist(),
        window_text=lambda number: reader.window(number).text,
        level_scores=(
            [level.score for level in run.levels] if _levels_are_measured(run) else []
        ),
    )


def _contexts(
    reader: passages.Passages, found: Sequence[passages.Passage]
) -> list[site.Context]:
    contexts = []
    for passage in found:
        window, word = reader.window(passage.window), passage.word
        text, starts, ends = window.text, window.starts, window.ends
        start, last = starts[word], min(word + _AROUND, len(ends) - 1)
        contexts.append(
            site.Context(
                before=text[starts[max(word - _AROUND, 0)] : start],
                word=text[start : ends[word]],
                after=text[ends[word] : ends[last]],
                activation=passage.activation,
                document=window.document,
                window=passage.window,
                start=start,
                others=[
                    (starts[other] - start, ends[other] - starts[other], alpha)
                    for other, alpha in sorted(passage.others.items())
                ],
                copies=passage.copies,
            )
        )
    return contexts


def _firings(
    reader: passages.Passages,
    examples: stored.Examples,
    table: firing_words.WordTable,
    words: firing_words.Mass,
    *,
    index: int,
    factor: int,
    n: int,
) -> site.Firings:
    upper, middle = (
        _contexts(reader, reader.in_band(index, factor, band=band, n=min(n, _IN_BAND)))
        for band in passages.BANDS
    )
    drawn = reader.drawn(index, factor, n=min(n, _AT_RANDOM))
    documents, strongest = reader.n_documents(index, factor, n=n)
    return site.Firings(
        upper=upper,
        middle=middle,
        random=_contexts(reader, drawn),
        histogram=examples.histogram[index, factor].tolist(),
        quantiles=reader.quantiles(index, factor, (0.5, 0.9, 0.99)),
        documents=documents,
        strongest=strongest,
        words={
            table.folded[number]: (count, mass)
            for number, count, mass in zip(
                *(array.tolist() for array in words), strict=True
            )
        },
    )


def _levels_are_measured(run: run_lib.Run) -> bool:
    try:
        level_file.load(run.directory.levels, run.examples)
    except level_file.NotMeasured:
        return False
    return True


def _search_terms(
    run: run_lib.Run,
    table: firing_words.WordTable,
    mass: Callable[[int, int], firing_words.Mass],
) -> Callable[[int], site.SearchTerms]:
    peaks = np.argmax(run.importance(), axis=0).tolist()

    def terms(factor: int) -> site.SearchTerms:
        words = firing_words.strongest(
            [mass(index, factor) for index in range(len(run.trained.layers))],
            table,
            n_tokens=run.examples.n_tokens,
            limit=_SEARCH_WORDS,
        )
        phrases = firing_words.phrases(
            run.examples,
            table,
            index=peaks[factor],
            factor=factor,
            limit=_SEARCH_PHRASES,
        )
        return site.SearchTerms(words=words, phrases=phrases)

    return terms


def _recorded(run: run_lib.Run, sentences: Sequence[str]) -> list[Any]:
    """Returns the records of each sentence; one given twice is recorded once."""
    if not sentences:
        return []
    encoder, recorded = live.RunEncoder(run), []
    for text in dict.fromkeys(sentences):
        try:
            recorded.append(list(encoder.encode(text)))
        except InputError as error:
            raise InputError(f"{text[:60]!r} cannot be recorded. {error}") from error
    return recorded


def _number(value: float | None) -> float:
    return math.nan if value is None else value

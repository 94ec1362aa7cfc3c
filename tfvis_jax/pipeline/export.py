"""The page of a run, as files."""

import contextlib
import functools
import hashlib
import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from tfvis_jax import sites
from tfvis_jax.description import factor_description, featured, neighbours
from tfvis_jax.examples import firing_statistics
from tfvis_jax.labelling import scores, trials
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import rule
from tfvis_jax.levels import spread as spread_lib
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import beside as beside_lib
from tfvis_jax.pipeline import (
    corpus_words,
    page_factors,
    page_workers,
    recording,
    run_record,
)
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline import report as report_lib
from tfvis_jax.pipeline.writing import reading, writing
from tfvis_jax.reporting import environment
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.sparse_coding import checks
from tfvis_jax.viewer import beside as viewer_beside
from tfvis_jax.viewer import bundle, factor_shards, site, sizes

_RELATED = 8
# What levels follow from: name in an address, what it is a share of, the share.
_OF_CONTEXT: tuple[tuple[str, str, Callable[[evidence_lib.Context], float]], ...] = (
    ("alone", "α that the word alone keeps", lambda c: c.within(0)),
    ("near", "α that 3 words on either side keep", lambda c: c.within(3)),
    ("far", "α that 8 words on either side keep", lambda c: c.within(8)),
    (
        "masked",
        "α that the context keeps without the word",
        lambda c: c.shares["without_word"],
    ),
)
_OF_SPREAD: tuple[tuple[str, str, Callable[[spread_lib.Spread], float]], ...] = (
    ("word", "weight on its strongest word", lambda s: s.word_share),
    ("few", "strongest firings that three documents have", lambda s: s.tip_few),
    ("pairs", "pairs of firings that have one word", lambda s: s.same_word),
)
_T = TypeVar("_T")


def export_site(
    directory: str | os.PathLike[str],
    *,
    contexts: int = 20,
    sentences: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    beside: str | os.PathLike[str] | None = None,
    num_workers: int | None = 1,
    progress: progress_lib.Progress = progress_lib.silent,
    on_estimate: Callable[[list[sizes.Size]], None] | None = None,
) -> pathlib.Path:
    """Writes `site/` from the dictionary, the examples and the report of a run.

    Args:
      directory: of the run, with its examples.
      contexts: contexts to show per layer and factor.
      sentences: sentences to encode now, so that the page shows them without a server.
      out: folder of the page; `site/` of the run if None. With a folder of its own,
        the run is only read.
      beside: another run of the same model and layers, whose factors the page compares.
      num_workers: processes that write the files of factors; the files are the same
        with any number. With 1, this process does; None takes one a core for a large
        page.
      progress: hears of the stage "export".
      on_estimate: hears how large the page will be, before it is written.

    Returns:
      The folder of the page; it opens at `index.html`.

    Raises:
      InputError: the training of the run has not finished, or has no examples, or a
        sentence cannot be encoded, or the other run cannot be compared, or a worker was
        killed.
    """
    checks.check_count("contexts", contexts, at_least=0)
    if num_workers is not None:
        checks.check_count("num_workers", num_workers)
    stages = progress_lib.Stages(progress)
    opening = writing if out is None else reading
    with opening(directory) as run, stages.stage("export") as show:
        opened = run_lib.load_run(directory)
        # Before the work that would be in vain.
        compared = None
        if beside is not None:
            compared = beside_lib.of_runs(opened, run_lib.load_run(beside))
        # What is missing is named before the model is loaded; and this is loaded by one
        # thread, where both need it.
        _ = opened.report, opened.trained, opened.examples, opened.language_model_head
        with recording.recording(opened, sentences) as recorded:
            factors = _page_factors(opened, contexts=contexts)
            data = _site_data(opened, factors, recorded, compared)
            folder = run.site if out is None else pathlib.Path(out)
            if on_estimate is not None:
                on_estimate(
                    sizes.estimate(
                        data,
                        shard_size=bundle.SHARD_SIZE,
                        window_shard=bundle.WINDOW_SHARD,
                    )
                )

            def show_shards(done: int, total: int) -> None:
                # A sentence that cannot be encoded ends the work as soon as it can.
                recorded.check()
                show(done, total)

            bundle.write(
                folder,
                data,
                progress=show_shards,
                factors=_write_by(factors, num_workers),
            )
    return folder


def made_from(run: directory_lib.RunDirectory) -> dict[str, str]:
    """Returns the SHA-256 of what may change once the page of a run is made.

    Notes and ratings are not among it: `tfvis view` shows them as they are now.

    Args:
      run: where its files are.

    Returns:
      By the name of the file; those that are not there are left out.
    """
    found: dict[str, str] = {}
    for path in (run.dictionary, run.levels, run.labels, run.label_scores):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def site_data(
    run: run_lib.Run,
    *,
    contexts: int,
    sentences: Sequence[str] = (),
    beside: run_lib.Run | None = None,
) -> site.SiteData:
    """Returns what the page of a run shows.

    Args:
      run: trained, with its examples.
      contexts: contexts to show per layer and factor.
      sentences: sentences to encode.
      beside: another run to compare with.

    Raises:
      InputError: a sentence cannot be encoded, or the other run cannot be compared.
    """
    compared = None if beside is None else beside_lib.of_runs(run, beside)
    factors = _page_factors(run, contexts=contexts)
    with recording.recording(run, sentences) as recorded:
        return _site_data(run, factors, list(recorded), compared)


def _page_factors(run: run_lib.Run, *, contexts: int) -> page_factors.PageFactors:
    return page_factors.PageFactors(
        page_factors.Source(
            windows=run.windows,
            examples=run.examples,
            counts=run.word_counts.of_words(),
            peaks=np.argmax(run.importance(), axis=0),
            contexts=contexts,
        )
    )


def _write_by(
    factors: page_factors.PageFactors, num_workers: int | None
) -> factor_shards.Write:
    """Returns what writes the files of factors: this process, or workers."""
    if num_workers is None:
        cores = environment.num_cores()
        num_workers = page_workers.suitable(factors.source, cores=cores)
    if num_workers == 1:
        return factor_shards.one_by_one
    return page_workers.Workers(factors, num_workers)


def _site_data(
    run: run_lib.Run,
    factors: page_factors.PageFactors,
    recorded: Sequence[list[dict[str, Any]]],
    compared: viewer_beside.Beside | None,
) -> site.SiteData:
    report, trained, examples = run.report, run.trained, run.examples
    # What people set is shown beside them, and may change while the page is served.
    levels = run.computed_levels

    return site.SiteData(
        title=run.directory.name,
        model=sites.named(report_lib.model_name(report["model"]), trained.site),
        corpus=report_lib.corpus_name(report["corpus"]),
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
            **_gap(report),
            "activations in an importance score": examples.activation.shape[2],
            f"held-out {sites.WORDS[trained.site]}": report["n_held_out_rows"],
        },
        importance=run.importance(),
        density=examples.density,
        max_activation=examples.max_activation,
        levels=[level.name for level in levels],
        level_reasons=[level.reason for level in levels],
        featured=featured.choose(run, levels),
        contexts=factors.contexts,
        labels={
            number: site.Label(
                text=label.text,
                remarks=" ".join(label.remarks),
                source=label.source,
            )
            for number, label in run.imported_labels.items()
        },
        label_scores=_label_scores(run),
        sentences=recorded,
        terms=factors.terms,
        firings=factors.firings,
        words=factors.words,
        relatives=functools.partial(_relatives, run),
        corpus_words=corpus_words.CorpusWords(run, factors.table, factors.reader),
        word_firings=factors.word_firings,
        histogram_edges=firing_statistics.HISTOGRAM_EDGES.tolist(),
        window_text=lambda number: factors.reader.window(number).text,
        notes=run.notes,
        ratings=run.ratings,
        made_from=made_from(run.directory),
        dictionary_hash=trained.content_hash,
        level_evidence=_level_evidence(run),
        run=run_record.of_run(run),
        beside=compared,
        level_scores=(
            [math.nan if level.is_guess else level.probability for level in levels]
            if _are_levels_measured(run)
            else []
        ),
    )


def _label_scores(run: run_lib.Run) -> dict[int, site.LabelScores]:
    """Returns the scores of the labels that the page shows, or of words, by factor."""
    shown: dict[int, site.LabelScores] = {}
    for number, found in run.label_scores.items():
        # One set on the page comes first, as there.
        label = run.labels.get(number)
        text = None if label is None else label.at(run.peak_layer(number)).text
        scored = scores.of_label(found, text)
        if scored is not None:
            shown[number] = site.LabelScores(
                judge=scored.judge,
                shares={
                    name: (score.value, *score.interval, trials.CHANCE[name])
                    for name, score in scored.by_name.items()
                },
            )
    return shown


def _relatives(run: run_lib.Run, factor: int) -> site.Relatives:
    trained = run.trained
    head, importance = run.language_model_head, run.importance()[:, factor]
    found = None
    if head is not None and importance.max() > 0:
        peak = trained.layers[int(np.argmax(importance))]
        found = factor_description.vocabulary_of(run, factor, head, layer=peak)
    return site.Relatives(
        nearest=[
            (each.factor, each.score)
            for each in neighbours.by_cosine(trained, factor, k=_RELATED)
        ],
        together=[
            [
                (each.factor, each.score)
                for each in neighbours.by_firing(
                    run.examples, factor, layer=layer, k=_RELATED
                )
            ]
            for layer in trained.layers
        ],
        raises=found.raised if found else (),
        lowers=found.lowered if found else (),
    )


def _are_levels_measured(run: run_lib.Run) -> bool:
    """Returns whether the context of any factor was measured."""
    return any(each.context for each in run.level_evidence)


def _level_evidence(run: run_lib.Run) -> site.LevelEvidence:
    """Returns the shares that are known of factors, the most telling first."""
    contexts = [each.context for each in run.level_evidence]
    spreads = [each.spread for each in run.level_evidence]
    measured = _OF_CONTEXT if _are_levels_measured(run) else ()
    return site.LevelEvidence(
        measures=[
            *(_measure(*share, contexts) for share in measured),
            *(_measure(*share, spreads) for share in _OF_SPREAD),
        ],
        probabilities=[level.probabilities or None for level in run.computed_levels],
        least=rule.calibration().least,
    )


def _measure(
    name: str, label: str, share: Callable[[_T], float], known: Sequence[_T | None]
) -> site.Measure:
    values = [math.nan if each is None else share(each) for each in known]
    return site.Measure(name=name, label=label, values=values)


def _gap(report: dict[str, Any]) -> dict[str, float]:
    """Returns how far codes are from the best; nothing where an encoder finds them."""
    if report.get("encoder"):
        return {}
    return {"mean duality gap": _number(report["gap"]["mean"])}


def _number(value: float | None) -> float:
    return math.nan if value is None else value

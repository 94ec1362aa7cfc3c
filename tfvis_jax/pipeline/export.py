"""The page of a run, as files."""

import contextlib
import dataclasses
import functools
import hashlib
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from tfvis_jax import sites
from tfvis_jax.description import (
    factor_description,
    factor_words,
    featured,
    firing_words,
    neighbours,
    word_table,
)
from tfvis_jax.errors import InputError
from tfvis_jax.examples import firing_statistics, passages, stored
from tfvis_jax.labelling import scores, trials
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import rule
from tfvis_jax.levels import spread as spread_lib
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import beside as beside_lib
from tfvis_jax.pipeline import corpus_words, live, run_record
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline import report as report_lib
from tfvis_jax.pipeline.writing import reading, writing
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.sparse_coding import checks
from tfvis_jax.viewer import bundle, site, sizes

# Terms by which a search finds a factor.
_SEARCH_WORDS, _SEARCH_PHRASES = 12, 5
_LISTED_WORDS = 8
_RELATED = 8
# Words shown on either side; the page shows the whole window on demand.
_AROUND = 8
# Contexts shown of each band of quantiles, and at random.
_IN_BAND, _AT_RANDOM = 4, 5
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


@dataclasses.dataclass(frozen=True, eq=False)
class _FiringWords(Mapping[str, tuple[float, float]]):
    """Number of tokens and sum of α by folded word: of thousands, few are asked for."""

    words: firing_words.Mass
    table: word_table.WordTable

    def __getitem__(self, folded: str) -> tuple[float, float]:
        number, found = self.table.number(folded), self.words
        if number is not None:
            place = int(np.searchsorted(found.word, number))
            if place < len(found.word) and found.word[place] == number:
                return float(found.firings[place]), float(found.mass[place])
        raise KeyError(folded)

    def __iter__(self) -> Iterator[str]:
        return (self.table.folded[number] for number in self.words.word.tolist())

    def __len__(self) -> int:
        return len(self.words.word)


def export_site(
    directory: str | os.PathLike[str],
    *,
    contexts: int = 20,
    sentences: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    beside: str | os.PathLike[str] | None = None,
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
      progress: hears of the stage "export".
      on_estimate: hears how large the page will be, before it is written.

    Returns:
      The folder of the page; it opens at `index.html`.

    Raises:
      InputError: the training of the run has not finished, or has no examples, or a
        sentence cannot be encoded, or the other run cannot be compared.
    """
    checks.check_count("contexts", contexts, at_least=0)
    stages = progress_lib.Stages(progress)
    opening = writing if out is None else reading
    with opening(directory) as run, stages.stage("export") as show:
        data = site_data(
            run_lib.load_run(directory),
            contexts=contexts,
            sentences=sentences,
            beside=None if beside is None else run_lib.load_run(beside),
        )
        folder = run.site if out is None else pathlib.Path(out)
        if on_estimate is not None:
            on_estimate(
                sizes.estimate(
                    data,
                    shard_size=bundle.SHARD_SIZE,
                    window_shard=bundle.WINDOW_SHARD,
                )
            )
        bundle.write(folder, data, progress=show)
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
    # Before the work that would be in vain.
    compared = None if beside is None else beside_lib.of_runs(run, beside)
    report, trained, examples = run.report, run.trained, run.examples
    # What people set is shown beside them, and may change while the page is served.
    levels = run.computed_levels

    reader = passages.Passages(run.windows, examples)
    table = word_table.WordTable(run.windows, run.word_counts)

    def word_firings(number: int) -> list[site.WordFirings]:
        return [
            _word_firings(mass(index, number)) for index in range(len(trained.layers))
        ]

    listed = factor_words.FactorWords(run, table)

    def words_of(number: int) -> list[list[tuple[str, int]]]:
        return [
            [
                (word.text, word.documents)
                for word in listed.at(index, number, n=_LISTED_WORDS)
            ]
            for index in range(len(trained.layers))
        ]

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
        contexts=contexts_of,
        labels={
            number: site.Label(
                text=label.text,
                remarks=" ".join(label.remarks),
                source=label.source,
            )
            for number, label in run.imported_labels.items()
        },
        label_scores=_label_scores(run),
        sentences=_recorded(run, sentences),
        terms=_search_terms(run, table, mass),
        firings=firings_of,
        words=words_of,
        relatives=functools.partial(_relatives, run),
        corpus_words=corpus_words.CorpusWords(run, table, reader),
        word_firings=word_firings,
        histogram_edges=firing_statistics.HISTOGRAM_EDGES.tolist(),
        window_text=lambda number: reader.window(number).text,
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
    table: word_table.WordTable,
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
        words=_FiringWords(words, table),
        total=(float(words.firings.sum()), float(words.mass.sum())),
    )


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


def _word_firings(words: firing_words.Mass) -> site.WordFirings:
    sure = words.sure_firings > 0
    return site.WordFirings(
        word=words.word[sure],
        firings=words.sure_firings[sure],
        mass=words.sure_mass[sure],
        own=words.sure_mass[sure] / words.mass.sum(),
        window=words.window[sure],
        position=words.position[sure],
        alpha=words.alpha[sure],
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


def _search_terms(
    run: run_lib.Run,
    table: word_table.WordTable,
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


def _gap(report: dict[str, Any]) -> dict[str, float]:
    """Returns how far codes are from the best; nothing where an encoder finds them."""
    if report.get("encoder"):
        return {}
    return {"mean duality gap": _number(report["gap"]["mean"])}


def _number(value: float | None) -> float:
    return math.nan if value is None else value

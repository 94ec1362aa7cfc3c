"""Labels of factors by a language model, and scores of all labels."""

import concurrent.futures
import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfvis_jax.data import words as words_lib
from tfvis_jax.description import labels as labels_lib
from tfvis_jax.description.factor_label import FactorLabel
from tfvis_jax.errors import InputError
from tfvis_jax.labelling import (
    asking,
    endpoint,
    excerpts,
    questions,
    request_log,
    scores,
    trials,
    word_judge,
)
from tfvis_jax.levels import LEVELS
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline.writing import writing
from tfvis_jax.sparse_coding import checks

# Words that stand for a label where a factor has none.
_WORDS = 8
# A token of English has about as many characters; an answer, about as many tokens.
_CHARACTERS_A_TOKEN, _TOKENS_AN_ANSWER = 4, 40


class ScoredLabels(NamedTuple):
    """What scoring without a language model found.

    Attributes:
      pooled: the scores over all factors, by name.
      control: the same where each factor has the label of the next one.
      by_level: the scores over the factors of each level, by its name; empty where
        levels were not measured.
      n_labels: factors whose label was scored; of the others it was the list of words.
      n_dead: factors that were left out because they do not fire.
    """

    pooled: dict[str, scores.Pooled]
    control: dict[str, scores.Pooled]
    by_level: dict[str, dict[str, scores.Pooled]]
    n_labels: int
    n_dead: int


class Budget(NamedTuple):
    """What a call is about to send.

    Attributes:
      n_factors: to label or to score.
      n_requests: if every answer is read at once.
      n_tokens: of requests and answers, estimated from the number of characters.
      n_answered: requests that earlier calls have sent.
      n_kept: factors whose label is a person's or another tool's, and stays.
      max_requests: that are sent at most; None for any number.
    """

    n_factors: int
    n_requests: int
    n_tokens: int
    n_answered: int
    n_kept: int
    max_requests: int | None


class LabelledFactors(NamedTuple):
    """What a language model made.

    Attributes:
      pooled: the scores over all factors that were finished, by name.
      n_labelled: factors that have a label of the model now.
      n_kept: factors whose label is a person's or another tool's, which were scored.
      n_unnamed: factors to which the model gave no label.
      n_left: factors that were not finished.
      n_requests: that were sent.
      n_unanswered: that were given up after malformed answers or refusals.
      tokens: of requests and answers, as the server counts them.
      n_dead: factors that were left out because they do not fire.
    """

    pooled: dict[str, scores.Pooled]
    n_labelled: int
    n_kept: int
    n_unnamed: int
    n_left: int
    n_requests: int
    n_unanswered: int
    tokens: tuple[int, int]
    n_dead: int


def score_labels(
    directory: str | os.PathLike[str],
    *,
    factors: Sequence[int] | None = None,
    progress: progress_lib.Progress = progress_lib.silent,
) -> ScoredLabels:
    """Scores the labels of a run by their words; sends nothing anywhere.

    A factor without a label is scored by its list of words, made without the windows of
    the questions. The judge is `labelling.WordJudge`.

    Args:
      directory: of the run, with its examples.
      factors: to score; all if None. Dead ones are left out.
      progress: hears of the stages "excerpts" and "scores".

    Raises:
      InputError: there is no such factor, or the run has no examples.
    """
    with writing(directory):
        run = run_lib.load_run(directory)
        chosen, n_dead = _alive(run, factors)
        stages = progress_lib.Stages(progress)
        materials = _materials(run, chosen, stages)
        with stages.stage("scores") as show:
            given = [_weighted(run, each) for each in materials]
            scored: dict[int, scores.Scored] = {}
            others: list[scores.Scored] = []
            for number, material in enumerate(materials):
                asked = trials.of_material(material)
                weights, label = given[number]
                scored[material.factor] = _scored(label, weights, material, asked)
                weights, label = given[(number + 1) % len(given)]
                others.append(_scored(label, weights, material, asked))
                show(number + 1, len(materials))
        _save_scores(run, scored)
    return ScoredLabels(
        pooled=scores.pooled(scored.values()),
        control=scores.pooled(others) if len(others) > 1 else {},
        by_level=_by_level(run, scored),
        n_labels=sum(each.source != scores.OF_WORDS for each in scored.values()),
        n_dead=n_dead,
    )


def label_factors(
    directory: str | os.PathLike[str],
    server: endpoint.Endpoint,
    *,
    factors: Sequence[int] | None = None,
    score: Sequence[str] = trials.NAMES,
    max_requests: int | None = None,
    parallel: int = 1,
    on_budget: Callable[[Budget], None] | None = None,
    progress: progress_lib.Progress = progress_lib.silent,
) -> LabelledFactors:
    """Labels factors by a language model, which then scores all labels.

    Every request and answer is kept in the run: the same call goes on where an earlier
    one stopped. A label that a person or another tool has given stays, and is scored.

    Args:
      directory: of the run, with its examples.
      server: of the model. Excerpts of the run's text are sent there.
      factors: to label; all if None. Dead ones are left out.
      score: names of `labelling.trials.NAMES`; none to label alone.
      max_requests: that may be sent; any number if None, and 0 for the estimate alone.
      parallel: requests at a time.
      on_budget: hears what will be sent, before anything is; may raise to send nothing.
      progress: hears of the stages "excerpts" and "labels".

    Raises:
      InputError: there is no such factor or score, the run has no examples, or the
        server cannot be used. What was finished before is saved.
    """
    checks.check_count("parallel", parallel, at_least=1)
    if not set(score) <= set(trials.NAMES):
        raise InputError(f"Expected scores of {list(trials.NAMES)}, got {list(score)}.")
    with writing(directory):
        run = run_lib.load_run(directory)
        chosen, n_dead = _alive(run, factors)
        stages = progress_lib.Stages(progress)
        materials = _materials(run, chosen, stages)
        stop = threading.Event()
        server = dataclasses.replace(server, wait=stop.wait)
        log_path, of_run = run.directory.labelling, run.trained.content_hash
        with request_log.opened(log_path, dictionary_hash=of_run) as log:
            asker = asking.Asker(server, log, max_requests=max_requests, stop=stop)
            work = _Work(run, asker, server.model, tuple(score), _kept(run, log))
            budget = work.budget(materials, max_requests)
            if on_budget is not None:
                on_budget(budget)
            if max_requests != 0:
                try:
                    with stages.stage("labels") as show:
                        _in_parallel(work.do, materials, parallel, stop, show)
                finally:
                    work.save()
    return LabelledFactors(
        pooled=scores.pooled(work.scored.values()),
        n_labelled=len(work.labelled),
        n_kept=budget.n_kept,
        n_unnamed=work.n_unnamed,
        n_left=len(materials) - work.n_done,
        n_requests=asker.n_requests,
        n_unanswered=asker.n_unanswered,
        tokens=(asker.tokens[0], asker.tokens[1]),
        n_dead=n_dead,
    )


def _by_level(
    run: run_lib.Run, scored: Mapping[int, scores.Scored]
) -> dict[str, dict[str, scores.Pooled]]:
    if not run.directory.levels.is_file():
        return {}
    of_level: dict[str, list[scores.Scored]] = {}
    for factor, each in scored.items():
        level = run.levels[factor]
        if not level.is_guess:
            of_level.setdefault(level.name, []).append(each)
    return {
        level: scores.pooled(of_level[level]) for level in LEVELS if level in of_level
    }


class _Work:
    """What is done for each factor, and what came of it."""

    def __init__(
        self,
        run: run_lib.Run,
        asker: asking.Asker,
        model: str,
        score: tuple[str, ...],
        kept: Mapping[int, FactorLabel],
    ) -> None:
        self.labelled: dict[int, FactorLabel] = {}
        self.scored: dict[int, scores.Scored] = {}
        self.n_done = self.n_unnamed = 0
        self._run, self._asker, self._model = run, asker, model
        self._score, self._kept = score, kept
        self._lock = threading.Lock()

    def budget(
        self, materials: Sequence[excerpts.Material], max_requests: int | None
    ) -> Budget:
        """Returns what is left to send; sends nothing."""
        asked = [each for material in materials for each in self._questions(material)]
        left = [each for each in asked if not self._asker.is_answered(each)]
        characters = sum(len(m["content"]) for each in left for m in each.messages)
        return Budget(
            n_factors=len(materials),
            n_requests=len(left),
            n_tokens=characters // _CHARACTERS_A_TOKEN + len(left) * _TOKENS_AN_ANSWER,
            n_answered=len(asked) - len(left),
            n_kept=sum(material.factor in self._kept for material in materials),
            max_requests=max_requests,
        )

    def do(self, material: excerpts.Material) -> None:
        """Labels and scores one factor."""
        factor, layer = material.factor, material.layer
        if factor in self._kept:
            label = self._kept[factor].at(layer)
        else:
            text = self._asker.label(material)
            if text is None:
                with self._lock:
                    self.n_unnamed += 1
                    self.n_done += 1
                return
            label = FactorLabel(
                text, self._score_before(factor, text), self._model, layer
            )
            self.labelled[factor] = label
        found = self._asker.score(label.text, material, self._trials(material))
        if found:
            source = label.source or "not named"
            self.scored[factor] = scores.Scored(
                label.text, source, layer, self._model, **found
            )
        if factor in self.labelled and "detection" in found:
            self.labelled[factor] = dataclasses.replace(
                label, score=round(found["detection"].value, 3)
            )
        with self._lock:
            self.n_done += 1

    def save(self) -> None:
        """Writes labels and scores of the factors so far into the run."""
        if self.labelled:
            merged = dict(self._run.imported_labels)
            for factor, label in self.labelled.items():
                # An earlier one was the model's own, or another model's.
                merged[factor] = label
            labels_lib.save(self._run.directory.labels, merged, self._run.trained)
        if self.scored:
            _save_scores(self._run, self.scored)

    def _questions(self, material: excerpts.Material) -> Iterator[questions.Question]:
        factor, label = material.factor, "a label of a few words"
        if factor in self._kept:
            label = self._kept[factor].at(material.layer).text
        else:
            naming = questions.name_it(material)
            yield naming
            if self._asker.is_answered(naming):
                found = self._asker.known(naming)
                if not found:
                    return
                [label] = found
        asked = asking.score_questions(label, factor, self._trials(material))
        for each in asked.values():
            yield from (question for question, _ in each)

    def _score_before(self, factor: int, text: str) -> float | None:
        """Returns the score that the same label has, if this call makes none."""
        known = self._run.imported_labels.get(factor)
        if known is None or (known.text, known.source) != (text, self._model):
            return None
        return known.score

    def _trials(self, material: excerpts.Material) -> trials.Trials:
        asked = trials.of_material(material)
        left_out = {name: () for name in trials.NAMES if name not in self._score}
        return dataclasses.replace(asked, **left_out)


def _kept(run: run_lib.Run, log: request_log.RequestLog) -> dict[int, FactorLabel]:
    """Returns the labels that no language model gave here: those stay."""
    made: set[tuple[int, str, str]] = set()
    for lines in log.answers.values():
        for line in lines:
            if line.task == "label" and line.outcome == "read":
                with contextlib.suppress(questions.Malformed):
                    text = questions.read_label(line.answer)
                    made.add((line.factor, text, line.model))
    by_hand = {factor for factor, note in run.notes.items() if note.label}
    return {
        factor: label
        for factor, label in run.labels.items()
        if factor in by_hand
        or label.at_layers
        or (factor, label.text, label.source) not in made
    }


def _in_parallel(
    do: Callable[[excerpts.Material], None],
    materials: Sequence[excerpts.Material],
    parallel: int,
    stop: threading.Event,
    show: Callable[[int, int], None],
) -> None:
    """Does the work of each factor; raises what it raises.

    Once the budget is spent, those that need no more requests are still finished.
    """
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        futures = [pool.submit(do, material) for material in materials]
        try:
            for done, future in enumerate(
                concurrent.futures.as_completed(futures), start=1
            ):
                with contextlib.suppress(asking.Stopped, asking.BudgetSpent):
                    future.result()
                show(done, len(futures))
        finally:
            # What is on its way is waited for: it may have been paid for.
            stop.set()
            pool.shutdown(cancel_futures=True)


def _alive(run: run_lib.Run, factors: Sequence[int] | None) -> tuple[list[int], int]:
    """Returns the factors to work on, and how many do not fire."""
    numbers: Iterable[int] = range(len(run.trained.factors))
    chosen = list(dict.fromkeys(numbers if factors is None else factors))
    for number in chosen:
        run.check_factor(number)
    firing = np.any(run.examples.firing, axis=0)
    alive = [number for number in chosen if firing[number]]
    if not alive:
        raise InputError(
            "Expected at least one factor that fires; those asked for are dead."
        )
    return alive, len(chosen) - len(alive)


def _materials(
    run: run_lib.Run, chosen: Sequence[int], stages: progress_lib.Stages
) -> list[excerpts.Material]:
    with stages.stage("excerpts") as show:
        return list(excerpts.gather(run, chosen, progress=show))


def _weighted(
    run: run_lib.Run, material: excerpts.Material
) -> tuple[dict[str, float], FactorLabel]:
    """Returns the weights of a label's words, and the label."""
    factor, layer = material.factor, material.layer
    if factor in run.labels:
        label = run.labels[factor].at(layer)
        return word_judge.of_text(label.text, run.word_counts), label
    found = run.words.at(
        run.trained.layers.index(layer),
        factor,
        n=_WORDS,
        without=material.tested_windows,
    )
    text = words_lib.listed(each.text for each in found)
    label = FactorLabel(text or "no word", source=scores.OF_WORDS)
    return (word_judge.of_word_list(found) if found else {}), label


def _scored(
    label: FactorLabel,
    weights: Mapping[str, float],
    material: excerpts.Material,
    asked: trials.Trials,
) -> scores.Scored:
    counts = word_judge.WordJudge(weights, material).right(asked)
    return scores.Scored(
        label.text,
        label.source or "not named",
        material.layer,
        word_judge.NAME,
        **{name: scores.Score(*count) for name, count in counts.items() if count[1]},
    )


def _save_scores(run: run_lib.Run, new: Mapping[int, scores.Scored]) -> None:
    scores.save(
        run.directory.label_scores,
        scores.merge(run.label_scores, new),
        dictionary_hash=run.trained.content_hash,
    )

"""Does a factor do what it is said to mean? Steering over many factors, and at a word.

Two questions. Of any factor: are predictions moved more where it is removed than where
the same amount of something else is removed? Of the factor that tells a word in one
class, such as "left" as a verb: does removing it take that word, or that class, out of
the prediction at the word, and move the predictions around it?
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfvis_jax import probing
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import loss_recovered, replacement
from tfvis_jax.models import heads
from tfvis_jax.probing import scores
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.studies import by_document
from tfvis_jax.studies.steering import steering, steering_text, steering_words
from tfvis_jax.studies.words import word_sets

# Places of the first question.
HERE, ELSEWHERE = "where it fires", "elsewhere in the window"
REMOVED, ADDED = "removed", "added"
ANY = "any factor"
# Words that are listed as raised and as lowered.
_LISTED = 6
# Rounding of float32 gives a KL of up to about this.
_LEAST_KL = 1e-6

Tell = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Sizes of a study.

    Attributes:
      n_factors: factors of each layer in the first question.
      n_windows: windows of each of these factors.
      text_windows: held-out windows that they are drawn from.
      strengths: multiples of α, or of the amount added.
      n_resamples: bootstrap resamples.
      seed: of all draws.
    """

    n_factors: int = 24
    n_windows: int = 8
    text_windows: int = 256
    strengths: tuple[float, ...] = (0.5, 1.0, 2.0)
    n_resamples: int = 1000
    seed: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Figure:
    """Effects of one change at one place, with intervals over documents.

    Attributes:
      question: `ANY`, or the word.
      place: where predictions were compared.
      layer: the layer; None for all of them pooled.
      change: `REMOVED` or `ADDED`.
      direction: one of `steering.DIRECTIONS`.
      strength: the strength s.
      n_positions: predictions that were compared.
      n_documents: documents that they are from.
      kl, log_share, odds, flipped: means over the predictions; see `steering`.
      typical_kl: geometric mean of the KL, which few large ones do not rule.
    """

    question: str
    place: str
    layer: int | None
    change: str
    direction: str
    strength: float
    n_positions: int
    n_documents: int
    kl: scores.Estimate
    log_share: scores.Estimate
    odds: scores.Estimate
    flipped: scores.Estimate
    typical_kl: scores.Estimate


@dataclasses.dataclass(frozen=True)
class FactorEffect:
    """Mean KL at strength 1 where one factor fires, by direction.

    Attributes:
      layer: the layer.
      factor: number of the factor.
      n_positions: predictions at tokens where it fires.
      kl: mean KL by direction.
    """

    layer: int
    factor: int
    n_positions: int
    kl: dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class WordEffect:
    """What steering the factor of a word did at one layer.

    Attributes:
      found: the word and its factors.
      chosen: the factor that was steered.
      lowered, raised: tokens whose probability fell and rose most where the word is
        read and its factor was removed, with the mean change.
      added: tokens whose probability rose most where the word is hidden and its factor
        was added.
    """

    found: steering_words.Occurrences
    chosen: steering_words.ChosenFactor
    lowered: list[tuple[str, float]]
    raised: list[tuple[str, float]]
    added: list[tuple[str, float]]


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """All that was found.

    Attributes:
      figures: of every question, place, layer, direction and strength.
      factors: the factors of the first question, one by one.
      words: of each word and layer.
    """

    figures: list[Figure]
    factors: list[FactorEffect]
    words: list[WordEffect]

    def find(self, **values: Any) -> Figure | None:
        """Returns the first figure whose attributes have these values."""
        return next(
            (
                figure
                for figure in self.figures
                if all(getattr(figure, k) == value for k, value in values.items())
            ),
            None,
        )


def check(opened: setup.Setup, config: StudyConfig) -> None:
    """Refuses what cannot be steered, before anything is computed.

    Raises:
      InputError: the model has no masked language model head, no text is held out, or
        a strength is not positive.
    """
    model = opened.pretrained.language_model
    if model is None or model.objective != heads.MASKED_LM:
        raise InputError(
            "Expected a run of a model with a masked language model head "
            f"(BertForMaskedLM, such as bert-base-uncased); {opened.pretrained.name} "
            "has none. Train a run on such a model."
        )
    if not len(opened.windows().held_out):
        raise InputError(
            f"Nothing of the text of {opened.run.path} is held out to measure on. "
            "Train on a longer text."
        )
    if not config.strengths or min(config.strengths) <= 0:
        raise InputError(f"Expected strengths above 0, got {config.strengths}.")


def study_factors(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    config: StudyConfig,
    *,
    progress: Tell = lambda what, done, total: None,
) -> Study:
    """Removes factors drawn at random, at every layer, in held-out text.

    Args:
      opened: model with its masked language model head, and settings of the run.
      trained: its dictionary.
      config: sizes.
      progress: called with (what, cases done, cases in all).

    Raises:
      InputError: the model has no such head, or no text is held out.
    """
    check(opened, config)
    subject = subject_of(opened, trained)
    windows = opened.windows()
    solver = trained.solver(opened.config.solver)
    chosen = loss_recovered.spread(windows.held_out, n=config.text_windows)
    parts: dict[int | None, list[_Part]] = {None: []}
    factors: list[FactorEffect] = []
    for layer in trained.layers:
        cases = steering_text.draw(
            subject,
            trained,
            windows,
            chosen,
            layer=layer,
            solver=solver,
            n_factors=config.n_factors,
            n_windows=config.n_windows,
            seed=config.seed,
        )
        effects = steering.steer(
            subject,
            trained,
            cases,
            layer=layer,
            solver=solver,
            strengths=config.strengths,
            seed=config.seed,
            progress=lambda done, total, layer=layer: progress(
                f"any factor, layer {layer}", done, total
            ),
        )
        parts[layer] = [_Part(cases, effects)]
        parts[None].append(parts[layer][0])
        factors += _one_by_one(cases, effects, layer=layer)
    figures = []
    for place in (HERE, ELSEWHERE):
        for layer, of_layer in parts.items():
            figures += _figures(
                of_layer, config, question=ANY, place=place, layer=layer, change=REMOVED
            )
    return Study(figures, factors, [])


def study_word(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    word: word_sets.Word,
    labelled: probing.LabelledText,
    config: StudyConfig,
    *,
    progress: Tell = lambda what, done, total: None,
) -> Study:
    """Removes and adds the factor that best tells a word, at every layer.

    Args:
      opened: model with its masked language model head, and settings of the run.
      trained: its dictionary.
      word: labelled occurrences with a class that is looked for.
      labelled: text all of whose words are labelled with their class; its other
        documents tell which words are of this class.
      config: sizes.
      progress: called with (what, cases done, cases in all).

    Raises:
      InputError: the model has no such head, or the word is too rare.
    """
    subject = subject_of(opened, trained)
    solver = trained.solver(opened.config.solver)
    found = steering_words.find(opened, trained, word, seed=config.seed)
    sets = steering_words.sure_words(
        labelled,
        found.positive,
        opened.tokenizer,
        without=found.documents[~found.is_training].tolist(),
    )
    figures, words = [], []
    last = opened.pretrained.config.n_layers
    for chosen in found.chosen:
        shifts = {}
        for place, add in (
            (steering_words.BESIDE, None),
            (steering_words.READ, None),
            (steering_words.HIDDEN, chosen.amount),
        ):
            if place == steering_words.BESIDE and chosen.layer == last:
                continue  # No token reads another above it.
            cases = steering_words.cases(
                opened,
                found,
                chosen.factor,
                place=place,
                positives_only=add is None,
            )
            effects = steering.steer(
                subject,
                trained,
                cases,
                layer=chosen.layer,
                solver=solver,
                add=add,
                strengths=config.strengths,
                word_sets=sets,
                seed=config.seed,
                progress=lambda done, total, place=place, layer=chosen.layer: progress(
                    f"{place}, layer {layer}", done, total
                ),
            )
            figures += _figures(
                [_Part(cases, effects)],
                config,
                question=found.word,
                place=place,
                layer=chosen.layer,
                change=REMOVED if add is None else ADDED,
            )
            shifts[place] = effects.word_shift / cases.counted.sum()
        read, hidden = shifts[steering_words.READ], shifts[steering_words.HIDDEN]
        words.append(
            WordEffect(
                found=found,
                chosen=chosen,
                lowered=_listed(opened, read, np.argsort(read)),
                raised=_listed(opened, read, np.argsort(-read)),
                added=_listed(opened, hidden, np.argsort(-hidden)),
            )
        )
    return Study(figures, [], words)


def subject_of(
    opened: setup.Setup, trained: trained_dictionary.TrainedDictionary
) -> replacement.Subject:
    """Returns the model of a run as it is steered."""
    return replacement.Subject(
        pretrained=opened.pretrained,
        tokenizer=opened.tokenizer,
        layers=trained.layers,
        layer_scale=trained.layer_scale,
        windows_per_batch=opened.config.windows_per_batch,
        seed=opened.config.seed,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Part:
    """Cases of one layer and what was found of them."""

    cases: steering.Cases
    effects: steering.Effects

    def at(self, place: str) -> np.ndarray:
        """Which positions are of a place, [n, m] bool."""
        if place == HERE:
            return self.cases.counted & self.effects.is_changed
        if place == ELSEWHERE:
            return self.cases.counted & ~self.effects.is_changed
        return self.cases.counted


def _figures(
    parts: Sequence[_Part],
    config: StudyConfig,
    *,
    question: str,
    place: str,
    layer: int | None,
    change: str,
) -> list[Figure]:
    masks = [part.at(place) for part in parts]
    documents = np.concatenate(
        [
            np.broadcast_to(part.cases.documents[:, None], mask.shape)[mask]
            for part, mask in zip(parts, masks, strict=True)
        ]
    )
    if not len(documents):
        return []
    resampled = by_document.Resampled(
        documents, n_resamples=config.n_resamples, seed=config.seed
    )

    def values(name: str, direction: str, number: int) -> np.ndarray:
        return np.concatenate(
            [
                getattr(part.effects, name)[direction][number][mask]
                for part, mask in zip(parts, masks, strict=True)
            ]
        )

    figures = []
    for direction in steering.DIRECTIONS:
        for number, strength in enumerate(config.strengths):
            kl = values("kl", direction, number)
            figures.append(
                Figure(
                    question=question,
                    place=place,
                    layer=layer,
                    change=change,
                    direction=direction,
                    strength=strength,
                    n_positions=len(documents),
                    n_documents=resampled.n_documents,
                    kl=resampled.mean(kl),
                    log_share=resampled.mean(values("log_share", direction, number)),
                    odds=resampled.mean(values("odds", direction, number)),
                    flipped=resampled.mean(values("flipped", direction, number)),
                    typical_kl=resampled.geometric_mean(kl, floor=_LEAST_KL),
                )
            )
    return figures


def _one_by_one(
    cases: steering.Cases, effects: steering.Effects, *, layer: int
) -> list[FactorEffect]:
    number = int(np.argmin(np.abs(np.array(effects.strengths) - 1)))
    here = cases.counted & effects.is_changed
    found = []
    for factor in np.unique(cases.factors).tolist():
        mask = here & (cases.factors == factor)[:, None]
        if mask.any():
            kl = {
                direction: float(values[number][mask].mean())
                for direction, values in effects.kl.items()
            }
            found.append(FactorEffect(layer, factor, int(mask.sum()), kl))
    return found


def _listed(
    opened: setup.Setup, shift: np.ndarray, order: np.ndarray
) -> list[tuple[str, float]]:
    return [
        (opened.tokenizer.spelled(int(token)), float(shift[token]))
        for token in order[:_LISTED]
    ]

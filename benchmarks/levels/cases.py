"""Factors with a label and the evidence for their level, as JSON keeps them."""

import dataclasses
import os
import zlib
from collections.abc import Sequence

import numpy as np

from benchmarks.ground_truth import level_labels
from benchmarks.levels import (
    concepts,
    planted_factors,
    planted_set,
    word_families,
)
from tfvis_jax.examples import importance, stored
from tfvis_jax.levels import context_shares, rule, word_forms
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.runs import dictionary_file

# Strongest tokens of a planted factor: of as many are words told.
_PLANTED_TOP = 400


@dataclasses.dataclass(frozen=True)
class Case:
    """One factor.

    Attributes:
      source: name of the run.
      kind: "trained", "planted" or "matched".
      factor: its number.
      concept: what explains it; "" where nothing does.
      label: "low", "mid", "high" or "".
      layers, importance, firing: as in `rule.Evidence`.
      forms: the fields of `word_forms.WordForms`.
      shares: share of α within each of `context_shares.RADII`.
    """

    source: str
    kind: str
    factor: int
    concept: str
    label: str
    layers: list[int]
    importance: list[float]
    firing: list[int]
    forms: dict
    shares: list[float]

    @property
    def evidence(self) -> rule.Evidence:
        """What `rule.judge` takes."""
        return rule.Evidence(
            layers=tuple(self.layers),
            importance=np.array(self.importance),
            firing=np.array(self.firing),
            forms=word_forms.WordForms(**self.forms),
            shares=np.array(self.shares),
        )

    @property
    def is_for_choosing(self) -> bool:
        """Whether thresholds may be chosen on it; a concept is on one side only."""
        return zlib.crc32(self.concept.encode()) % 2 == 0


class ConceptText:
    """A run, its text and the concepts in it."""

    def __init__(self, path: str | os.PathLike[str]):
        """Reads the text of a run that has examples."""
        self.run = run_lib.load_run(path)
        windows = self.run.windows
        tokenizer = self.run.opened.tokenizer
        self.tokens = concepts.read(windows, tokenizer.is_continuation)
        self.concepts = concepts.concepts(self.tokens)
        self.form = word_families.of_vocabulary(tokenizer.pieces)[self.tokens.token_id]
        holds = np.zeros((len(self.concepts), len(self.form)), bool)
        for row, concept in zip(holds, self.concepts, strict=True):
            row[concept.rows] = True
        self.corpus = level_labels.Corpus(
            form=self.form,
            document=self.tokens.document,
            levels=[concept.level for concept in self.concepts],
            holds=holds,
        )


def trained(world: ConceptText, *, max_low: int, per_factor: int) -> list[Case]:
    """Returns the factors of a run that a concept explains, where each peaks.

    Args:
      world: the run.
      max_low: factors of class low, at most; drawn with seed 0.
      per_factor: tokens of each on which context is measured.
    """
    run = world.run
    curves, firing = _curves(run.examples)
    peaks = rule.peaks(curves, firing)
    found = labels(world, run.examples, peaks)
    low = [factor for factor, label in found.items() if label[0] == "low"]
    low = np.random.default_rng(0).permutation(low)[:max_low].tolist()
    chosen = sorted({f for f, label in found.items() if label[0] != "low"} | {*low})
    return cases(
        run,
        run.trained,
        run.examples,
        {factor: found[factor] for factor in chosen},
        layers=peaks,
        kind="trained",
        per_factor=per_factor,
    )


def planted(world: ConceptText, *, per_class: int, per_factor: int) -> list[Case]:
    """Returns concepts that were made factors, and whose tokens do fire these.

    Each is looked at in the layer that its direction is from. One that other tokens
    fire more is dropped, by the rule that labels trained factors.
    """
    run = world.run
    plants = planted_set.choose(
        world.tokens,
        world.concepts,
        form=world.form,
        per_class=per_class,
        n_layers=len(run.trained.layers),
    )
    made = planted_factors.dictionary(
        run.opened, run.trained, run.windows, form=world.form, plants=plants
    )
    examples = planted_factors.strongest(run.opened, made, run.windows, n=_PLANTED_TOP)
    return of_plants(world, plants, made, examples, per_factor=per_factor)


def of_plants(
    world: ConceptText,
    plants: Sequence[planted_factors.Plant],
    made: dictionary_file.TrainedDictionary,
    examples: stored.Examples | planted_factors.Strongest,
    *,
    per_factor: int,
) -> list[Case]:
    """Returns the plants that keep their class; else as `planted`."""
    layers = np.array([plant.layer for plant in plants])
    found = {
        factor: (label[0], plants[factor].name)
        for factor, label in labels(world, examples, layers).items()
        if label[0] == plants[factor].level
    }
    return cases(
        world.run,
        made,
        examples,
        found,
        layers=layers,
        kind="planted",
        per_factor=per_factor,
    )


def matched(run: run_lib.Run, factors: Sequence[int], *, per_factor: int) -> list[Case]:
    """Returns factors of a run, without labels, where each peaks."""
    return cases(
        run,
        run.trained,
        run.examples,
        dict.fromkeys(factors, ("", "")),
        layers=rule.peaks(*_curves(run.examples)),
        kind="matched",
        per_factor=per_factor,
    )


def _curves(
    examples: stored.Examples | planted_factors.Strongest,
) -> tuple[np.ndarray, np.ndarray]:
    activation = np.asarray(examples.activation)
    curves = importance.importance_scores(activation, n=activation.shape[2])
    return curves, np.asarray(examples.firing)


def labels(
    world: ConceptText,
    examples: stored.Examples | planted_factors.Strongest,
    layers: np.ndarray,
) -> dict[int, tuple[str, str]]:
    """Returns class and name of the concept that explains each factor.

    Args:
      world: the text.
      examples: of any dictionary on it.
      layers: [n_factors] index of the layer to look at.
    """
    found = {}
    for factor, layer in enumerate(layers.tolist()):
        n = int(np.count_nonzero(examples.activation[layer, factor] > 0))
        if n < level_labels.MIN_WORD_COUNT:
            continue
        rows = world.tokens.rows(
            examples.window[layer, factor, :n], examples.position[layer, factor, :n]
        )
        label = level_labels.label(world.corpus, rows)
        if label is not None:
            found[factor] = label.level, _name(world, label)
    return found


def cases(
    run: run_lib.Run,
    trained: dictionary_file.TrainedDictionary,
    examples: stored.Examples | planted_factors.Strongest,
    chosen: dict[int, tuple[str, str]],
    *,
    layers: np.ndarray,
    kind: str,
    per_factor: int,
) -> list[Case]:
    """Measures the evidence of factors.

    Args:
      run: gives the model and the text.
      trained: a dictionary on it.
      examples: of that dictionary.
      chosen: class and concept of the factors to measure.
      layers: [n_factors] index of the layer to look at.
      kind: of `Case`.
      per_factor: tokens of each on which context is measured.
    """
    curves, firing = _curves(examples)
    forms = word_forms.of_examples(run.windows, examples, peaks=layers)
    shares = context_shares.measure(
        run.opened,
        trained,
        run.windows,
        examples,
        peaks=layers,
        per_factor=per_factor,
        progress=lambda done, total: None,
        factors=list(chosen),
    )
    return [
        Case(
            source=run.directory.path.name,
            kind=kind,
            factor=factor,
            concept=concept,
            label=label,
            layers=list(trained.layers),
            importance=curves[:, factor].tolist(),
            firing=firing[:, factor].tolist(),
            forms=dataclasses.asdict(forms[factor]),
            shares=shares[factor].tolist(),
        )
        for factor, (label, concept) in chosen.items()
        if forms[factor] is not None
    ]


def _name(world: ConceptText, label: level_labels.ConceptLabel) -> str:
    if label.level == "low":
        row = int(np.flatnonzero(world.form == label.concept)[0])
        start = int(world.tokens.start[row])
        return "word " + world.tokens.text[start:].split(maxsplit=1)[0].casefold()
    return world.concepts[label.concept].name

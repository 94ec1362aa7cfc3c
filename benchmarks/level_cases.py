"""Factors with a label and the evidence for their level, as JSON keeps them."""

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np

from benchmarks import level_concepts, planted_factors, planted_set, word_families
from tfvis_jax.analysis import context_shares, importance, levels, word_forms
from tfvis_jax.analysis import examples as examples_lib
from tfvis_jax.analysis import run as run_lib
from tfvis_jax.evaluation import level_labels
from tfvis_jax.training import dictionary_file


@dataclasses.dataclass(frozen=True)
class Case:
    """One factor.

    Attributes:
      source: name of the run.
      kind: "trained", "planted" or "matched".
      factor: its number.
      concept: what explains it; "" where nothing does.
      label: "low", "mid", "high" or "".
      layers, importance, firing: as in `levels.Evidence`.
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
    def evidence(self) -> levels.Evidence:
        """What `levels.judge` takes."""
        return levels.Evidence(
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


class World:
    """A run, its text and the concepts in it."""

    def __init__(self, path: str):
        """Reads the text of a run that has examples."""
        self.run = run_lib.load_run(path)
        windows = self.run.windows
        tokenizer = self.run.opened.tokenizer
        self.tokens = level_concepts.read(windows, tokenizer.is_continuation)
        self.concepts = level_concepts.concepts(self.tokens)
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


def trained(world: World, *, max_low: int, per_factor: int) -> list[Case]:
    """Returns the factors of a run that a concept explains.

    Args:
      world: the run.
      max_low: factors of class low, at most; drawn with seed 0.
      per_factor: tokens of each on which context is measured.
    """
    trained, examples = world.run.trained, world.run.examples
    found = _labels(world, examples)
    low = [factor for factor, label in found.items() if label[0] == "low"]
    low = np.random.default_rng(0).permutation(low)[:max_low].tolist()
    chosen = sorted({f for f, label in found.items() if label[0] != "low"} | {*low})
    return _cases(
        world.run,
        trained,
        examples,
        chosen,
        found,
        kind="trained",
        per_factor=per_factor,
    )


def planted(world: World, *, per_class: int, per_factor: int) -> list[Case]:
    """Returns concepts that were made factors, and whose tokens do fire these.

    A direction that other tokens fire more is dropped, by the rule that labels trained
    factors.
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
    examples = examples_lib.collect(
        run.opened, made, run.windows, n=400, progress=lambda done, total: None
    )
    found = {
        factor: label
        for factor, label in _labels(world, examples).items()
        if label[0] == plants[factor].level
    }
    return _cases(
        run,
        made,
        examples,
        sorted(found),
        found,
        kind="planted",
        per_factor=per_factor,
    )


def of_factors(
    run: run_lib.Run, factors: Sequence[int], *, per_factor: int
) -> list[Case]:
    """Returns factors of a run in this order, without labels."""
    return _cases(
        run,
        run.trained,
        run.examples,
        factors,
        {},
        kind="matched",
        per_factor=per_factor,
    )


def _curves(examples):
    activation = np.asarray(examples.activation)
    curves = importance.importance_scores(activation, n=activation.shape[2])
    firing = np.asarray(examples.firing)
    return curves, firing, levels.peaks(curves, firing)


def _labels(world, examples) -> dict[int, tuple[str, str]]:
    """Returns class and name of the concept that explains each factor."""
    _, _, peaks = _curves(examples)
    found = {}
    for factor, layer in enumerate(peaks.tolist()):
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


def _cases(
    run: run_lib.Run,
    trained: dictionary_file.TrainedDictionary,
    examples: examples_lib.Examples,
    chosen: Sequence[int],
    labels: dict[int, tuple[str, str]],
    *,
    kind: str,
    per_factor: int,
) -> list[Case]:
    curves, firing, peaks = _curves(examples)
    forms = word_forms.of_examples(run.windows, examples, peaks=peaks)
    shares = context_shares.measure(
        run.opened,
        trained,
        run.windows,
        examples,
        peaks=peaks,
        per_factor=per_factor,
        progress=lambda done, total: None,
        factors=chosen,
    )
    return [
        Case(
            source=run.directory.path.name,
            kind=kind,
            factor=factor,
            concept=labels.get(factor, ("", ""))[1],
            label=labels.get(factor, ("", ""))[0],
            layers=list(trained.layers),
            importance=curves[:, factor].tolist(),
            firing=firing[:, factor].tolist(),
            forms=dataclasses.asdict(forms[factor]),
            shares=shares[factor].tolist(),
        )
        for factor in chosen
        if forms[factor] is not None
    ]


def _name(world, label) -> str:
    if label.level == "low":
        row = int(np.flatnonzero(world.form == label.concept)[0])
        start = int(world.tokens.start[row])
        return "word " + world.tokens.text[start:].split(maxsplit=1)[0].casefold()
    return world.concepts[label.concept].name

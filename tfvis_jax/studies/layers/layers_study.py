"""What depth does to factors; one dictionary for all layers against one for each."""

import dataclasses
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tfvis_jax.codes import rows as rows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import matching
from tfvis_jax.probing import scores
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.studies import by_document, equal_l0, telling, text_rows
from tfvis_jax.studies.layers import layer_contexts

ITSELF, SAME_WORDS, OTHER = "the factor", "same words at random", "another factor"
SHARED = "one for all layers"
PER_LAYER = "one for each layer"
LONGER = "one for each layer, as many steps each"

Tell = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Sizes of a study.

    Attributes:
      n_tokens: tokens whose contexts are compared.
      n_contexts: contexts of a factor at a layer.
      n_rows: rows to learn from, over the layers that are learned.
      n_held_out: held-out rows to measure on.
      n_learned_layers: layers that dictionaries are learned for.
      n_factors: factors in all; each layer's own dictionary has its part of them.
      target_l0: mean number of active factors at each layer.
      num_passes: passes over the rows.
      n_seeds: trainings of each kind, for their stability.
      n_resamples: bootstrap resamples.
      seed: of all draws.
    """

    n_tokens: int = 8000
    n_contexts: int = 20
    n_rows: int = 45_000
    n_held_out: int = 12_000
    n_learned_layers: int = 3
    n_factors: int = 768
    target_l0: float = 24
    num_passes: int = 2
    n_seeds: int = 2
    n_resamples: int = 1000
    seed: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Overlap:
    """Mean overlap of contexts between two layers, over factors.

    Attributes:
      name: `ITSELF`, or one of the controls.
      first, second: the layers.
      share: the mean overlap; NaN where no factor has enough contexts at both.
      n_factors: factors with enough contexts.
    """

    name: str
    first: int
    second: int
    share: scores.Estimate
    n_factors: int


@dataclasses.dataclass(frozen=True, eq=False)
class Explained:
    """Variance that a class of factors explains at a layer.

    Attributes:
      layer: the layer.
      name: a class of `layer_contexts.CLASSES`.
      share: of the layer's variance.
      n_factors: factors of the class.
      by_number: the share if what the dictionary explains were divided by number.
    """

    layer: int
    name: str
    share: scores.Estimate
    n_factors: int
    by_number: float


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """Dictionaries of one kind.

    Attributes:
      name: `SHARED`, `PER_LAYER` or `LONGER`.
      l0: mean over the layers.
      fvu: of all layers pooled, codes refitted.
      fvu_of_layer: of each layer.
      agreement: mean cosine of factors of two seeds, matched one to one; None with one
        seed.
      tells: accuracy of probes of labelled text, from `telling.accuracy`; empty if
        nothing is labelled.
    """

    name: str
    l0: float
    fvu: scores.Estimate
    fvu_of_layer: list[scores.Estimate]
    agreement: float | None
    tells: dict[str, scores.Estimate]


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """All that was found.

    Attributes:
      layers: of the run.
      learned_layers: that dictionaries were learned for.
      overlaps: of every pair of layers, of the factors and of the controls.
      drift: overlap of neighbouring layers less that of the first and the last, over
        factors that have enough contexts at all of them.
      explained: by class and layer.
      trained: shared and separate dictionaries.
      n_documents: documents of the contexts.
      n_held_out_documents: documents that dictionaries were measured on.
      labelled: what was probed; None if nothing was.
    """

    layers: tuple[int, ...]
    learned_layers: tuple[int, ...]
    overlaps: list[Overlap]
    drift: scores.Estimate
    explained: list[Explained]
    trained: list[Trained]
    n_documents: int
    n_held_out_documents: int
    labelled: telling.Labelled | None


def study(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    config: StudyConfig,
    *,
    labels: str | os.PathLike[str] | None = None,
    progress: Tell = lambda what, done, total: None,
    notify: Callable[[str], None] = warnings.warn,
) -> Study:
    """Measures what depth does.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      config: sizes.
      labels: labelled text that dictionaries are probed with, as `telling.labelled`
        reads it; the sentences that come with this package if None.
      progress: called with (what, done, in all).
      notify: told in a sentence what is left out.

    Raises:
      InputError: the run has one layer, or no text is held out.
    """
    if len(trained.layers) < 2:
        raise InputError(
            f"Expected a run of two layers or more, got layers {list(trained.layers)}."
        )
    windows = opened.windows()
    if not len(windows.held_out):
        raise InputError(f"Nothing of the text of {opened.run.path} is held out.")
    rows = text_rows.gather(
        opened,
        trained,
        windows,
        np.concatenate([windows.train, windows.held_out]),
        count=config.n_tokens * len(trained.layers),
        seed=config.seed,
        progress=lambda *done: progress("hidden states", *done),
    )
    overlaps, drift, explained = _depth(opened, trained, rows, config, progress)
    few = trained.of_layers(
        text_rows.spread_layers(trained.layers, config.n_learned_layers)
    )
    labelled = telling.labelled(opened, few, labels, notify=notify)
    learned, n_held_out = _learned(opened, few, config, labelled, progress)
    return Study(
        layers=trained.layers,
        learned_layers=few.layers,
        overlaps=overlaps,
        drift=drift,
        explained=explained,
        trained=learned,
        n_documents=len(np.unique(rows.document)),
        n_held_out_documents=n_held_out,
        labelled=labelled,
    )


def _depth(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    rows: text_rows.TextRows,
    config: StudyConfig,
    progress: Tell,
) -> tuple[list[Overlap], scores.Estimate, list[Explained]]:
    """Contexts from layer to layer, and what each class of factors explains."""
    n_layers = len(rows.layers)
    codes = []
    for layer in range(n_layers):
        progress("codes of every layer", layer, n_layers)
        of_layer = rows.x[rows.layer == layer]
        codes.append(
            rows_lib.encode_rows(
                opened, trained, of_layer, layer=rows.layers[layer]
            ).codes
        )
    progress("codes of every layer", n_layers, n_layers)
    # Tokens are the same at every layer, in the same order.
    first = rows.layer == 0
    overlaps, by_factor = _overlaps(codes, rows.word[first], rows.layers, config)
    neighbours = np.stack([by_factor[i, i + 1] for i in range(n_layers - 1)])
    # Only factors with enough contexts at all layers: others have no first or last.
    adjacent = neighbours.mean(axis=0)
    gap = adjacent - by_factor[0, n_layers - 1]
    known = ~np.isnan(gap)
    drift = scores.Estimate(np.nan, np.nan, np.nan, np.zeros(config.n_resamples))
    if known.any():
        drift = _over_factors(gap[known], config)
    return overlaps, drift, _explained(trained, rows, codes, config)


def _overlaps(
    codes: list[Any],
    word: np.ndarray,
    layers: tuple[int, ...],
    config: StudyConfig,
) -> tuple[list[Overlap], dict[tuple[int, int], np.ndarray]]:
    rng = np.random.default_rng(config.seed)
    found = [layer_contexts.contexts(each, n=config.n_contexts) for each in codes]
    drawn = [layer_contexts.same_words(each, word, rng) for each in found]
    overlaps, by_factor = [], {}
    for i in range(len(layers)):
        for j in range(i + 1, len(layers)):
            # Another factor that is compared as well, so that it has contexts there.
            pairs = {ITSELF: found[j], SAME_WORDS: drawn[j]}
            own = layer_contexts.overlaps(found[i], found[j])
            active = np.flatnonzero(~np.isnan(own))
            other = list(found[j])
            for a, b in zip(active.tolist(), np.roll(active, 1).tolist(), strict=True):
                other[a] = found[j][b]
            pairs[OTHER] = other
            for name, second in pairs.items():
                shares = layer_contexts.overlaps(found[i], second)
                shares[np.isnan(own)] = np.nan
                known = shares[~np.isnan(shares)]
                estimate = (
                    _over_factors(known, config)
                    if len(known)
                    else scores.Estimate(
                        np.nan, np.nan, np.nan, np.zeros(config.n_resamples)
                    )
                )
                overlaps.append(
                    Overlap(name, layers[i], layers[j], estimate, len(known))
                )
            by_factor[i, j] = own
    return overlaps, by_factor


def _over_factors(values: np.ndarray, config: StudyConfig) -> scores.Estimate:
    return by_document.Resampled(
        np.arange(len(values)), n_resamples=config.n_resamples, seed=config.seed
    ).mean(values)


def _explained(
    trained: trained_dictionary.TrainedDictionary,
    rows: text_rows.TextRows,
    codes: list[Any],
    config: StudyConfig,
) -> list[Explained]:
    """Classes are decided on half of the documents, and measured on the others."""
    first = rows.layer == 0
    documents = np.unique(rows.document)
    rng = np.random.default_rng(config.seed)
    deciding = np.isin(
        rows.document[first], rng.permutation(documents)[: len(documents) // 2]
    )
    curves = np.stack(
        [
            layer_contexts.importance(each[deciding], n=config.n_contexts)
            for each in codes
        ]
    )
    kinds = layer_contexts.classes(curves)
    groups = [kinds == name for name in layer_contexts.CLASSES]
    measured = ~deciding
    if not measured.any() or not deciding.any():
        raise InputError("Expected text of two documents or more, got one.")
    resampled = by_document.Resampled(
        rows.document[first][measured],
        n_resamples=config.n_resamples,
        seed=config.seed,
    )
    found = []
    for number, layer in enumerate(rows.layers):
        x = rows.hidden[rows.layer == number][measured]
        variance = resampled.mean(
            np.sum((x - x.mean(axis=0, dtype=np.float64)) ** 2, axis=1)
        )
        parts = layer_contexts.explained(
            x, codes[number][measured], trained.directions, groups
        )
        shares = [
            by_document.quotient(resampled.mean(parts[:, g]), variance)
            for g in range(len(groups))
        ]
        total = sum(share.value for share in shares)
        n_living = sum(int(group.sum()) for group in groups)
        for name, group, share in zip(
            layer_contexts.CLASSES, groups, shares, strict=True
        ):
            n = int(group.sum())
            found.append(Explained(layer, name, share, n, total * n / max(n_living, 1)))
    return found


def _learned(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    config: StudyConfig,
    labelled: telling.Labelled | None,
    progress: Tell,
) -> tuple[list[Trained], int]:
    """Learns shared and separate dictionaries, and measures them at equal L0."""
    windows = opened.windows()
    rows = text_rows.gather(
        opened, trained, windows, windows.train, count=config.n_rows, seed=config.seed
    )
    measured = text_rows.gather(
        opened, trained, windows, windows.held_out, count=config.n_held_out
    )
    resampled = by_document.Resampled(
        measured.document, n_resamples=config.n_resamples, seed=config.seed
    )
    n_layers = len(trained.layers)
    part = config.n_factors // n_layers
    if part < 1:
        raise InputError(
            f"Expected a factor or more for each of {n_layers} layers, got "
            f"{config.n_factors} in all."
        )

    def learn(x: np.ndarray, n_factors: int, passes: int, seed: int) -> np.ndarray:
        return equal_l0.learn_factors(
            x,
            n_factors=n_factors,
            target_l0=config.target_l0,
            num_passes=passes,
            seed=seed,
            solver=opened.config.solver,
            dictionary=opened.config.dictionary,
        )

    found = []
    kinds = (SHARED, PER_LAYER, LONGER)
    for number, name in enumerate(kinds):
        by_seed = []
        for seed in range(config.seed, config.seed + config.n_seeds):
            progress(
                "dictionaries",
                number * config.n_seeds + seed - config.seed,
                len(kinds) * config.n_seeds,
            )
            if name == SHARED:
                one = learn(rows.x, part * n_layers, config.num_passes, seed)
                by_seed.append([one] * n_layers)
            else:
                passes = config.num_passes * (n_layers if name == LONGER else 1)
                by_seed.append(
                    [
                        learn(rows.x[rows.layer == layer], part, passes, seed)
                        for layer in range(n_layers)
                    ]
                )
        found.append(
            _measure(opened, name, by_seed, measured, labelled, resampled, part, config)
        )
    total = len(kinds) * config.n_seeds
    progress("dictionaries", total, total)
    return found, resampled.n_documents


def _measure(
    opened: setup.Setup,
    name: str,
    by_seed: list[list[np.ndarray]],
    measured: text_rows.TextRows,
    labelled: telling.Labelled | None,
    resampled: by_document.Resampled,
    part: int,
    config: StudyConfig,
) -> Trained:
    error = np.zeros(len(measured))
    l0, of_layer, penalties = [], [], []
    for layer, factors in enumerate(by_seed[0]):
        at = measured.layer == layer
        encoded = equal_l0.encode(
            factors,
            measured.take(at),
            target_l0=config.target_l0,
            solver=opened.config.solver,
            # One size for all, one compilation.
            n_factors=part * len(by_seed[0]),
        )
        error[at] = encoded.error
        l0.append(encoded.l0)
        penalties.append(encoded.l1_penalty)
        here = by_document.Resampled(
            measured.document[at], n_resamples=config.n_resamples, seed=config.seed
        )
        of_layer.append(equal_l0.fvu(encoded.error, measured.take(at), here))
    agreement = None
    if len(by_seed) > 1:
        kinds = 1 if name == SHARED else len(by_seed[0])
        cosine = [
            matching.assign(by_seed[0][layer], by_seed[1][layer]).cosine
            for layer in range(kinds)
        ]
        agreement = float(np.concatenate(cosine).mean())
    tells = {}
    if labelled is not None:
        tells = telling.accuracy(
            labelled,
            by_seed[0],
            penalties,
            solver=opened.config.solver,
            n_factors=part * len(by_seed[0]),
            n_resamples=config.n_resamples,
            seed=config.seed,
        )
    return Trained(
        name=name,
        l0=float(np.mean(l0)),
        fvu=equal_l0.fvu(error, measured, resampled),
        fvu_of_layer=of_layer,
        agreement=agreement,
        tells=tells,
    )

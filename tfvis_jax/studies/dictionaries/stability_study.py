"""Several trainings on the hidden states of one pass, and what they have in common.

Trained again are: the same rows with other seeds; each half of the documents; the same
rows with another number of factors. Beside them stand dictionaries that nothing was
learned for: samples of the rows, and random directions.
"""

import dataclasses
import itertools
import os
import warnings
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import matching
from tfvis_jax.probing import scores
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.studies import by_document, equal_l0, telling, text_rows
from tfvis_jax.studies.dictionaries import stability

SEEDS, HALVES, SAMPLES, RANDOM = (
    "seeds",
    "halves",
    "sample factors",
    "random directions",
)
SHUFFLED = "shuffled pairs"

Tell = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Sizes of a study.

    Attributes:
      n_rows: rows to learn from, over all layers.
      n_held_out: rows to measure on.
      n_factors: factors of a dictionary.
      sizes: other numbers of factors.
      n_seeds: trainings on the same rows.
      least: seeds that a factor must be found in.
      target_l0: mean number of active factors.
      num_passes: passes over the rows.
      cosine: two matched factors are the same from this cosine on.
      n_resamples: bootstrap resamples.
      seed: the first seed.
    """

    n_rows: int = 45_000
    n_held_out: int = 12_000
    n_factors: int = 512
    sizes: tuple[int, ...] = (256,)
    n_seeds: int = 3
    least: int = 3
    target_l0: float = 24
    num_passes: int = 2
    cosine: float = matching.SAME
    n_resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.least <= self.n_seeds:
            raise InputError(
                f"Expected factors to be found in 2 to {self.n_seeds} of "
                f"{self.n_seeds} seeds, got {self.least}."
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Compared:
    """Pairs of dictionaries of one kind, matched one to one.

    Attributes:
      name: which trainings.
      cosine: mean cosine of matched factors.
      same: share of matched factors that are the same.
      meaning: mean overlap of the words of matched factors.
      nearest: mean cosine of each factor with the nearest one of the other dictionary:
        from the first to the second, and back.
      n_pairs: pairs of factors.
    """

    name: str
    cosine: scores.Estimate
    same: scores.Estimate
    meaning: scores.Estimate
    nearest: tuple[float, float]
    n_pairs: int


@dataclasses.dataclass(frozen=True, eq=False)
class OfClass:
    """Factors of one class, between seeds.

    Attributes:
      kind: what the classes are by.
      name: the class.
      cosine, same, meaning: as in `Compared`.
      n_pairs: pairs of factors.
    """

    kind: str
    name: str
    cosine: scores.Estimate
    same: scores.Estimate
    meaning: scores.Estimate
    n_pairs: int


@dataclasses.dataclass(frozen=True, eq=False)
class Explained:
    """A dictionary on held-out rows at equal L0.

    Attributes:
      name: which dictionary.
      n_factors: its size.
      l0: the L0 found.
      fvu: fraction of variance unexplained, codes refitted; interval over documents.
      tells: accuracy of probes of labelled text, from `telling.accuracy`; empty if
        nothing is labelled.
    """

    name: str
    n_factors: int
    l0: float
    fvu: scores.Estimate
    tells: dict[str, scores.Estimate]


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """All that was found.

    Attributes:
      compared: of every kind of pairs.
      classes: between seeds, by class of factors.
      found: share of factors that are found in `StudyConfig.least` dictionaries, by
        the kind of dictionaries.
      counts: for seeds, number of factors that are found in 1, 2, … of them.
      explained: the consensus and what it is compared with.
      n_documents: held-out documents.
      examples: words of factors that are found in all seeds, and in one alone.
      labelled: what was probed; None if nothing was.
    """

    compared: list[Compared]
    classes: list[OfClass]
    found: dict[str, scores.Estimate]
    counts: list[int]
    explained: list[Explained]
    n_documents: int
    examples: dict[str, list[list[str]]]
    labelled: telling.Labelled | None


@dataclasses.dataclass(frozen=True, eq=False)
class _Learned:
    """A dictionary, its codes of the held-out rows, and the words of its factors."""

    factors: np.ndarray
    encoded: equal_l0.Encoded
    words: list[frozenset[int]]
    classes: dict[str, np.ndarray]


def study(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    config: StudyConfig,
    *,
    labels: str | os.PathLike[str] | None = None,
    progress: Tell = lambda what, done, total: None,
    notify: Callable[[str], None] = warnings.warn,
) -> Study:
    """Trains several dictionaries and compares them.

    Args:
      opened: model and settings of the run.
      trained: whose layers and scales are used.
      config: sizes.
      labels: labelled text that dictionaries are probed with, as `telling.labelled`
        reads it; the sentences that come with this package if None.
      progress: called with (what, done, in all).
      notify: told in a sentence what is left out.

    Raises:
      InputError: no text is held out, or it is too short.
    """
    windows = opened.windows()
    if not len(windows.held_out):
        raise InputError(f"Nothing of the text of {opened.run.path} is held out.")
    rows = text_rows.gather(
        opened,
        trained,
        windows,
        windows.train,
        count=config.n_rows,
        seed=config.seed,
        progress=lambda *done: progress("hidden states", *done),
    )
    measured = text_rows.gather(
        opened, trained, windows, windows.held_out, count=config.n_held_out
    )
    labelled = telling.labelled(opened, trained, labels, notify=notify)
    # Both are documents of windows, so numbers are the same.
    halves = _halves(rows, seed=config.seed)
    # Of what is learned: name, rows, number of factors, passes, seed.
    plan = [
        (SEEDS, rows.x, config.n_factors, config.num_passes, config.seed + n)
        for n in range(config.n_seeds)
    ]
    plan += [
        # As many steps as on all rows.
        (HALVES, half, config.n_factors, 2 * config.num_passes, config.seed)
        for half in halves
    ]
    plan += [
        (_size_name(size), rows.x, size, config.num_passes, config.seed)
        for size in config.sizes
    ]
    learned: dict[str, list[_Learned]] = {}
    total = len(plan) + 2 * config.n_seeds
    for done, (name, x, n_factors, num_passes, seed) in enumerate(plan):
        progress("dictionaries", done, total)
        factors = equal_l0.learn_factors(
            x,
            n_factors=n_factors,
            target_l0=config.target_l0,
            num_passes=num_passes,
            seed=seed,
            solver=opened.config.solver,
            dictionary=opened.config.dictionary,
        )
        learned.setdefault(name, []).append(_encode(opened, factors, measured, config))
    for number in range(config.n_seeds):
        for place, (name, factors) in enumerate(
            _untrained(rows.x, config, seed=config.seed + number).items()
        ):
            progress("dictionaries", len(plan) + 2 * number + place, total)
            learned.setdefault(name, []).append(
                _encode(opened, factors, measured, config)
            )
    progress("dictionaries", total, total)
    return _compare_all(opened, learned, measured, labelled, config)


def _size_name(size: int) -> str:
    return f"{size:,} factors"


def _halves(rows: text_rows.TextRows, *, seed: int) -> list[np.ndarray]:
    documents = np.unique(rows.document)
    if len(documents) < 2:
        raise InputError("Expected rows of two documents or more to halve, got one.")
    first = np.random.default_rng(seed).permutation(documents)[: len(documents) // 2]
    in_first = np.isin(rows.document, first)
    return [rows.x[in_first], rows.x[~in_first]]


def _untrained(
    x: np.ndarray, config: StudyConfig, *, seed: int
) -> dict[str, np.ndarray]:
    """Returns dictionaries that nothing was learned for."""
    rng = np.random.default_rng(seed)
    sample = x[rng.permutation(len(x))[: 8 * config.n_factors]]
    keys = jax.random.split(jax.random.key(seed))
    samples = dictionary_lib.initialise_from_samples(
        jnp.asarray(sample), n_factors=config.n_factors, key=keys[0]
    )
    directions = dictionary_lib.initialise_normal(
        keys[1], n_factors=config.n_factors, d_model=x.shape[1]
    )
    return {SAMPLES: np.asarray(samples), RANDOM: np.asarray(directions)}


def _encode(
    opened: setup.Setup,
    factors: np.ndarray,
    measured: text_rows.TextRows,
    config: StudyConfig,
) -> _Learned:
    encoded = equal_l0.encode(
        factors,
        measured,
        target_l0=config.target_l0,
        solver=opened.config.solver,
        n_factors=config.n_factors,
    )
    codes = encoded.codes[:, : len(factors)]
    mass = stability.word_mass(codes, measured.word)
    by_layer = np.stack(
        [
            np.asarray(codes[measured.layer == layer].sum(axis=0)).ravel()
            for layer in range(len(measured.layers))
        ]
    )
    layers = np.array([f"layer {layer}" for layer in measured.layers])
    return _Learned(
        factors,
        encoded,
        stability.top_words(mass),
        {
            "strongest layer": layers[np.argmax(by_layer, axis=0)],
            "words": stability.word_class(mass),
        },
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Pairs:
    """Matched factors of several pairs of dictionaries, one after the other."""

    factor: np.ndarray
    cosine: np.ndarray
    meaning: np.ndarray
    classes: dict[str, np.ndarray]
    nearest: tuple[float, float]

    def take(self, chosen: np.ndarray) -> "_Pairs":
        return _Pairs(
            self.factor[chosen],
            self.cosine[chosen],
            self.meaning[chosen],
            {kind: names[chosen] for kind, names in self.classes.items()},
            self.nearest,
        )


def _pairs(pairs: Sequence[tuple[_Learned, _Learned]]) -> _Pairs:
    factor, cosine, meaning, nearest = [], [], [], []
    classes: dict[str, list[np.ndarray]] = {}
    for number, (a, b) in enumerate(pairs):
        found = matching.assign(a.factors, b.factors)
        # Factors of the first dictionary are what is drawn in the bootstrap.
        factor.append(found.first + number * len(a.factors))
        cosine.append(found.cosine)
        meaning.append(
            [
                stability.overlap(a.words[i], b.words[j])
                for i, j in zip(found.first, found.second, strict=True)
            ]
        )
        for kind, names in a.classes.items():
            classes.setdefault(kind, []).append(names[found.first])
        nearest.append(
            (
                matching.nearest(a.factors, b.factors).cosine.mean(),
                matching.nearest(b.factors, a.factors).cosine.mean(),
            )
        )
    there, back = np.mean(nearest, axis=0)
    return _Pairs(
        np.concatenate(factor),
        np.concatenate(cosine),
        np.concatenate(meaning),
        {kind: np.concatenate(names) for kind, names in classes.items()},
        (float(there), float(back)),
    )


def _figures(pairs: _Pairs, config: StudyConfig) -> dict[str, scores.Estimate]:
    resampled = by_document.Resampled(
        pairs.factor, n_resamples=config.n_resamples, seed=config.seed
    )
    known = ~np.isnan(pairs.meaning)
    return {
        "cosine": resampled.mean(pairs.cosine),
        "same": resampled.mean(pairs.cosine >= config.cosine),
        "meaning": resampled.mean(pairs.meaning, known),
    }


def _compare_all(
    opened: setup.Setup,
    learned: dict[str, list[_Learned]],
    measured: text_rows.TextRows,
    labelled: telling.Labelled | None,
    config: StudyConfig,
) -> Study:
    seeds = learned[SEEDS]
    of_kind = {
        name: _pairs(list(itertools.combinations(found, 2)))
        for name, found in learned.items()
        if len(found) > 1
    }
    for size in config.sizes:
        of_kind[f"{config.n_factors:,} and {_size_name(size)}"] = _pairs(
            [(seeds[0], learned[_size_name(size)][0])]
        )
    compared = [
        Compared(name, **_figures(p, config), nearest=p.nearest, n_pairs=len(p.cosine))
        for name, p in of_kind.items()
    ]
    compared.append(_shuffled(seeds, config))
    between = of_kind[SEEDS]
    classes = []
    for kind, names in between.classes.items():
        for name in np.unique(names).tolist():
            chosen = between.take(names == name)
            classes.append(
                OfClass(
                    kind, name, **_figures(chosen, config), n_pairs=len(chosen.cosine)
                )
            )
    found, counts = {}, []
    for name in (SEEDS, SAMPLES, RANDOM):
        times = stability.found_again(
            [each.factors for each in learned[name]], cosine=config.cosine
        )
        resampled = by_document.Resampled(
            np.arange(sum(map(len, times))),
            n_resamples=config.n_resamples,
            seed=config.seed,
        )
        found[name] = resampled.mean(np.concatenate(times) >= config.least)
        if name == SEEDS:
            counts = np.bincount(np.concatenate(times), minlength=config.n_seeds + 1)[
                1:
            ].tolist()
    resampled = by_document.Resampled(
        measured.document, n_resamples=config.n_resamples, seed=config.seed
    )
    return Study(
        compared=compared,
        classes=classes,
        found=found,
        counts=counts,
        explained=_consensus(opened, seeds, measured, labelled, resampled, config),
        n_documents=resampled.n_documents,
        examples=_examples(seeds, measured, config),
        labelled=labelled,
    )


def _shuffled(seeds: Sequence[_Learned], config: StudyConfig) -> Compared:
    """Factors of two seeds that were paired by chance."""
    rng = np.random.default_rng(config.seed)
    first, second = seeds[0], seeds[1]
    order = rng.permutation(len(second.factors))
    cosine = matching.cosines(first.factors, second.factors)[
        np.arange(len(order)), order
    ]
    meaning = np.array(
        [
            stability.overlap(first.words[i], second.words[j])
            for i, j in enumerate(order.tolist())
        ]
    )
    pairs = _Pairs(np.arange(len(order)), cosine, meaning, {}, (np.nan, np.nan))
    return Compared(
        SHUFFLED, **_figures(pairs, config), nearest=pairs.nearest, n_pairs=len(order)
    )


def _consensus(
    opened: setup.Setup,
    seeds: Sequence[_Learned],
    measured: text_rows.TextRows,
    labelled: telling.Labelled | None,
    resampled: by_document.Resampled,
    config: StudyConfig,
) -> list[Explained]:
    dictionaries = [each.factors for each in seeds]
    groups = stability.clusters(dictionaries, least=config.least, cosine=config.cosine)
    first = seeds[0]
    candidates = {"one seed": first.factors}
    if groups:
        agreed = stability.consensus(dictionaries, groups)
        firing = np.bincount(
            first.encoded.codes.indices, minlength=first.encoded.codes.shape[1]
        )[: len(first.factors)]
        often = np.argsort(-firing, kind="stable")[: len(agreed)]
        candidates |= {
            "consensus, the rest from one seed": stability.fill(
                agreed, first.factors, groups
            ),
            "consensus alone": agreed,
            "as many of one seed, those that fire most": first.factors[np.sort(often)],
        }
    found = []
    for name, factors in candidates.items():
        encoded = equal_l0.encode(
            factors,
            measured,
            target_l0=config.target_l0,
            solver=opened.config.solver,
            n_factors=config.n_factors,
        )
        fvu = equal_l0.fvu(encoded.error, measured, resampled)
        tells = {}
        if labelled is not None:
            n_layers = len(labelled.layers)
            tells = telling.accuracy(
                labelled,
                [factors] * n_layers,
                [encoded.l1_penalty] * n_layers,
                solver=opened.config.solver,
                n_factors=config.n_factors,
                n_resamples=config.n_resamples,
                seed=config.seed,
            )
        found.append(Explained(name, len(factors), encoded.l0, fvu, tells))
    return found


def _examples(
    seeds: Sequence[_Learned], measured: text_rows.TextRows, config: StudyConfig
) -> dict[str, list[list[str]]]:
    """Words of factors that are found in all seeds, and in one alone."""
    times = stability.found_again(
        [each.factors for each in seeds], cosine=config.cosine
    )[0]
    mass = stability.word_mass(seeds[0].encoded.codes, measured.word).tocsc()
    rng = np.random.default_rng(config.seed)
    found = {}
    for name, chosen in (
        ("found in all seeds", times == config.n_seeds),
        ("found in one seed alone", times == 1),
    ):
        listed = []
        for factor in rng.permutation(np.flatnonzero(chosen))[:6].tolist():
            column = mass[:, [factor]].toarray()[:, 0]
            order = np.argsort(-column, kind="stable")[:6]
            listed.append([measured.words[w] for w in order if column[w] > 0])
        found[name] = listed
    return found

"""Gather the evidence about all factors of a run, each at the layer where it peaks."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import results as results_lib
from tfvis_jax.examples import stored
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import kinship, measuring, rule
from tfvis_jax.levels import spread as spread_lib
from tfvis_jax.runs import setup, trained_dictionary

# A factor is measured on the rest of its firings unless a level is so probable.
SURE = 0.95


def peaks(importance: np.ndarray, firing: np.ndarray) -> np.ndarray:
    """Returns the index of the layer at which each factor peaks, [n_factors].

    Layers at which a factor fires on fewer than `evidence.MIN_FIRING` tokens do not
    count, unless it has no others.

    Args:
      importance: [n_layers, n_factors] importance scores.
      firing: [n_layers, n_factors] numbers of tokens on which a factor fires.
    """
    often = firing >= evidence_lib.MIN_FIRING
    return np.argmax(np.where(often | ~often.any(axis=0), importance, 0), axis=0)


def of_run(results: results_lib.Results) -> np.ndarray:
    """Returns the `peaks` of a run's factors."""
    return peaks(results.importance(), np.asarray(results.examples.firing))


def of_examples(
    results: results_lib.Results, factors: Sequence[int] | None = None
) -> list[evidence_lib.Evidence | None]:
    """Returns the evidence that the examples alone give.

    Args:
      results: results of the run, with examples.
      factors: those to look at; all if None.

    Returns:
      [n_factors]; None for factors that never fire, or are not looked at.
    """
    return _of_examples(results.windows, results.examples, of_run(results), factors)


def measure(
    results: results_lib.Results,
    *,
    per_factor: int,
    progress: Callable[[int, int], None],
    factors: Sequence[int] | None = None,
) -> list[evidence_lib.Evidence | None]:
    """Returns all evidence, for which windows are altered and encoded again.

    Args:
      results: results of the run, with examples.
      per_factor: number of firings per factor.
      progress: called with (firings done, firings in total).
      factors: those to look at; all if None.

    Returns:
      [n_factors]; None for factors that never fire, or are not looked at.
    """
    return of_dictionary(
        results.opened,
        results.trained,
        results.windows,
        results.examples,
        peak=of_run(results),
        per_factor=per_factor,
        progress=progress,
        factors=factors,
    )


def of_dictionary(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    examples: stored.Examples,
    *,
    peak: np.ndarray,
    per_factor: int,
    progress: Callable[[int, int], None],
    factors: Sequence[int] | None = None,
) -> list[evidence_lib.Evidence | None]:
    """Returns what `measure` does, for any dictionary.

    Args:
      opened: model and settings of a run.
      trained: the dictionary.
      windows: token windows of the run.
      examples: examples of the dictionary.
      peak: [n_factors] index of the layer to look at.
      per_factor: number of firings per factor.
      progress: called with (firings done, firings in total).
      factors: those to look at; all if None.
    """
    found = _of_examples(windows, examples, peak, factors)
    alive = [factor for factor, each in enumerate(found) if each is not None]
    embeddings = kinship.Embeddings(opened, windows)
    likeness = {
        factor: embeddings.kinship(examples, int(peak[factor]), factor)
        for factor in alive
    }
    share = np.full((len(found), per_factor, len(measuring.ALTERATIONS)), np.nan)
    total, unsure = len(alive) * per_factor, alive
    left = per_factor
    for ranks in rounds(per_factor):
        # The firings of those that need no more of them count as done.
        before = total - len(unsure) * left
        left -= len(ranks)
        part = measuring.measure(
            opened,
            trained,
            windows,
            examples,
            peaks=peak,
            per_factor=per_factor,
            progress=lambda done, before=before: progress(before + done, total),
            factors=unsure,
            ranks=ranks,
        )
        share = np.where(np.isnan(share), part, share)
        for factor in unsure:
            known = found[factor]
            assert known is not None
            found[factor] = dataclasses.replace(
                known,
                context=evidence_lib.Context(
                    measuring.mean(share[factor]), likeness[factor]
                ),
            )
        unsure = [factor for factor in unsure if not _is_sure(found[factor])]
    progress(total, total)
    return found


def rounds(per_factor: int) -> list[list[int]]:
    """Returns the ranks of the firings in the order in which they are measured.

    Every third is in the first round, beginning with the second: of six firings, one
    for the upper half of the weight and one for the lower.
    """
    first = list(range(min(1, per_factor - 1), per_factor, 3))
    rest = [rank for rank in range(per_factor) if rank not in first]
    return [first, rest] if rest else [first]


def _is_sure(evidence: evidence_lib.Evidence | None) -> bool:
    if evidence is None:
        return True
    level = rule.judge(evidence)
    # Without probabilities there is too little evidence, of which there is no more.
    return not level.probabilities or level.probability >= SURE


def _of_examples(
    windows: windows_lib.Windows,
    examples: stored.Examples,
    peak: np.ndarray,
    factors: Sequence[int] | None,
) -> list[evidence_lib.Evidence | None]:
    reader = spread_lib.Reader(windows, examples)
    wanted = set(range(len(peak)) if factors is None else factors)
    found: list[evidence_lib.Evidence | None] = []
    for factor, index in enumerate(peak.tolist()):
        spread = reader.spread(index, factor) if factor in wanted else None
        firing = int(examples.firing[index, factor])
        found.append(spread and evidence_lib.Evidence(firing, spread))
    return found

"""Measure what α owes to the word, to its context, and to which part of it.

A factor is measured at the layer where it peaks, on firings from `firings.draw`. Each
alteration (see `context_growth`) leaves a share of α. Shares are clipped to 0 … 1,
as some words inhibit a factor, and averaged over the firings.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import stored
from tfvis_jax.levels import firings as firings_lib
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.saliency import context_growth, variants
from tfvis_jax.saliency import target as target_lib

# Words on either side: the word alone, a phrase, a clause.
RADII = (0, 3, 8)
ALTERATIONS = (
    *(f"keep_{radius}" for radius in RADII),
    *(f"replace_{radius}" for radius in RADII),
    "shuffled",
    "without_word",
    "elsewhere",
)
_ELSEWHERE = 1
# Rows of the encoder, as few tokens as a radius needs.
_LENGTHS = (16, 32)
_MAX_WINDOWS = 32768
_TARGETS_AT_ONCE = 256
# As in training and in the examples, whose α the shares are compared with.
_TOLERANCE = 1e-3

# Of one firing: the altered windows of each kind.
_Requests = list[list[variants.Variants]]


def mean(share: np.ndarray) -> dict[str, float]:
    """Returns the mean share of one factor after each alteration.

    Args:
      share: [n, len(ALTERATIONS)], NaN where there is none.

    Returns:
      Numbers from 0 to 1. Where no word of the factor occurs anywhere else, the share
      elsewhere is that of the word in a foreign passage.
    """
    known = ~np.isnan(share)
    total = np.where(known, share, 0).sum(axis=0)
    found = dict(
        zip(
            ALTERATIONS,
            (total / np.maximum(known.sum(axis=0), 1)).tolist(),
            strict=True,
        )
    )
    if not known[:, ALTERATIONS.index("elsewhere")].any():
        found["elsewhere"] = found["replace_0"]
    return found


def measure(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    windows: windows_lib.Windows,
    examples: stored.Examples,
    *,
    peaks: np.ndarray,
    per_factor: int,
    progress: Callable[[int], None],
    factors: Sequence[int],
    ranks: Sequence[int],
    seed: int = 0,
) -> np.ndarray:
    """Measures the share of α that each alteration leaves.

    Args:
      opened: model and settings of the run.
      trained: dictionary of the run.
      windows: token windows of the run.
      examples: examples of the dictionary.
      peaks: [n_factors] index of the layer at which each factor peaks.
      per_factor: number of firings that are drawn per factor.
      progress: called with the number of firings done.
      factors: factors to measure.
      ranks: which of the firings to measure, from 0 for the strongest.
      seed: decides which passages and occurrences are compared.

    Returns:
      [n_factors, per_factor, len(ALTERATIONS)] float64, share of α at each firing, 0 …
      1; NaN where nothing is measured, or there is no other occurrence of the word.
    """
    share = np.full((len(trained.factors), per_factor, len(ALTERATIONS)), np.nan)
    jobs = []
    for factor in factors:
        index = int(peaks[factor])
        drawn = firings_lib.draw(examples, index, factor, n=per_factor)
        places = list(zip(*(array.tolist() for array in drawn), strict=True))
        jobs += [(index, factor, rank, *places[rank]) for rank in ranks if places]
    # Layer by layer, because a probe computes one layer.
    jobs.sort()
    groups = []
    for _, of_layer in itertools.groupby(jobs, key=lambda job: job[0]):
        firings = list(of_layer)
        groups += [
            firings[start : start + _TARGETS_AT_ONCE]
            for start in range(0, len(firings), _TARGETS_AT_ONCE)
        ]
    if not groups:
        return share
    alterer = _Alterer(opened, windows, seed=seed)
    probe = variants.open_probe(opened, trained, layer=trained.layers[groups[0][0][0]])
    asked: list[list[_Requests]] = []

    def work() -> Iterator[tuple[variants.Probe, list[variants.Variants]]]:
        for group in groups:
            asked.append([alterer.requests(*job[1:3], *job[4:]) for job in group])
            # In a fixed order, so that few shapes and full batches are computed.
            flat = [r for firing in asked[-1] for part in firing for r in part]
            yield probe.at(trained.layers[group[0][0]]), flat

    done = 0
    found = variants.stream(work(), tolerance=_TOLERANCE)
    for group, alpha in zip(groups, found, strict=True):
        shares = _shares(asked.pop(0), alpha)
        for (_, factor, rank, strength, _, _), values in zip(
            group, shares, strict=True
        ):
            share[factor, rank] = np.clip(values / strength, 0, 1)
        done += len(group)
        progress(done)
    return share


def _shares(
    requests: Sequence[_Requests], activations: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Returns α after each alteration, [len(ALTERATIONS)] for each firing."""
    alpha = iter(activations)
    found = []
    for firing in requests:
        keep, replace, shuffled, without, elsewhere = (
            np.concatenate([next(alpha) for _ in group]) if group else np.zeros(0)
            for group in firing
        )
        other = elsewhere.mean() if len(elsewhere) else np.nan
        found.append(
            np.array([*keep, *replace, shuffled.mean(), without.mean(), other])
        )
    return found


class _Alterer:
    """Makes the altered windows of a firing."""

    def __init__(self, opened: setup.Setup, windows: windows_lib.Windows, *, seed: int):
        self._windows, self._seed = windows, seed
        self._mask_id = opened.tokenizer.mask_id
        self._occurrences = firings_lib.Occurrences(
            windows, max_windows=_MAX_WINDOWS, seed=seed
        )
        # Full windows have enough words for every place of another.
        longest = np.flatnonzero(windows.lengths == windows.lengths.max())
        self._donors = longest

    def requests(self, factor: int, rank: int, window: int, position: int) -> _Requests:
        rng = np.random.default_rng([self._seed, factor, rank])
        windows = self._windows
        target = target_lib.place_in_window(
            windows, window=window, position=position, factor=factor
        )
        donor = context_growth.donor_of_window(windows, self._donor(window, rng))
        is_word = target.word == target.word[position]
        first = int(np.argmax(is_word))
        elsewhere = self._occurrences.elsewhere(
            target.token_ids[is_word],
            position - first,
            at=(window, position),
            n=_ELSEWHERE,
            rng=rng,
        )
        return [
            context_growth.compact(
                context_growth.keeping(target, RADII), lengths=_LENGTHS
            ),
            [context_growth.replacing(target, donor, RADII)],
            [context_growth.shuffled(target, rng)],
            [self._without_word(target, donor)],
            [_unaltered(windows, *place, factor=factor) for place in elsewhere],
        ]

    def _without_word(
        self, target: target_lib.Place, donor: context_growth.Donor
    ) -> variants.Variants:
        if self._mask_id is None:
            return context_growth.other_word(target, donor)
        return context_growth.without_word(target, by=self._mask_id)

    def _donor(self, window: int, rng: np.random.Generator) -> int:
        """Returns a window of another document, if there is one."""
        document = self._windows.documents[window]
        for other in rng.choice(self._donors, 20).tolist():
            if self._windows.documents[other] != document:
                return other
        return int(rng.choice(self._donors))


def _unaltered(
    windows: windows_lib.Windows, window: int, position: int, *, factor: int
) -> variants.Variants:
    target = target_lib.place_in_window(
        windows, window=window, position=position, factor=factor
    )
    token_ids = target.token_ids[None]
    return variants.Variants(token_ids, np.ones(token_ids.shape, bool), target)

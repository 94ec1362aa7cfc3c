"""Which share of a factor's stored contexts fits a pattern, as the paper's table 3.

Beside the strongest contexts stand a random sample of all firings, random tokens of the
same text, and what the words of the strongest contexts would give by themselves.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.description import terms
from tfvis_jax.examples import results as results_lib
from tfvis_jax.examples import stored
from tfvis_jax.studies.patterns import pattern_scores, pattern_text
from tfvis_jax.studies.patterns import patterns as patterns_lib

# A pattern with fewer tokens in a half is not asked about, nor a factor with fewer
# contexts.
LEAST_CONTEXTS = 20
# Tokens that the pattern is moved by, at least.
_LEAST_SHIFT = 500


@dataclasses.dataclass(frozen=True)
class LayerShare:
    """The contexts of one factor at one layer, on the documents measured on.

    Attributes:
      layer: number of the layer.
      factor: index of the factor.
      n_contexts: strongest contexts that were looked at.
      share: share of them that fit the pattern; NaN where it does not fire.
      of_words: expected share if a token fitted as often as others of the same word.
      beyond_words: the share less ``of_words``.
      n_random: firings of the random sample.
      share_of_random: share of them that fit.
      p_value: of the test that moves the pattern along the text.
    """

    layer: int
    factor: int
    n_contexts: int
    share: pattern_scores.Estimate
    of_words: float
    beyond_words: pattern_scores.Estimate
    n_random: int
    share_of_random: float
    p_value: float


@dataclasses.dataclass(frozen=True)
class PatternShares:
    """One pattern in the stored contexts.

    Attributes:
      pattern: its name.
      n: strongest contexts that are looked at: no more than the tokens that take part,
        as more could not fit.
      base_rate: share of all tokens of the half measured on that take part.
      n_tokens: tokens of that half that take part.
      tracked: the factor that fits best at its best layer, at every layer.
      best: the factor that fits best at each layer.
      best_layer: layer at which the tracked factor was chosen.
    """

    pattern: str
    n: int
    base_rate: float
    n_tokens: int
    tracked: list[LayerShare]
    best: list[LayerShare]
    best_layer: int


class MatchedText:
    """The text of a run, with the tokens that take part in each pattern.

    Attributes:
      taking_part: [n_patterns, n_tokens] bool.
      half_of: [n_tokens], the half of each token's document.
      document_of: [n_tokens] int64.
      token_ids: [n_tokens] int32.
    """

    def __init__(
        self,
        windows: windows_lib.Windows,
        wanted: Sequence[patterns_lib.Pattern],
        tagger: terms.Tagger | None,
        *,
        seed: int = 0,
    ) -> None:
        """Matches every window.

        Args:
          windows: tokens of the run.
          wanted: the patterns.
          tagger: returns a tag for each word.
          seed: divides the documents into halves.
        """
        mask = windows.row_mask(np.arange(len(windows)))
        # The place of every token in reading order; special tokens have none.
        self.place = np.where(mask, np.cumsum(mask).reshape(mask.shape) - 1, -1)
        n_tokens = int(mask.sum())
        self.taking_part = np.zeros((len(wanted), n_tokens), bool)
        for window in range(len(windows)):
            starts, ends = _offsets(windows, window)
            text = pattern_text.window_text(windows, window)
            rows = self.place[window][mask[window]]
            for number, spans in enumerate(patterns_lib.spans(text, wanted, tagger)):
                if spans:
                    inside = patterns_lib.taking_part(spans, starts, ends)
                    self.taking_part[number, rows] = inside[mask[window]]
        self.token_ids = windows.token_ids(np.arange(len(windows)))[mask]
        documents = np.array([windows.document(w) for w in range(len(windows))])
        self.document_of = np.broadcast_to(documents[:, None], mask.shape)[mask]
        n_documents = int(documents.max(initial=0)) + 1
        halves = np.random.default_rng(seed).permutation(n_documents) % 2
        self.half_of = halves[self.document_of]


def shares(
    results: results_lib.Results,
    matched: MatchedText,
    wanted: Sequence[patterns_lib.Pattern],
    *,
    layers: Sequence[int],
    n: int = 200,
    n_shifts: int = 9999,
    n_resamples: int = 1000,
    seed: int = 0,
) -> list[PatternShares]:
    """Measures the best factor of each pattern on documents it was not chosen on.

    Args:
      results: examples of the run.
      matched: its text.
      wanted: the patterns.
      layers: layers of the dictionary.
      n: strongest contexts of a factor.
      n_shifts: of the permutation test.
      n_resamples: of the intervals.
      seed: of both.

    Returns:
      One entry for each pattern that is in both halves.
    """
    half = {
        side: np.flatnonzero(matched.half_of == side)
        for side in (pattern_text.CHOSEN_ON, pattern_text.MEASURED_ON)
    }
    measured = _Measured(
        results,
        matched,
        half[pattern_text.MEASURED_ON],
        n_shifts=n_shifts,
        n_resamples=n_resamples,
        seed=seed,
    )
    sizes = {
        number: min(n, *(int(inside[rows].sum()) for rows in half.values()))
        for number, inside in enumerate(matched.taking_part)
    }
    asked = [number for number, size in sizes.items() if size >= LEAST_CONTEXTS]
    # [n_layers, n_asked, n_factors].
    chosen_from = np.stack(
        [
            _shares_of_all(results, matched, la, [sizes[a] for a in asked], asked)
            for la in layers
        ]
    )
    found = []
    for place_of_pattern, number in enumerate(asked):
        of_pattern = chosen_from[:, place_of_pattern]
        if np.isnan(of_pattern).all():
            continue
        place, factor = np.unravel_index(np.nanargmax(of_pattern), of_pattern.shape)
        inside = matched.taking_part[number][half[pattern_text.MEASURED_ON]]
        ask = functools.partial(measured.share, number, sizes[number])
        found.append(
            PatternShares(
                pattern=wanted[number].name,
                n=sizes[number],
                base_rate=float(inside.mean()),
                n_tokens=int(inside.sum()),
                tracked=[ask(layer, int(factor)) for layer in layers],
                best=[
                    ask(layer, int(np.nanargmax(row)))
                    for layer, row in zip(layers, of_pattern, strict=True)
                    if not np.isnan(row).all()
                ],
                best_layer=layers[int(place)],
            )
        )
    return found


def _offsets(
    windows: windows_lib.Windows, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each position's characters in `pattern_text.window_text`."""
    spaced = windows.spaced_texts(window)
    ends = np.cumsum([len(text) for text in spaced])
    starts = ends - [len(text.lstrip()) for text in spaced]
    whole = "".join(spaced)
    removed = len(whole) - len(whole.lstrip())
    return starts - removed, ends - removed


def _shares_of_all(
    results: results_lib.Results,
    matched: MatchedText,
    layer: int,
    sizes: Sequence[int],
    asked: Sequence[int],
) -> np.ndarray:
    """Returns the share of each factor's strongest contexts, [n_asked, n_factors].

    They are those of the documents chosen on; NaN for factors with few contexts.
    """
    examples = results.examples
    index = results.trained.layers.index(layer)
    activation = np.asarray(examples.activation[index])
    places = matched.place[
        np.maximum(np.asarray(examples.window[index]), 0),
        np.maximum(np.asarray(examples.position[index]), 0),
    ]
    kept = (activation > 0) & (places >= 0)
    kept &= matched.half_of[places] == pattern_text.CHOSEN_ON
    order = np.cumsum(kept, axis=1)
    found = np.full((len(asked), len(activation)), np.nan)
    for row, (number, size) in enumerate(zip(asked, sizes, strict=True)):
        strongest = kept & (order <= size)
        count = strongest.sum(axis=1)
        fits = np.sum(matched.taking_part[number][places] & strongest, axis=1)
        enough = count >= LEAST_CONTEXTS
        found[row, enough] = fits[enough] / count[enough]
    return found


class _Measured:
    """Measures factors on one half of the documents."""

    def __init__(
        self,
        results: results_lib.Results,
        matched: MatchedText,
        rows: np.ndarray,
        *,
        n_shifts: int,
        n_resamples: int,
        seed: int,
    ) -> None:
        self._results, self._matched, self._rows = results, matched, rows
        self._n_shifts, self._n_resamples = n_shifts, n_resamples
        self._seed = seed
        # The place of each token among those of the half; -1 for the other half.
        self._within = np.full(len(matched.half_of), -1)
        self._within[rows] = np.arange(len(rows))

    def share(self, number: int, n: int, layer: int, factor: int) -> LayerShare:
        examples = self._results.examples
        index = self._results.trained.layers.index(layer)
        strongest = self._of_half(examples.top(index, factor))[:n]
        at_random = self._of_half(examples.drawn(index, factor))
        inside = self._matched.taking_part[number][self._rows]
        if not len(strongest):
            nan = float("nan")
            unknown = pattern_scores.Estimate(nan, np.full(self._n_resamples, nan))
            return LayerShare(layer, factor, 0, unknown, nan, unknown, 0, nan, 1.0)
        ids = self._matched.token_ids[self._rows]
        expected = _of_same_word(inside, ids)[strongest]
        weights = pattern_scores.resampled(
            self._matched.document_of[self._rows][strongest],
            n_resamples=self._n_resamples,
            seed=self._seed,
        )
        fits = inside[strongest].astype(np.float64)
        return LayerShare(
            layer=layer,
            factor=factor,
            n_contexts=len(strongest),
            share=_mean(fits, weights),
            of_words=float(expected.mean()),
            beyond_words=_mean(fits - expected, weights),
            n_random=len(at_random),
            share_of_random=float(inside[at_random].mean())
            if len(at_random)
            else float("nan"),
            p_value=pattern_scores.shift_p_value(
                inside,
                strongest,
                n_shifts=self._n_shifts,
                least_shift=_LEAST_SHIFT,
                # One generator for each question: the order of them does not matter.
                rng=np.random.default_rng([self._seed, number, layer, factor]),
            ),
        )

    def _of_half(self, found_at: stored.Places) -> np.ndarray:
        """Returns contexts by their place in the half, in their order."""
        places = self._matched.place[found_at.window, found_at.position]
        found = self._within[places[places >= 0]]
        return found[found >= 0]


def _of_same_word(inside: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Returns for each token the share of the other tokens of its word that take part.

    The share of all tokens where it is the only one of its word.
    """
    times = np.bincount(ids)
    taking_part = np.bincount(ids, weights=inside)
    others = times[ids] - 1
    share = (taking_part[ids] - inside) / np.maximum(others, 1)
    return np.where(others > 0, share, inside.mean())


def _mean(values: np.ndarray, weights: np.ndarray) -> pattern_scores.Estimate:
    return pattern_scores.Estimate(
        float(values.mean()),
        (weights @ values) / np.maximum(weights.sum(axis=1), 1),
    )

"""α of words in windows, by encoding those windows.

The examples hold α around some of a factor's firings only. Windows are encoded once for
all factors, and what is kept is small: a few words of each.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfvis_jax.examples import passages
from tfvis_jax.examples import results as results_lib
from tfvis_jax.runs import encoding


class Wanted(NamedTuple):
    """Words whose α is asked for.

    Attributes:
      factor: the number of the factor.
      window: the number of the window.
      words: of the window.
    """

    factor: int
    window: int
    words: range


class Found(NamedTuple):
    """What encoding the windows gave.

    Attributes:
      alpha: the largest α of each word's tokens, where the factor fires; by factor and
        window.
      silent: [m] int32 by factor: in each window of the pool, a word around which the
        factor is silent; −1 if there is none.
    """

    alpha: dict[tuple[int, int], dict[int, float]]
    silent: dict[int, np.ndarray]


def find(
    results: results_lib.Results,
    reader: passages.Passages,
    *,
    index_of: Mapping[int, int],
    wanted: Sequence[Wanted],
    pool: np.ndarray,
    reach: int,
    least_words: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> Found:
    """Encodes the windows that are needed, in order.

    Args:
      results: of the run.
      reader: of its windows.
      index_of: index into the layers of the dictionary, of each factor.
      wanted: words of which α is asked for.
      pool: [m] numbers of windows in which silence is looked for.
      reach: words on either side that are silent, too.
      least_words: that those are, with the word itself.
      seed: of the choice of silent words.
      progress: called with (windows done, windows in total).
    """
    opened, trained, windows = results.opened, results.trained, results.windows
    coder = trained.coder(opened.config.solver)
    of_layer: dict[int, list[int]] = {}
    for factor, index in index_of.items():
        of_layer.setdefault(index, []).append(factor)
    of_window: dict[int, dict[int, list[Wanted]]] = {}
    for each in wanted:
        at = of_window.setdefault(each.window, {})
        at.setdefault(index_of[each.factor], []).append(each)
    place_of = {window: place for place, window in enumerate(pool.tolist())}
    found = Found({}, {factor: np.full(len(pool), -1, np.int32) for factor in index_of})
    chosen = np.union1d(pool, np.array(list(of_window), pool.dtype))
    n_done = 0
    for batch, states in encoding.scaled_windows(opened, trained, windows, chosen):
        # Negative numbers are padding of the last batch.
        numbers = [(i, w) for i, w in enumerate(batch.window_ids.tolist()) if w >= 0]
        for index, factors in of_layer.items():
            needed = [
                (row, window)
                for row, window in numbers
                if window in place_of or index in of_window.get(window, {})
            ]
            if not needed:
                continue
            rows = encoding.encode_layer(states[index], batch.row_mask, coder)
            codes = np.asarray(rows.codes).reshape(*batch.row_mask.shape, -1)
            for row, window in needed:
                shown = reader.window(window)
                of_position = np.array(shown.of_position)
                for each in of_window.get(window, {}).get(index, []):
                    alpha = codes[row, : len(of_position), each.factor]
                    found.alpha[each.factor, window] = _of_words(
                        alpha, of_position, each.words
                    )
                if window in place_of:
                    fires = np.zeros((len(shown.ends), len(factors)), bool)
                    firing = codes[row, : len(of_position)][:, factors] > 0
                    np.logical_or.at(
                        fires, of_position[of_position >= 0], firing[of_position >= 0]
                    )
                    order = np.random.default_rng([seed, window]).random(len(fires))
                    silent = _silent(
                        fires, order=order, reach=reach, least_words=least_words
                    )
                    for factor, word in zip(factors, silent.tolist(), strict=True):
                        found.silent[factor][place_of[window]] = word
        n_done += len(numbers)
        progress(n_done, len(chosen))
    return found


def _of_words(
    alpha: np.ndarray, of_position: np.ndarray, words: range
) -> dict[int, float]:
    largest: dict[int, float] = {}
    for at in np.flatnonzero(alpha > 0).tolist():
        word = int(of_position[at])
        if word in words:
            largest[word] = max(largest.get(word, 0.0), float(alpha[at]))
    return largest


def _silent(
    fires: np.ndarray, *, order: np.ndarray, reach: int, least_words: int
) -> np.ndarray:
    """Returns for each factor the first word around which it is silent, [k].

    Args:
      fires: [n_words, k] bool.
      order: [n_words] in which words are preferred; at least 0, the largest first.
      reach: words on either side that are silent, too.
      least_words: that those are, with the word itself.
    """
    n_words, n_factors = fires.shape
    if not n_words:
        return np.full(n_factors, -1)
    words = np.arange(n_words)
    first, stop = np.maximum(words - reach, 0), np.minimum(words + reach + 1, n_words)
    n_before = np.concatenate([np.zeros((1, n_factors), int), fires.cumsum(axis=0)])
    free = (n_before[stop] == n_before[first]) & (stop - first >= least_words)[:, None]
    best = np.where(free, order[:, None], -1).argmax(axis=0)
    return np.where(free.any(axis=0), best, -1)

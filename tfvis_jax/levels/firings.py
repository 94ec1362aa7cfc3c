"""Draw the firings to measure on: weak ones too, each by its share of α.

The tip of a factor's activations says what it means at its strongest, which is often
one document. So firings are drawn with a probability proportional to α: half of a
factor's weight Σα is measured by half of the draws.
"""

from typing import NamedTuple

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.examples import stored


class Firings(NamedTuple):
    """Firings of one factor at one layer, every one with the same share of its α.

    Attributes:
      activation: [n] float32, α.
      window: [n] int32.
      position: [n] int32.
    """

    activation: np.ndarray
    window: np.ndarray
    position: np.ndarray


def draw(examples: stored.Examples, index: int, factor: int, *, n: int) -> Firings:
    """Returns n firings, each standing for one n-th of the factor's weight Σα.

    The stored top-activating examples are all of the strongest firings. Those of the
    random sample that are weaker stand for the rest, as many as there are. Systematic
    sampling: they are laid end to end, strongest first, each as long as the weight that
    it stands for, and the n middles of equal stretches are taken. So a firing with more
    than one n-th of the weight may be drawn more than once.

    Args:
      examples: examples of the run.
      index: index into the layers of the examples.
      factor: index of the factor.
      n: number of firings.
    """
    top = examples.top(index, factor)
    drawn = examples.drawn(index, factor)
    if not len(top.activation):
        return Firings(*top)
    weaker = drawn.activation < top.activation[-1]
    num_weaker = max(int(examples.firing[index, factor]) - len(top.activation), 0)
    each = num_weaker / max(int(weaker.sum()), 1)
    alpha, window, position = (
        np.concatenate([strong, rest[weaker]])
        for strong, rest in zip(top, drawn, strict=True)
    )
    stands_for = np.append(np.ones(len(top.activation)), np.full(weaker.sum(), each))
    order = np.argsort(-alpha, kind="stable")
    ends = np.cumsum((alpha * stands_for)[order], dtype=np.float64)
    middles = (np.arange(n) + 0.5) / n * ends[-1]
    chosen = order[np.minimum(np.searchsorted(ends, middles), len(order) - 1)]
    return Firings(alpha[chosen], window[chosen], position[chosen])


class Occurrences:
    """Finds where else in the corpus a word occurs, whether or not it fires there."""

    def __init__(self, windows: windows_lib.Windows, *, max_windows: int, seed: int):
        """Reads the windows' tokens.

        Args:
          windows: token windows of the run.
          max_windows: of a larger corpus, so many windows are drawn.
          seed: decides which.
        """
        chosen = np.arange(len(windows))
        if len(chosen) > max_windows:
            rng = np.random.default_rng(seed)
            chosen = np.sort(rng.choice(len(chosen), max_windows, replace=False))
        self._windows = chosen
        self._token_ids = windows.token_ids(chosen)
        flat = self._token_ids.ravel()
        # Stable, so that what is found does not depend on the sorting algorithm.
        self._order = np.argsort(flat, kind="stable")
        self._sorted = flat[self._order]

    def elsewhere(
        self,
        token_ids: np.ndarray,
        within: int,
        *,
        at: tuple[int, int],
        n: int,
        rng: np.random.Generator,
    ) -> list[tuple[int, int]]:
        """Returns up to n other occurrences of a word, as (window, position).

        Args:
          token_ids: [k] pieces of the word.
          within: which of them the position is that of.
          at: (window, position) of the occurrence that is not wanted.
          n: number of occurrences.
          rng: draws them.
        """
        piece = token_ids[within]
        start, stop = np.searchsorted(self._sorted, [piece, piece + 1])
        length = self._token_ids.shape[1]
        found: list[tuple[int, int]] = []
        # A piece of a rare word may be common: not all of its places are looked at.
        for i in rng.permutation(stop - start)[: 50 * n].tolist():
            row, position = divmod(int(self._order[start + i]), length)
            place = (int(self._windows[row]), position)
            first = position - within
            same = self._token_ids[row, max(first, 0) : first + len(token_ids)]
            if place != at and np.array_equal(same, token_ids):
                found.append(place)
                if len(found) == n:
                    break
        return found

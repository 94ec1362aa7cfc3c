"""Which of the stored tokens of a factor are shown: strongest, at random, by quantile.

Near-duplicates are folded when examples are read: all stay in the files.
"""

import typing
from typing import NamedTuple

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.examples import sampling

if typing.TYPE_CHECKING:  # Examples are read by a run, which imports this file.
    from tfvis_jax.examples import stored

FOLDS = ("text", "document")


class References(NamedTuple):
    """Tokens of a corpus that fire a factor, m of them.

    Attributes:
      activation: [m] float32, α.
      window: [m] int32.
      position: [m] int32, token in the window.
      folded: [m] int64, near-duplicates that each stands for besides itself.
    """

    activation: np.ndarray
    window: np.ndarray
    position: np.ndarray
    folded: np.ndarray

    def take(self, chosen: np.ndarray | slice) -> "References":
        """Returns some of them."""
        return References(*(array[chosen] for array in self))


def strongest(
    found: "stored.Examples", index: int, factor: int, *, stop: int | None = None
) -> References:
    """Returns the strongest tokens of a factor.

    Args:
      found: examples of the run.
      index: place of the layer among the layers.
      factor: number of the factor.
      stop: how many at most; all that are stored if None.
    """
    return _references(found, "", index, factor, stop=stop)


def drawn(
    found: "stored.Examples", index: int, factor: int, *, stop: int | None = None
) -> References:
    """Returns tokens drawn uniformly from all that fire a factor, in random order.

    Fewer of them are a smaller such sample. Arguments are those of `strongest`.
    """
    return _references(found, "random_", index, factor, stop=stop)


def in_band(
    found: "stored.Examples",
    index: int,
    factor: int,
    *,
    band: tuple[float, float],
    n: int,
) -> References:
    """Returns tokens from between two quantiles of α among all that fire a factor.

    Where the strongest that are stored hold the whole band, tokens are taken from it
    at equal distances; elsewhere those of the random sample that lie in it, which are
    fewer the narrower it is.

    Args:
      found, index, factor: as in `strongest`.
      band: quantiles, such as (0.9, 0.99).
      n: how many at most.

    Returns:
      The strongest first.

    Raises:
      InputError: the band is none.
    """
    low, high = band
    if not 0 <= low < high <= 1:
        raise InputError(f"Expected a band such as (0.9, 0.99), got {band}.")
    where, places = sampling.in_band(
        found.activation[index, factor],
        found.random_activation[index, factor],
        firing=int(found.firing[index, factor]),
        band=band,
    )
    if where == "top":
        spread = np.linspace(0, max(len(places) - 1, 0), min(n, len(places)))
        chosen = strongest(found, index, factor).take(
            places[spread.round().astype(int)]
        )
    else:
        chosen = drawn(found, index, factor).take(places[:n])
    return chosen.take(np.argsort(-chosen.activation, kind="stable"))


def fold(
    references: References, windows: windows_lib.Windows, *, by: str
) -> References:
    """Keeps the first of near-duplicates, and how many there were.

    Args:
      references: the strongest first.
      windows: tokens of the corpus.
      by: "text" takes tokens for near-duplicates that stand in windows of the same
        text, "document" those of one document.

    Raises:
      InputError: ``by`` is something else.
    """
    if by == "text":
        groups = [ids.tobytes() for ids in windows.token_ids(references.window)]
    elif by == "document":
        groups = [windows.document(window) for window in references.window.tolist()]
    else:
        raise InputError(f"Expected to fold by one of {FOLDS}, got {by!r}.")
    first: dict = {}
    for place, group in enumerate(groups):
        first.setdefault(group, []).append(place)
    kept = references.take(np.array([p[0] for p in first.values()], np.int64))
    together = np.array([len(places) - 1 for places in first.values()], np.int64)
    return kept._replace(folded=together)


def _references(found, prefix, index, factor, *, stop):
    activation, window, position = (
        np.asarray(getattr(found, prefix + name)[index, factor, :stop])
        for name in ("activation", "window", "position")
    )
    n = np.count_nonzero(activation)
    return References(activation, window, position, np.zeros(n, np.int64)).take(
        slice(0, n)
    )

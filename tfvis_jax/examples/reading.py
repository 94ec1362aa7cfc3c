"""Select examples of a factor to show: strongest, random, or from a band of quantiles.

Near-duplicates are folded when examples are read. The files keep all of them.
"""

from typing import NamedTuple

import numpy as np

from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.examples import sampling, stored

FOLDS = ("text", "document")


class References(NamedTuple):
    """References to m tokens of the corpus that fire a factor.

    Attributes:
      activation: [m] float32, α.
      window: [m] int32, index of the window.
      position: [m] int32, index of the token in the window.
      folded: [m] int64, number of near-duplicates left out in favour of each.
    """

    activation: np.ndarray
    window: np.ndarray
    position: np.ndarray
    folded: np.ndarray

    def take(self, chosen: np.ndarray | slice) -> "References":
        """Returns the chosen references."""
        return References(*(array[chosen] for array in self))


def strongest(
    found: stored.Examples, index: int, factor: int, *, stop: int | None = None
) -> References:
    """Returns the top-activating examples of a factor, strongest first.

    Args:
      found: examples of the run.
      index: index into the layers of the examples.
      factor: index of the factor.
      stop: maximum number of examples; all that are stored if None.
    """
    return _references(found, index, factor, stop=stop)


def drawn(
    found: stored.Examples, index: int, factor: int, *, stop: int | None = None
) -> References:
    """Returns a uniform sample of the tokens that fire a factor, in random order.

    The first k of them are a uniform sample of size k. Arguments are those of
    `strongest`.
    """
    return _references(found, index, factor, stop=stop, drawn=True)


def in_band(
    found: stored.Examples,
    index: int,
    factor: int,
    *,
    band: tuple[float, float],
    n: int,
) -> References:
    """Returns tokens whose α lies between two quantiles among all that fire a factor.

    If the stored top-activating examples cover the whole band, the tokens are evenly
    spaced in it. Otherwise they are those of the random sample that lie in the band;
    the narrower the band, the fewer there are.

    Args:
      found: examples of the run.
      index: index into the layers of the examples.
      factor: index of the factor.
      band: lower and upper quantile, such as (0.9, 0.99).
      n: maximum number of examples.

    Returns:
      The references, strongest first.

    Raises:
      InputError: if ``band`` does not satisfy 0 ≤ lower < upper ≤ 1.
    """
    low, high = band
    # Also refuses NaN.
    if not 0 <= low < high <= 1:
        raise InputError(
            f"Expected a band of rising quantiles such as (0.9, 0.99), got {band}."
        )
    where, places = sampling.in_band(
        found.top(index, factor).activation,
        found.drawn(index, factor).activation,
        firing=int(found.firing[index, factor]),
        band=band,
    )
    if where == "top":
        # Evenly spaced, so that the examples represent the whole band.
        spread = np.linspace(0, max(len(places) - 1, 0), min(n, len(places)))
        chosen = strongest(found, index, factor).take(
            places[spread.round().astype(int)]
        )
    else:
        # These places are in random order, so the first n are a uniform sample.
        chosen = drawn(found, index, factor).take(places[:n])
    return chosen.take(np.argsort(-chosen.activation, kind="stable"))


def fold(
    references: References, windows: windows_lib.Windows, *, by: str
) -> References:
    """Keeps the first of each group of near-duplicates and counts the others.

    Args:
      references: the tokens, strongest first.
      windows: token windows of the run.
      by: "text" groups tokens in windows of the same text, "document" tokens in the
        same document.

    Raises:
      InputError: if ``by`` is neither.
    """
    if by == "text":
        # Equal token ids are equal texts, up to what the tokeniser ignores.
        groups = [ids.tobytes() for ids in windows.token_ids(references.window)]
    elif by == "document":
        groups = [windows.document(window) for window in references.window.tolist()]
    else:
        raise InputError(f"Expected to fold by one of {FOLDS}, got {by!r}.")
    members: dict[bytes | int, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    kept = references.take(np.array([p[0] for p in members.values()], np.int64))
    others = np.array([len(places) - 1 for places in members.values()], np.int64)
    return kept._replace(folded=others)


def _references(
    found: stored.Examples,
    index: int,
    factor: int,
    *,
    stop: int | None,
    drawn: bool = False,
) -> References:
    read = found.drawn if drawn else found.top
    chosen = read(index, factor, stop=stop)
    return References(*chosen, np.zeros(len(chosen.window), np.int64))

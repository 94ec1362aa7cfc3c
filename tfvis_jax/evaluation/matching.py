"""Which factors of two dictionaries are the same: by cosine, one to one or the nearest.

The one-to-one matching makes the sum of cosines largest (the Hungarian algorithm). The
nearest factor may be that of several.
"""

import dataclasses

import numpy as np

from tfvis_jax.errors import InputError

# Two factors of this cosine or more are taken for the same.
SAME = 0.8


@dataclasses.dataclass(frozen=True, eq=False)
class Matching:
    """Pairs of a one-to-one matching.

    Attributes:
      first, second: [n] int64, factors of the two dictionaries; n is the number of the
        smaller one.
      cosine: [n] float64.
    """

    first: np.ndarray
    second: np.ndarray
    cosine: np.ndarray


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the cosine of every factor of a with every one of b, [n, m] float64.

    Args:
      a: [n, d_model], of any norms; the cosine of a zero row is 0.
      b: [m, d_model].

    Raises:
      InputError: they are no dictionaries of one width.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise InputError(
            "Expected two dictionaries [n_factors, d_model] of one width, got shapes "
            f"{first.shape} and {second.shape}."
        )
    return _unit(first) @ _unit(second).T


def assign(a: np.ndarray, b: np.ndarray) -> Matching:
    """Matches two dictionaries one to one; arguments as of `cosines`."""
    # A second to import: not for a page without a second run beside it.
    import scipy.optimize

    cosine = cosines(a, b)
    rows, columns = scipy.optimize.linear_sum_assignment(cosine, maximize=True)
    return Matching(rows, columns, cosine[rows, columns])


def nearest(a: np.ndarray, b: np.ndarray) -> Matching:
    """Returns the nearest factor of b for every factor of a; as of `cosines`."""
    cosine = cosines(a, b)
    columns = np.argmax(cosine, axis=1)
    rows = np.arange(len(cosine))
    return Matching(rows, columns, cosine[rows, columns])


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)

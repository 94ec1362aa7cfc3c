"""Matchings against SciPy and brute force."""

import itertools

import numpy as np
import pytest
import scipy.optimize

from tfvis_jax.comparison import method
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import matching

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(5, 7)), RNG.normal(size=(6, 7))


def test_the_assignment_is_the_best_of_all():
    found = matching.assign(A, B)
    cosine = matching.cosines(A, B)
    rows, columns = scipy.optimize.linear_sum_assignment(-cosine)
    np.testing.assert_array_equal(found.first, rows)
    np.testing.assert_array_equal(found.second, columns)
    best = max(
        sum(cosine[i, j] for i, j in enumerate(order))
        for order in itertools.permutations(range(6), 5)
    )
    assert found.cosine.sum() == pytest.approx(best)
    assert method.match_factors(A, B) == pytest.approx(best / 5)


def test_cosines_and_the_nearest():
    cosine = matching.cosines(A, np.concatenate([B, np.zeros((1, 7))]))
    assert not cosine[:, -1].any()
    for i, j in np.ndindex(5, 6):
        expected = A[i] @ B[j] / np.linalg.norm(A[i]) / np.linalg.norm(B[j])
        assert cosine[i, j] == pytest.approx(expected)
    found = matching.nearest(A, B)
    np.testing.assert_array_equal(found.second, matching.cosines(A, B).argmax(axis=1))
    np.testing.assert_allclose(found.cosine, matching.cosines(A, B).max(axis=1))


def test_a_permutation_is_found():
    order = RNG.permutation(6)
    found = matching.assign(B, 3 * B[order])
    np.testing.assert_array_equal(order[found.second], found.first)
    np.testing.assert_allclose(found.cosine, 1)


def test_other_widths_are_refused():
    with pytest.raises(InputError, match="of one width"):
        matching.assign(A, A[:, :3])

"""The unsorted top-k against a sort."""

import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax.sparse_coding import selection


@pytest.mark.parametrize(
    ("width", "size"),
    # The last ones in groups, which do not always divide the width.
    [(1000, 64), (33, 7), (64, 64), (5, 3), (4096, 64), (5001, 17), (40_003, 32)],
)
def test_columns_are_those_of_the_largest_scores(width, size):
    score = np.random.default_rng(0).normal(size=(20, width)).astype(np.float32)
    got = np.asarray(selection.largest(jnp.asarray(score), size=size))
    for row, columns in zip(score, got, strict=True):
        found = columns[columns < width]
        # Ascending, so without repetition; fillers last.
        assert np.all(np.diff(found) > 0)
        assert np.all(columns[len(found) :] == width)
        largest = set(np.argsort(-row)[: len(found)])
        assert set(found) == largest
        # Bisection to 2⁻¹⁴ of the range leaves out only scores it cannot tell apart.
        assert len(found) >= size - 1


def test_equal_scores_are_left_out_together():
    got = selection.largest(jnp.ones((1, 10)), size=4)
    np.testing.assert_array_equal(got, [[10] * 4])
    got = selection.largest(jnp.asarray([[0.0, 2, 1, 1, 1, 3]]), size=3)
    np.testing.assert_array_equal(got, [[1, 5, 6]])


def test_equal_scores_in_groups():
    # 40 neighbours share the largest score; 64 groups of 8 hold them and others.
    score = np.random.default_rng(0).uniform(size=(3, 5003)).astype(np.float32)
    score[:, 4963:] = 2
    got = np.asarray(selection.largest(jnp.asarray(score), size=64))
    for row, columns in zip(score, got, strict=True):
        found = columns[columns < 5003]
        assert set(range(4963, 5003)) <= set(found)
        assert set(found) == set(np.argsort(-row, kind="stable")[: len(found)])
    # Too many of them are left out together.
    score[:, :300] = 2
    got = selection.largest(jnp.asarray(score), size=64)
    np.testing.assert_array_equal(got, np.full((3, 64), 5003))


@pytest.mark.parametrize("outlier", [1e6, -1e6, -1e20])
def test_scores_of_another_scale_hide_no_others(outlier):
    score = np.random.default_rng(0).normal(size=(20, 200)).astype(np.float32)
    score[:, ::9] = outlier
    got = selection.largest(jnp.asarray(score), size=32)
    for row, columns in zip(score, np.asarray(got), strict=True):
        # Two may be missing, and no more.
        assert np.sum(columns < 200) >= 30
        assert set(np.argsort(-row, kind="stable")[:30]) <= set(columns)

"""Streaming lists against a full, stable sort."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvis_jax.analysis import importance, top_lists


def _brute_force(codes, n):
    """Activations and places of the n best rows of each column, ties by place."""
    activation = np.zeros((codes.shape[1], n), np.float32)
    place = np.full((codes.shape[1], n), -1)
    for factor, column in enumerate(codes.T):
        order = np.argsort(-column.astype(np.float64), kind="stable")[:n]
        order = order[column[order] > 0]
        activation[factor, : len(order)] = column[order]
        place[factor, : len(order)] = order
    return activation, place


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n_rows=st.integers(0, 60),
    n_factors=st.integers(1, 6),
    n=st.integers(1, 8),
    block=st.integers(1, 20),
    waiting=st.integers(0, 40),
)
def test_any_stream_equals_the_sort(seed, n_rows, n_factors, n, block, waiting):
    rng = np.random.default_rng(seed)
    # Few distinct values, so that ties are common; many zeros and some negatives.
    codes = rng.integers(-1, 4, size=(n_rows, n_factors)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_lists, "_MAX_WAITING", waiting)
        lists = top_lists.TopLists(n_factors=n_factors, n=n)
        for start in range(0, n_rows, block):
            rows = np.arange(start, min(start + block, n_rows))
            lists.add(codes[rows], rows)
        activation, place = lists.finish()
    expected_activation, expected_place = _brute_force(codes, n)
    np.testing.assert_array_equal(activation, expected_activation)
    np.testing.assert_array_equal(place, expected_place)


def test_importance_is_the_mean_of_those_that_fire():
    activation = np.array([[[4.0, 2.0, 0.0], [0.0, 0.0, 0.0], [9.0, 3.0, 3.0]]])
    np.testing.assert_allclose(
        importance.importance_scores(activation, n=2), [[3.0, 0.0, 6.0]]
    )
    np.testing.assert_allclose(
        importance.importance_scores(activation, n=3), [[3.0, 0.0, 5.0]]
    )

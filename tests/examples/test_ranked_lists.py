"""Test streaming lists against a full, stable sort."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvis_jax.examples import ranked_lists


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


def _contexts(places):
    """A context that is unique to its entry, so that a wrong entry is noticed."""
    return np.stack([places, -places], axis=1).astype(np.float16)


def _offer(lists, codes, rows, *, contexts):
    row, factor = np.nonzero(codes[rows] > 0)
    activation, place = codes[rows][row, factor], rows[row].astype(np.int64)
    lists.offer(
        factor,
        ranked_lists.rank_by_activation(activation),
        place,
        activation,
        context=(lambda chosen: _contexts(place[chosen])) if contexts else None,
    )


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 10_000),
    n_rows=st.integers(0, 60),
    n_factors=st.integers(1, 6),
    n=st.integers(1, 8),
    block=st.integers(1, 20),
    waiting=st.integers(0, 40),
    contexts=st.booleans(),
)
def test_any_stream_in_any_order_equals_the_sort(
    seed, n_rows, n_factors, n, block, waiting, contexts
):
    rng = np.random.default_rng(seed)
    # Few distinct values, so that ties are common; many zeros and some negatives.
    codes = rng.integers(-1, 4, size=(n_rows, n_factors)).astype(np.float32)
    blocks = np.split(np.arange(n_rows), range(block, n_rows, block))
    rng.shuffle(blocks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranked_lists, "_MIN_WAITING", waiting)
        # Two parts of the stream, as in two processes, are merged.
        parts = [
            ranked_lists.RankedLists(
                n_factors=n_factors, n=n, context_length=2 if contexts else 0
            )
            for _ in range(2)
        ]
        for number, rows in enumerate(blocks):
            _offer(parts[number % 2], codes, rows, contexts=contexts)
        parts[0].add(parts[1].entries())
        found = parts[0].finish()
    activation, place = _brute_force(codes, n)
    np.testing.assert_array_equal(found.activation, activation)
    np.testing.assert_array_equal(found.place, place)
    if contexts:
        expected = _contexts(place.reshape(-1)).reshape(n_factors, n, 2)
        np.testing.assert_array_equal(
            found.context, np.where(place[..., None] < 0, 0, expected)
        )


def test_ranks_fall_as_activations_rise():
    tiny = np.finfo(np.float32).smallest_subnormal
    activation = np.array([tiny, 1e-30, 0.5, 0.5 + 2**-24, 7, 3e38], np.float32)
    ranks = ranked_lists.rank_by_activation(activation)
    assert (np.diff(ranks.astype(np.int64)) < 0).all()
    assert ranks.max() < 2**ranked_lists.RANK_BITS


@pytest.mark.parametrize(
    ("groups", "expected"),
    [([], []), ([4], [0]), ([0, 0, 2, 2, 2, 5], [0, 1, 0, 1, 2, 0])],
)
def test_ranks_in_a_group_count_from_zero(groups, expected):
    found = ranked_lists.rank_in_group(np.array(groups, np.uint64))
    np.testing.assert_array_equal(found, expected)

"""Contexts that grow word by word, against their definitions."""

import numpy as np
import pytest

from tfvis_jax.saliency import context_growth
from tfvis_jax.saliency import target as target_lib

# [CLS] the un ##break ##able red left ##over bank [SEP]; the target is "##break".
_WORD = np.array([-1, 0, 1, 1, 1, 2, 3, 3, 4, -1])
_TARGET = target_lib.Target(
    token_ids=np.arange(100, 110, dtype=np.int32),
    texts=("",) * 10,
    shown=("",) * 10,
    is_spaced=np.zeros(10, bool),
    is_text=_WORD >= 0,
    word=_WORD,
    position=3,
    factor=0,
)
# Words of one, two and three pieces.
_DONOR = context_growth.Donor(
    np.arange(200, 212, dtype=np.int32),
    np.array([1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1], bool),
)


def test_distances_count_words():
    found = context_growth.distances(_TARGET).tolist()
    assert found == [0, 1, 0, 0, 0, 1, 2, 2, 3, 0]


def test_keeping_shows_whole_words_alone():
    request = context_growth.keeping(_TARGET, [0, 1, 2, 9])
    seen = [np.flatnonzero(row).tolist() for row in request.attention]
    assert seen == [
        [0, 2, 3, 4, 9],
        [0, 1, 2, 3, 4, 5, 9],
        [0, 1, 2, 3, 4, 5, 6, 7, 9],
        list(range(10)),
    ]
    assert (request.token_ids == _TARGET.token_ids).all()


@pytest.mark.parametrize("short", [False, True])
def test_replacing_changes_what_keeping_hides(short):
    donor = context_growth.Donor(*(a[:3] for a in _DONOR)) if short else _DONOR
    radii = [0, 1, 2, 9]
    request = context_growth.replacing(_TARGET, donor, radii)
    kept = context_growth.keeping(_TARGET, radii).attention
    np.testing.assert_array_equal(request.token_ids == _TARGET.token_ids, kept)
    assert request.attention.all()
    for row, is_kept in zip(request.token_ids, kept, strict=True):
        starts = dict(zip(donor.token_ids.tolist(), donor.starts_word, strict=True))
        # No piece of a foreign word attaches to a word that was kept.
        for place in np.flatnonzero(~is_kept):
            if is_kept[place - 1] and place > _TARGET.position:
                assert starts[int(row[place])]
        # The last token before a kept word ends a word: the next one starts another.
        for place in np.flatnonzero(~is_kept):
            if is_kept[place + 1] and place < _TARGET.position:
                after = (row[place] - 200 + 1) % len(donor.token_ids)
                assert donor.starts_word[after]


def test_replaced_parts_are_passages_in_order():
    [row] = context_growth.replacing(_TARGET, _DONOR, [0]).token_ids
    # One token before the word and four behind it; a word starts between them.
    assert row.tolist() == [100, 200, 102, 103, 104, 201, 202, 203, 204, 109]


def test_shuffling_keeps_words_whole_and_the_target_in_its_place():
    rng = np.random.default_rng(0)
    request = context_growth.shuffled(_TARGET, rng, count=400)
    orders = {tuple(row.tolist()) for row in request.token_ids}
    for row in request.token_ids:
        assert sorted(row.tolist()) == sorted(_TARGET.token_ids.tolist())
        assert row[[0, 2, 3, 4, 9]].tolist() == [100, 102, 103, 104, 109]
        place = row.tolist().index(106)
        assert row[place + 1] == 107
    # "the", "red" and "bank" fit before the word; then the rest in any order.
    assert {order[1] for order in orders} == {101, 105, 108}
    assert len(orders) == 18


def test_without_word_replaces_every_piece_of_it():
    [row] = context_growth.without_word(_TARGET, by=7).token_ids
    assert row.tolist() == [100, 101, 7, 7, 7, 105, 106, 107, 108, 109]


def test_compact_rows_hold_the_visible_tokens_at_their_positions():
    whole = context_growth.keeping(_TARGET, [0, 1, 2, 9])
    parts = context_growth.compact(whole, lengths=(5, 8))
    assert [part.token_ids.shape for part in parts] == [(1, 5), (1, 8), (2, 10)]
    rows = [
        (ids[seen].tolist(), places[seen].tolist())
        for part in parts
        for ids, seen, places in zip(
            part.token_ids, part.attention, part.position_ids, strict=True
        )
    ]
    for (ids, places), seen in zip(rows, whole.attention, strict=True):
        assert places == np.flatnonzero(seen).tolist()
        assert ids == _TARGET.token_ids[seen].tolist()


def test_another_word_stands_where_nothing_can_be_masked():
    donor = context_growth.Donor(
        np.array([91, 92, 93, 94], np.int32), np.array([True, False, True, True])
    )
    [row] = context_growth.other_word(_TARGET, donor).token_ids
    own = _TARGET.word == _TARGET.word[_TARGET.position]
    np.testing.assert_array_equal(row[~own], _TARGET.token_ids[~own])
    # From the middle word of the passage on, in a circle.
    expected = np.resize([93, 94, 91, 92], own.sum())
    np.testing.assert_array_equal(row[own], expected)

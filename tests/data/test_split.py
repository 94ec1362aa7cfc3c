"""Held-out text is apart from the training text, and of many documents."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tfvis_jax.data import copies, split
from tfvis_jax.data.split import Side


def _groups(keys, is_first=None):
    keys = np.asarray(keys, np.uint64)
    if is_first is None:
        is_first = np.ones(len(keys), bool)
    return copies.Groups(is_first, copies.mix(keys), 0, 0)


def _choose(sizes, *, fraction, keys=None, is_first=None, paragraphs=None):
    """Splits documents of ``sizes`` windows, a paragraph each."""
    keys = np.arange(len(sizes)) if keys is None else keys

    def one_each(document):
        n = np.arange(sizes[document])
        return n, n

    return split.choose(
        np.repeat(np.arange(len(sizes)), sizes),
        _groups(keys, is_first),
        fraction=fraction,
        paragraphs=paragraphs or one_each,
    )


def _by_document(found, sizes):
    return np.split(found.sides, np.cumsum(sizes)[:-1])


@pytest.mark.parametrize(
    ("n", "fraction", "expected"),
    [(100, 0.05, 20), (400, 0.05, 20), (1000, 0.05, 50), (100, 0.999, 99)],
)
def test_of_many_documents_whole_ones_are_held_out(n, fraction, expected):
    sizes = np.random.default_rng(0).integers(1, 60, n)
    found = _choose(sizes, fraction=fraction)
    assert (found.num_documents, found.num_sections) == (expected, 0)
    whole = [set(part.tolist()) for part in _by_document(found, sizes)]
    assert whole.count({Side.HELD_OUT}) == expected
    assert whole.count({Side.TRAIN}) == n - expected


def test_of_few_documents_a_section_of_each_long_one_is_held_out():
    sizes = [20, 40, 200, 19, 3, *[10] * 18]
    found = _choose(sizes, fraction=0.1)
    assert (found.num_documents, found.num_sections) == (2, 3)
    parts = _by_document(found, sizes)
    for part, expected in zip(parts[:3], (2, 4, 20), strict=True):
        held_out = np.flatnonzero(part == Side.HELD_OUT)
        assert len(held_out) == expected and np.ptp(held_out) == expected - 1
        gap = np.flatnonzero(part == Side.NEITHER).tolist()
        near = [held_out[0] - 1, held_out[-1] + 1]
        assert gap == [i for i in near if 0 <= i < len(part)]
    whole = [set(part.tolist()) for part in parts[3:]]
    assert whole.count({Side.HELD_OUT}) == 2 and whole.count({Side.TRAIN}) == 18


@pytest.mark.parametrize(
    ("n", "expected"), [(1, "t"), (2, "th"), (3, "tnh"), (4, None), (19, None)]
)
@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("key", range(8))
def test_a_single_document_has_both_sides(n, expected, fraction, key):
    [part] = _by_document(_choose([n], fraction=fraction, keys=[key]), [n])
    letters = "".join("thn"[side] for side in part)
    if expected:
        assert letters == expected
    else:
        assert "t" in letters and "h" in letters
        assert "th" not in letters and "ht" not in letters


@hypothesis.given(
    st.lists(st.integers(1, 45), min_size=1, max_size=130),
    st.floats(0.001, 0.999),
    st.integers(0, 2**32),
)
def test_order_and_other_copies_change_nothing(sizes, fraction, seed):
    rng = np.random.default_rng(seed)
    keys = rng.choice(10**6, len(sizes), replace=False)
    found = _choose(sizes, fraction=fraction, keys=keys)
    by_key = dict(zip(keys.tolist(), _by_document(found, sizes), strict=True))
    used = {Side.TRAIN, Side.HELD_OUT}
    if sum(sizes) > 1:
        assert used <= set(found.sides.tolist())
    # In another order, with a copy of each, which has other windows.
    order = rng.permutation(np.repeat(np.arange(len(sizes)), 2))
    first = np.zeros(len(order), bool)
    first[np.unique(order, return_index=True)[1]] = True
    lengths = np.where(first, np.array(sizes)[order], 7)
    shuffled = _choose(
        lengths.tolist(), fraction=fraction, keys=keys[order], is_first=first
    )
    for document, part in enumerate(_by_document(shuffled, lengths)):
        if first[document]:
            np.testing.assert_array_equal(part, by_key[int(keys[order][document])])
        else:
            assert set(part.tolist()) == {Side.COPY}


@hypothesis.given(st.integers(20, 300), st.floats(0.01, 0.9), st.integers(0, 2**32))
def test_no_paragraph_is_on_both_sides(n, fraction, seed):
    rng = np.random.default_rng(seed)
    # Paragraphs of up to four windows, which end inside windows or at their ends.
    borders = np.cumsum(rng.uniform(0.3, 4.0, size=4 * n))
    borders = np.where(rng.random(len(borders)) < 0.3, np.round(borders), borders)
    first = np.searchsorted(borders, np.arange(n), side="right")
    last = np.searchsorted(borders, np.arange(1, n + 1))
    found = _choose([n], fraction=fraction, paragraphs=lambda _: (first, last))
    held_out = np.flatnonzero(found.sides == Side.HELD_OUT)
    train = np.flatnonzero(found.sides == Side.TRAIN)
    assert len(train) and len(held_out)
    ours = {p for i in held_out for p in range(first[i], last[i] + 1)}
    theirs = {p for i in train for p in range(first[i], last[i] + 1)}
    # A section of almost all of a document leaves no room for more than a window.
    if len(held_out) < n // 2:
        assert not ours & theirs
    assert np.min(np.abs(train[:, None] - held_out)) >= 2


def test_a_section_begins_with_a_paragraph_if_one_is_near():
    begins = np.zeros(200, bool)
    begins[::5] = True
    paragraph = np.cumsum(begins)
    for key in range(30):
        found = _choose(
            [200],
            fraction=0.05,
            keys=[key],
            paragraphs=lambda _: (paragraph, paragraph),
        )
        assert np.flatnonzero(found.sides == Side.HELD_OUT)[0] % 5 == 0


def test_a_text_without_paragraphs_loses_few_windows():
    one = np.zeros(500, int)
    found = _choose([500], fraction=0.05, paragraphs=lambda _: (one, one))
    assert 1 <= np.sum(found.sides == Side.NEITHER) <= 2


def test_sections_lie_anywhere_in_their_documents():
    places = [
        np.flatnonzero(
            _choose([100], fraction=0.05, keys=[key]).sides == Side.HELD_OUT
        )[0]
        for key in range(300)
    ]
    # Quarters of a uniform distribution: 75 each, with a standard deviation of 7.5.
    assert (np.abs(np.histogram(places, 4, (0, 96))[0] - 75) < 35).all()

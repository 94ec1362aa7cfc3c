"""An epoch is every window once, for any number of processes and any start."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tfvis_jax import config
from tfvis_jax.data import build_windows, loader, windows
from tfvis_jax.errors import InputError


@pytest.fixture(scope="module")
def built(small_tokenizer, tmp_path_factory) -> windows.Windows:
    folder = tmp_path_factory.mktemp("loader")
    (folder / "a.txt").write_text("the blue lobster is an alert " * 30)
    return build_windows.build(
        folder / "tokens",
        config.CorpusConfig(paths=(str(folder / "a.txt"),), window_length=8),
        tokenizer=small_tokenizer,
    )


def _ids(batches) -> list[list[int]]:
    return [batch.window_ids.tolist() for batch in batches]


@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(
    num_rows=st.integers(1, 25),
    per_process=st.integers(1, 4),
    process_count=st.integers(1, 4),
    num_epochs=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    shuffle=st.booleans(),
    data=st.data(),
)
def test_processes_together_give_each_epoch_once(
    built, num_rows, per_process, process_count, num_epochs, seed, shuffle, data
):
    rows = built.train[:num_rows]
    settings = {
        "batch_size": per_process * process_count,
        "seed": seed,
        "shuffle": shuffle,
        "num_epochs": num_epochs,
    }
    places = np.arange(per_process * process_count).reshape(process_count, -1)
    parts = [_ids(loader.batches(built, rows, places=p, **settings)) for p in places]
    together = [[*itertools.chain(*batch)] for batch in zip(*parts, strict=True)]
    assert together == _ids(loader.batches(built, rows, **settings))
    total = loader.num_batches(
        len(rows), batch_size=settings["batch_size"], num_epochs=num_epochs
    )
    assert len(together) == total
    per_epoch = total // num_epochs
    for epoch in range(num_epochs):
        seen = [*itertools.chain(*together[epoch * per_epoch :][:per_epoch])]
        real = [row for row in seen if row >= 0]
        assert sorted(real) == rows.tolist()
        if not shuffle:
            # Empty windows stand at the end alone.
            assert seen[: len(real)] == real == rows.tolist()
    start = data.draw(st.integers(0, total))
    assert (
        _ids(loader.batches(built, rows, start=start, **settings)) == together[start:]
    )


def test_epochs_and_seeds_have_orders_of_their_own(built):
    n = len(built.train)
    orders = [
        tuple(_ids(loader.batches(built, built.train, batch_size=n, seed=s))[0])
        for s in (0, 1)
    ]
    epochs = _ids(
        loader.batches(built, built.train, batch_size=n, seed=0, num_epochs=3)
    )
    assert tuple(epochs[0]) == orders[0]
    # Also: the second epoch of seed 0 is not the first of seed 1.
    assert len({*orders, *map(tuple, epochs)}) == 4


def test_a_batch_holds_its_windows(built):
    rows = built.train[:7]
    first, last = loader.batches(built, rows, batch_size=4, shuffle=False)
    np.testing.assert_array_equal(first.window_ids, rows[:4])
    np.testing.assert_array_equal(first.token_ids, built.token_ids(rows[:4]))
    np.testing.assert_array_equal(first.token_mask, built.token_mask(rows[:4]))
    np.testing.assert_array_equal(first.row_mask, built.row_mask(rows[:4]))
    assert last.token_ids.shape == first.token_ids.shape
    assert last.window_ids.tolist() == [*rows[4:], -1]
    assert not last.token_mask[3].any() and not last.row_mask[3].any()
    assert (last.token_ids[3] == built.pad_id).all()
    kinds = [last.window_ids, last.token_ids, last.token_mask, last.row_mask]
    assert [k.dtype for k in kinds] == [np.int32, np.int32, bool, bool]


def test_skipped_batches_are_not_read(built, monkeypatch):
    read = []
    token_ids = built.token_ids
    monkeypatch.setattr(
        built, "token_ids", lambda rows: read.append(len(rows)) or token_ids(rows)
    )
    rows = built.train[:10]
    assert len(list(loader.batches(built, rows, batch_size=1, start=8))) == 2
    assert len(read) == 2


def test_leaving_early_is_clean(built):
    batches = loader.batches(built, built.train, batch_size=1, num_epochs=1000)
    next(batches)
    batches.close()


def test_nothing_to_read_gives_nothing(built):
    assert list(loader.batches(built, np.array([], int), batch_size=4)) == []
    assert loader.num_batches(0, batch_size=4) == 0


def test_a_batch_of_nothing_is_an_error(built):
    with pytest.raises(InputError, match="got 0"):
        next(loader.batches(built, built.train, batch_size=0))


@pytest.mark.parametrize(("size", "parts"), [(1, 1), (8, 1), (12, 1), (16, 2), (64, 8)])
def test_parts_of_a_batch(built, size, parts):
    assert loader.num_parts(size) == parts
    half = {"places": np.arange(size // 2)}
    for batch, alone in zip(
        loader.batches(built, built.train, batch_size=size),
        loader.batches(built, built.train, batch_size=size, **half),
        strict=True,
    ):
        rows = batch.row_mask.reshape(parts, -1).sum(axis=1)
        np.testing.assert_array_equal(batch.rows_in_part, rows)
        # Known to every process, whatever it reads.
        np.testing.assert_array_equal(alone.rows_in_part, rows)
        windows_in_part = (batch.window_ids >= 0).reshape(parts, -1).sum(axis=1)
        assert windows_in_part.max() - windows_in_part.min() <= 1

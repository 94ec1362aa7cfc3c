"""What is hidden: how much, of which tokens, and always the same."""

import dataclasses

import numpy as np
import pytest

from tfvis_jax.data import loader, tokenizer
from tfvis_jax.evaluation import masking


@pytest.fixture(scope="module")
def words(toy_bert_folder):
    return tokenizer.load(toy_bert_folder)


def _batch(words, *, n_windows=400, length=62, first=0):
    """Windows of [CLS], a number of ordinary tokens, [SEP] and padding."""
    rng = np.random.default_rng(0)
    ids = rng.integers(5, words.vocab_size, size=(n_windows, length + 2))
    lengths = rng.integers(1, length + 1, size=(n_windows, 1))
    lengths[0] = length
    place = np.arange(length + 2)
    row_mask = (place > 0) & (place <= lengths)
    ids = np.where(row_mask, ids, words.pad_id)
    ids[:, 0] = words.prefix[0]
    np.put_along_axis(ids, lengths + 1, words.suffix[0], axis=1)
    return loader.Batch(
        np.arange(first, first + n_windows, dtype=np.int32),
        ids.astype(np.int32),
        place <= lengths + 1,
        row_mask,
        row_mask.sum(axis=1),
    )


def test_a_share_of_each_window_is_hidden_and_nothing_special(words):
    batch = _batch(words)
    masked = masking.mask_tokens(batch, tokenizer=words, seed=0)
    tokens = batch.row_mask.sum(axis=1)
    expected = np.maximum(1, np.rint(0.15 * tokens))
    np.testing.assert_array_equal(masked.counted.sum(axis=1), expected)
    changed = masked.token_ids != batch.token_ids
    chosen = np.zeros_like(changed)
    for row in range(len(chosen)):
        places = masked.positions[row, masked.counted[row]]
        assert len(set(places.tolist())) == len(places)
        chosen[row, places] = True
        np.testing.assert_array_equal(
            masked.labels[row, masked.counted[row]], batch.token_ids[row, places]
        )
    assert not np.any(chosen & ~batch.row_mask)
    assert not np.any(changed & ~chosen)
    read = masked.token_ids[chosen]
    n = len(read)
    hidden = np.mean(read == words.mask_id)
    kept = np.mean(~changed[chosen])
    # Three standard deviations; a random token is at times the true one.
    assert abs(hidden - 0.8) < 3 * np.sqrt(0.16 / n)
    assert 0 <= kept - 0.1 - 0.1 / (words.vocab_size - 5) + 3 * np.sqrt(0.09 / n) < 0.05
    special = [words.pad_id, words.unk_id, *words.prefix, *words.suffix]
    assert not np.isin(read, special).any()


def test_a_window_is_masked_alike_in_any_batch_and_otherwise_by_another_seed(words):
    whole = _batch(words, n_windows=40, first=7)
    names = ("window_ids", "token_ids", "token_mask", "row_mask", "rows_in_part")
    part = loader.Batch(*(getattr(whole, name)[10:13] for name in names))
    masked = masking.mask_tokens(whole, tokenizer=words, seed=3)
    again = masking.mask_tokens(part, tokenizer=words, seed=3)
    for one, other in zip(masked, again, strict=True):
        np.testing.assert_array_equal(one[10:13], other)
    other = masking.mask_tokens(whole, tokenizer=words, seed=4)
    assert np.any(other.positions != masked.positions)


def test_empty_windows_hide_nothing(words):
    batch = _batch(words, n_windows=3)
    batch = loader.Batch(
        np.array([0, 1, -1], np.int32),
        batch.token_ids,
        batch.token_mask,
        batch.row_mask & (np.arange(3) < 2)[:, None],
        batch.rows_in_part * (np.arange(3) < 2),
    )
    masked = masking.mask_tokens(batch, tokenizer=words, seed=0)
    assert masked.counted.any(axis=1).tolist() == [True, True, False]
    np.testing.assert_array_equal(masked.token_ids[2], batch.token_ids[2])


def test_every_token_after_another_is_predicted_from_the_place_before_it(words):
    batch = _batch(words, n_windows=40)
    found = masking.next_tokens(batch)
    np.testing.assert_array_equal(found.token_ids, batch.token_ids)
    # Of windows with [CLS] in front, that is every ordinary token.
    np.testing.assert_array_equal(found.counted.sum(1), batch.row_mask.sum(1))
    for row in range(40):
        places = found.positions[row][found.counted[row]]
        np.testing.assert_array_equal(places + 1, np.flatnonzero(batch.row_mask[row]))
        np.testing.assert_array_equal(
            found.labels[row][found.counted[row]], batch.token_ids[row, places + 1]
        )
    bare = dataclasses.replace(batch, token_mask=batch.row_mask)
    assert (masking.next_tokens(bare).counted.sum(1) == batch.row_mask.sum(1) - 1).all()

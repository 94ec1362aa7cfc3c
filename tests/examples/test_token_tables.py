"""Test token ids counted in files against Python dictionaries."""

import collections

import numpy as np
import pytest

from tfvis_jax.errors import InputError
from tfvis_jax.examples import firing_statistics, token_tables

N_FACTORS, VOCAB, K = 130, 50, 4


def _stream(rng, *, size):
    key = rng.integers(0, 2 * N_FACTORS * VOCAB, size) // rng.integers(1, 6, size)
    return key, rng.integers(1, 2**26, size)


@pytest.mark.parametrize("waiting", [0, 700, 10**6])
def test_top_tokens_equal_those_of_a_dictionary(tmp_path, monkeypatch, waiting):
    monkeypatch.setattr(token_tables, "_FAN_IN", 3)
    rng = np.random.default_rng(waiting)
    values = collections.defaultdict(list)
    tables = token_tables.TokenTables(tmp_path, prefix="0", max_waiting=waiting)
    for _ in range(25):
        key, activation = _stream(rng, size=400)
        tables.add(key, activation)
        for each, value in zip(key.tolist(), activation.tolist(), strict=True):
            values[each].append(value)
    tables.flush()
    tables.remove_others()
    assert {path.name for path in tmp_path.iterdir()} == set(tables.names)
    assert len(tables.names) < 10
    paths = [tmp_path / name for name in tables.names]
    for row in range(2):
        common, strong = token_tables.top_tokens(
            paths, row=row, n_factors=N_FACTORS, vocab_size=VOCAB, k=K
        )
        for factor in range(N_FACTORS):
            begin = (row * N_FACTORS + factor) * VOCAB
            own = {t: values[begin + t] for t in range(VOCAB) if begin + t in values}
            _check(common, factor, own, lambda t, v: (-len(v), -sum(v), t))
            often = {t: v for t, v in own.items() if len(v) >= token_tables.MIN_COUNT}
            _check(strong, factor, often, lambda t, v: (-sum(v) / len(v), -len(v), t))


def _check(top, factor, own, key):
    best = sorted(own, key=lambda token: key(token, own[token]))[:K]
    n = len(best)
    assert top.token_id[factor].tolist() == best + [-1] * (K - n)
    assert top.token_count[factor, :n].tolist() == [len(own[t]) for t in best]
    means = [np.mean(own[t]) * firing_statistics.FIXED_POINT for t in best]
    np.testing.assert_allclose(top.token_mean[factor, :n], means, rtol=1e-6)


def test_pieces_of_merged_files_are_one_sorted_table(tmp_path):
    rng = np.random.default_rng(0)
    parts = [token_tables.table(*_stream(rng, size=900)) for _ in range(3)]
    for number, part in enumerate(parts):
        (tmp_path / f"0-0-{number}.tokens").write_bytes(part.tobytes())
    names = [f"0-0-{number}.tokens" for number in range(3)]
    pieces = list(token_tables.merge_pieces(tmp_path, names, piece=100))
    assert len(pieces) > 5 and max(map(len, pieces)) < 300
    np.testing.assert_array_equal(np.concatenate(pieces), token_tables.merged(parts))


@pytest.mark.parametrize("cut", [1, None])
def test_a_damaged_file_is_named(tmp_path, cut):
    path = tmp_path / "0-0-0.tokens"
    stream = _stream(np.random.default_rng(0), size=90)
    path.write_bytes(token_tables.table(*stream).tobytes())
    if cut is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match=r"0-0-0.tokens is damaged.*starts again"):
        token_tables.top_tokens(
            [path], row=0, n_factors=N_FACTORS, vocab_size=VOCAB, k=K
        )


def test_a_state_resumes_with_the_files_that_it_names(tmp_path):
    rng = np.random.default_rng(1)
    first, lost, second = (_stream(rng, size=500) for _ in range(3))
    tables = token_tables.TokenTables(tmp_path, prefix="0")
    tables.add(*first)
    tables.flush()
    saved = list(tables.names)
    tables.add(*lost)
    tables.flush()
    again = token_tables.TokenTables(tmp_path, prefix="0", names=saved)
    again.add(*second)
    again.flush()
    again.remove_others()
    content = [
        np.fromfile(path, token_tables.RECORD) for path in sorted(tmp_path.iterdir())
    ]
    expected = token_tables.table(*map(np.concatenate, zip(first, second, strict=True)))
    np.testing.assert_array_equal(token_tables.merged(content), expected)


def test_without_tokens_all_entries_are_padding(tmp_path):
    tables = token_tables.TokenTables(tmp_path, prefix="0")
    tables.flush()
    assert tables.names == []
    common, strong = token_tables.top_tokens(
        [], row=0, n_factors=2, vocab_size=VOCAB, k=K
    )
    assert (common.token_id == -1).all() and (strong.token_id == -1).all()

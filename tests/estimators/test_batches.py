"""Codes of any number of rows: the same as of all rows together, in bounded memory."""

import jax
import numpy as np
import pytest
import scipy.sparse
from problems import sums_of_factors

from tfvis_jax.errors import InputError
from tfvis_jax.estimators import batches, csr

X, DICTIONARY = sums_of_factors(150, 8, 24, seed=0, n_active=3)
L1_PENALTY = 0.3
SETTINGS = {"l1_penalty": L1_PENALTY, "solver": "spectral", "batch_rows": 64}


def _objective(x, codes):
    residual = x.astype(np.float64) - codes.astype(np.float64) @ DICTIONARY
    return 0.5 * np.sum(residual**2, axis=1) + L1_PENALTY * np.sum(codes, axis=1)


def _optimum():
    """The least objective of each row, by cyclic coordinate descent in float64."""
    dictionary, codes = DICTIONARY.astype(np.float64), np.zeros((len(X), 24))
    energy = np.sum(dictionary**2, axis=1)
    for _ in range(500):
        for factor in range(24):
            residual = (
                X - codes @ dictionary + np.outer(codes[:, factor], dictionary[factor])
            )
            wanted = (residual @ dictionary[factor] - L1_PENALTY) / energy[factor]
            codes[:, factor] = np.maximum(wanted, 0)
    return _objective(X, codes)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_memory_mapped_rows_are_coded_to_the_optimum(tmp_path, dtype):
    np.save(tmp_path / "rows.npy", X.astype(dtype))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    told = []
    found = list(
        batches.encode_batches(
            rows, DICTIONARY, **SETTINGS, progress=lambda *now: told.append(now)
        )
    )
    assert [(batch.first, len(batch.codes)) for batch in found] == [
        (0, 64),
        (64, 64),
        (128, 22),
    ]
    assert told == [(64, 150), (128, 150), (150, 150)]
    codes = np.concatenate([batch.codes for batch in found])
    gap = np.concatenate([batch.gap for batch in found])
    assert all(batch.converged.all() for batch in found) and gap.max() <= 1e-4
    if dtype != np.float16:
        excess = _objective(X, codes) - _optimum()
        # The certificate says how far from the least objective a row may be; float32.
        energy = 0.5 * np.sum(X**2, axis=1)
        assert np.all(excess <= 1e-4 * energy + 1e-6)
        assert np.all(excess >= -1e-6)


def test_all_rows_dense_and_sparse_are_the_same_and_one_program_is_compiled():
    before = batches._encode._cache_size()
    dense = batches.encode_rows(X, DICTIONARY, **SETTINGS)
    sparse = batches.encode_rows(X, DICTIONARY, output="sparse", **SETTINGS)
    again = batches.encode_rows(X[:70], DICTIONARY, **SETTINGS)
    assert batches._encode._cache_size() <= before + 1
    assert isinstance(sparse.codes, scipy.sparse.csr_array)
    assert sparse.codes.dtype == np.float32
    assert sparse.codes.indices.dtype == sparse.codes.indptr.dtype == np.int32
    assert sparse.codes.has_canonical_format
    np.testing.assert_array_equal(sparse.codes.toarray(), dense.codes)
    np.testing.assert_array_equal(sparse.gap, dense.gap)
    np.testing.assert_array_equal(again.codes, dense.codes[:70])
    assert dense.n_not_converged == 0 and dense.converged.all()


def test_rows_that_do_not_converge_are_counted():
    found = batches.encode_rows(X, DICTIONARY, **SETTINGS, max_steps=1)
    assert 0 < found.n_not_converged == np.sum(found.gap > 1e-4)
    np.testing.assert_array_equal(found.converged, found.gap <= 1e-4)


def test_scale_divides_the_rows():
    found = batches.encode_rows(X * 4, DICTIONARY, **SETTINGS, scale=4.0)
    np.testing.assert_array_equal(
        found.codes, batches.encode_rows(X, DICTIONARY, **SETTINGS).codes
    )


def test_the_next_batch_is_started_before_the_last_is_read():
    class Rows:
        shape, asked = X.shape, 0

        def __len__(self):
            return len(X)

        def __getitem__(self, rows):
            self.asked += 1
            return X[rows]

    rows = Rows()
    found = batches.encode_batches(rows, DICTIONARY, **SETTINGS)
    assert rows.asked == 0
    asked = [rows.asked for _ in found]
    assert asked == [2, 3, 3]


def test_no_rows_give_no_batches():
    assert list(batches.encode_batches(X[:0], DICTIONARY, **SETTINGS)) == []
    found = batches.encode_rows(X[:0], DICTIONARY, output="sparse", **SETTINGS)
    assert found.codes.shape == (0, 24) and found.n_not_converged == 0


def test_batches_have_few_sizes_and_fewer_rows_for_large_dictionaries():
    assert [batches._batch_size(n, 100, None) for n in (1, 64, 65, 5000)] == [
        *(64, 64, 256, 4096),
    ]
    assert batches._batch_size(10**7, 16_384, None) == 1024
    assert batches._batch_size(10**7, 10**6, None) == 64
    assert batches._batch_size(10**7, 100, 500) == 500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": "coo"}, "`output`"),
        ({"solver": "lars"}, "`solver`"),
        ({"l1_penalty": 0.0}, "`l1_penalty`"),
        ({"tolerance": -1.0}, "`tolerance`"),
        ({"batch_rows": 0}, "`batch_rows`"),
        ({"scale": 0.0}, "`scale`"),
        ({"rows": X[:, :5]}, r"\[batch, d_model\]"),
        ({"dictionary": np.float32("nan") * DICTIONARY}, "finite"),
    ],
)
def test_bad_settings_are_refused_at_once(change, message):
    settings = {"rows": X, "dictionary": DICTIONARY, **SETTINGS} | change
    with pytest.raises(InputError, match=message):
        batches.encode_batches(**settings)


def test_a_row_that_is_not_finite_is_named():
    rows = X.astype(np.float64)
    rows[100, 3] = 1e300
    found = batches.encode_batches(rows, DICTIONARY, **SETTINGS)
    with pytest.raises(InputError, match=r"infinity in row 100;"):
        list(found)


def test_a_growing_matrix_is_that_of_its_parts():
    rng = np.random.default_rng(0)
    dense = np.float32(rng.random((300, 11)) * (rng.random((300, 11)) < 0.2))
    dense[40:80] = 0
    builder = csr.CsrBuilder(n_rows=300, n_columns=11)
    for first, end in ((0, 7), (7, 80), (80, 81), (81, 300)):
        part = csr.from_dense(dense[first:end])
        np.testing.assert_array_equal(part.toarray(), dense[first:end])
        builder.append(part)
    built = builder.finish()
    built.check_format(full_check=True)
    np.testing.assert_array_equal(built.toarray(), dense)
    assert len(built.data) == built.nnz


def test_buffers_are_never_twice_the_matrix():
    """Room is made for what the rows so far lead to expect, not by doubling."""
    builder = csr.CsrBuilder(n_rows=1000, n_columns=50)
    part = csr.from_dense(np.float32([[1] * 5 + [0] * 45]))
    for _ in range(1000):
        builder.append(part)
        assert len(builder._values) <= 1.03 * 5000
    assert builder.finish().nnz == 5000


def test_jax_rows_are_taken():
    found = batches.encode_rows(jax.numpy.asarray(X), DICTIONARY, **SETTINGS)
    assert found.codes.shape == (150, 24)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": scipy.sparse.csr_array(X)}, "`rows` to be a dense array"),
        (
            {"rows": X.astype(np.complex64)},
            "`rows`.*got one of complex64",
        ),
        ({"rows": X.astype(str)}, "`rows`.*real numbers, got one of <U"),
        ({"rows": [["a"] * 8]}, "`rows`.*real numbers"),
        ({"rows": [[1.0, 2.0], [3.0]]}, "`rows`.*real numbers, got list"),
        ({"dictionary": scipy.sparse.csr_array(DICTIONARY)}, "`dictionary`.*dense"),
        ({"dictionary": DICTIONARY * 1j}, "`dictionary`.*real numbers"),
        ({"batch_rows": 2.5}, "`batch_rows` to be a whole number"),
        ({"batch_rows": "64"}, "`batch_rows` to be a whole number"),
        ({"scale": None}, "`scale` positive and finite"),
        ({"scale": 1e-50}, "`scale` positive and finite"),
    ],
)
def test_what_is_no_array_or_number_is_refused(changes, message):
    arguments = {"rows": X, "dictionary": DICTIONARY, **SETTINGS} | changes
    with pytest.raises(InputError, match=message):
        batches.encode_rows(**arguments)


def test_rows_in_any_byte_order_and_lists_are_the_same_rows():
    expected = batches.encode_rows(X, DICTIONARY, **SETTINGS).codes
    for rows in (X.astype(">f4"), X.tolist(), X.astype(object)):
        found = batches.encode_rows(rows, DICTIONARY.astype(">f8"), **SETTINGS)
        np.testing.assert_array_equal(found.codes, expected)
    traced = jax.jit(lambda x: batches.encode_rows(x, DICTIONARY, **SETTINGS).codes)
    with pytest.raises(InputError, match="got a traced array"):
        traced(X)

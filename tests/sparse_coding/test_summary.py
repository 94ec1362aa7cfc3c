"""The summary of a solve against its definition."""

import numpy as np
import pytest

from tfvis_jax import errors, sparse_coding
from tfvis_jax.sparse_coding import summary


def _encoding(gap, num_steps, *, tolerance=1e-3):
    gap = np.float32(gap)
    return sparse_coding.Encoding(None, gap, np.int32(num_steps), gap <= tolerance)


def test_numbers_are_counts_means_and_quantiles():
    gap = np.arange(1, 101).reshape(4, 25) * 1e-5
    steps = np.arange(100).reshape(4, 25)
    got = summary.summarise(_encoding(gap, steps, tolerance=5e-4), solver="spectral")
    assert got[:5] == ("spectral", 100, 50, 49.5, 99)
    # The smallest gap that at least that share of the rows stays within.
    np.testing.assert_allclose(got[5:], [5.1e-4, 9.1e-4, 1e-3, 1e-3], rtol=1e-6)


def test_rows_that_do_not_count_and_rows_without_a_gap():
    encoding = _encoding([1e-4, np.nan, 5.0], [3, 0, 500])
    got = summary.summarise(encoding, solver="fista", valid=[True, True, False])
    assert got[1:5] == (2, 1, 1.5, 3)
    assert got.max_gap == np.inf
    assert str(got).startswith("fista: 1 of 2 rows converged in 1.5 steps (at most 3)")
    assert summary.summarise(encoding, solver="fista", valid=[False] * 3).num_rows == 0


@pytest.mark.parametrize("valid", [[1, 1, 0], [True, False]])
def test_a_mask_that_is_none_is_refused(valid):
    encoding = _encoding([1e-4, 2e-4, 5.0], [3, 0, 500])
    with pytest.raises(errors.InputError, match="`valid` to be bool of shape"):
        summary.summarise(encoding, solver="fista", valid=valid)

"""Sparse coding as a method: its L0, its codes, and what it is compared with."""

import dataclasses

import numpy as np
import pytest
import scipy.optimize

from tfvis_jax.baselines import comparison, method, sparse_coding
from tfvis_jax.errors import InputError


def _rows(n=600, d_model=16, n_true=40, seed=0):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_true, d_model))
    codes = rng.exponential(size=(n, n_true)) * (rng.random((n, n_true)) < 0.1)
    return np.float32(codes @ factors + rng.normal(size=(n, d_model)) * 0.05 + 1)


def test_the_target_l0_is_reached_on_other_rows():
    x = _rows()
    coding = sparse_coding.fit(x[:500], n_factors=32, target_l0=3, num_passes=2, seed=0)
    figures = method.measure(coding, x[500:])
    # A hundred rows tell their mean L0 to about a tenth.
    assert abs(figures.l0 / 3 - 1) < 0.15


def test_codes_are_least_squares_on_what_the_threshold_leaves():
    x = _rows()
    coding = sparse_coding.random_factors(x, n_factors=24, target_l0=2, seed=0)
    plain = dataclasses.replace(coding, debias=False)
    every = dataclasses.replace(plain, least_code=0.0)
    codes, kept = np.asarray(coding.codes(x[:20])), np.asarray(plain.codes(x[:20]))
    assert np.count_nonzero(kept) < np.count_nonzero(every.codes(x[:20]))
    assert kept[kept > 0].min() >= coding.least_code
    factors = np.float64(coding.factors)
    for row, code, support in zip(x[:20], codes, kept > 0, strict=True):
        centred = np.float64(row - coding.offset)
        expected = np.zeros(support.sum())
        if support.any():  # SciPy aborts on a problem without columns.
            expected, _ = scipy.optimize.nnls(factors[support].T, centred)
        np.testing.assert_allclose(
            centred - code @ factors, centred - expected @ factors[support], atol=1e-3
        )
        assert not code[~support].any()


def test_sample_factors_are_centred_rows_and_their_mean():
    x = np.float64(_rows())
    coding = sparse_coding.sample_factors(_rows(), n_factors=20, target_l0=3, seed=3)
    candidates = x - x.mean(axis=0)
    candidates /= np.linalg.norm(candidates, axis=1, keepdims=True)
    cosines = np.float64(coding.factors) @ candidates.T
    # Rows less the mean of the 160 that were drawn, which is not the mean of all.
    assert cosines[1:].max(axis=1).min() > 0.96


def test_a_comparison_has_a_row_for_every_method_l0_and_seed():
    x = _rows(900)
    config = comparison.ComparisonConfig(
        n_factors=24,
        target_l0=(2, 4),
        seeds=(0, 1),
        num_passes=2,
        learning_rates=(1e-3, 3e-3),
    )
    found = list(comparison.candidates(x[:800], config))
    rows = [comparison.measure(candidate, x[800:]) for candidate in found]
    assert [(r["method"], r["target_l0"], r["seed"]) for r in rows] == [
        (name, l0, seed)
        for name in comparison.METHODS
        for l0 in (2, 4)
        for seed in (0, 1)
    ]
    for row in rows:
        learns = row["method"].startswith("sae") or row["method"] == "sparse_coding"
        # Autoencoders drop the rows that fill no batch.
        assert (1000 < row["rows_seen"] <= 1600) if learns else row["rows_seen"] == 0
        assert 0 < row["fvu"] < 1.5
        if row["method"] != "pca":
            assert row["fvu_debiased"] <= row["fvu"] + 1e-3
    ours = {
        r["target_l0"]: r["fvu_debiased"]
        for r in rows
        if r["method"] == "sparse_coding"
    }
    random = {
        r["target_l0"]: r["fvu_debiased"]
        for r in rows
        if r["method"] == "random_factors"
    }
    assert all(ours[l0] < random[l0] for l0 in (2, 4))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"methods": ("lars",)}, "lars"),
        ({"target_l0": ()}, "target_l0"),
        ({"target_l0": (2000,)}, "2000"),
        ({"num_passes": 0}, "num_passes"),
    ],
)
def test_bad_comparisons_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        comparison.ComparisonConfig(**values)


def test_rows_that_are_equal_are_refused():
    with pytest.raises(InputError, match="differ"):
        sparse_coding.fit(
            np.ones((9, 3), np.float32), n_factors=4, target_l0=1, num_passes=1, seed=0
        )

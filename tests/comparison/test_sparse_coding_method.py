"""Sparse coding as a method: its L0, its codes, and what it is compared with."""

import dataclasses

import numpy as np
import pytest
import scipy.optimize

from tfvis_jax.comparison import method, methods, sparse_coding
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


def test_codes_are_least_squares_on_what_each_round_leaves():
    x = _rows()
    coding = sparse_coding.random_factors(x, n_factors=24, target_l0=2, seed=0)
    assert len(coding.least_codes) > 2
    few = x[:20]
    codes = np.asarray(coding.codes(few))
    every = dataclasses.replace(coding, least_codes=())
    expected = np.asarray(every.codes(few))
    assert np.count_nonzero(codes) < np.count_nonzero(expected)
    factors = np.float64(coding.factors)
    for row, code, start in zip(few, codes, expected, strict=True):
        centred, left = np.float64(row - coding.offset), np.float64(start)
        for least_code in coding.least_codes:
            support, left = left >= least_code, np.zeros(24)
            if support.any():  # SciPy aborts on a problem without columns.
                left[support], _ = scipy.optimize.nnls(factors[support].T, centred)
        # Least squares end at correlations of 1e-5 times the row's length, about 4.
        np.testing.assert_allclose(code @ factors, left @ factors, atol=1e-3)


def test_pruning_in_rounds_leaves_less_than_pruning_at_once():
    x = _rows(1500, d_model=48, n_true=160)
    coding = sparse_coding.sample_factors(x, n_factors=96, target_l0=5, seed=0)
    codes = np.asarray(dataclasses.replace(coding, least_codes=()).codes(x))
    # A tenth more, since least squares put some of them to zero.
    kept = int(1.1 * np.count_nonzero(coding.codes(x)))
    least = float(np.partition(codes, -kept, axis=None)[-kept])
    at_once = dataclasses.replace(coding, least_codes=(least,))
    rounds, once = (method.measure(m, x) for m in (coding, at_once))
    assert rounds.l0 < once.l0
    assert rounds.fvu < 0.95 * once.fvu


@pytest.mark.parametrize(
    ("target_l0", "surplus", "n_factors", "learnt_at"),
    [(3, 2, 40, 5), (3, 0, 40, 3), (3, 90, 40, 10), (6, 2, 10, 6), (3, 90, 6, 3)],
)
def test_codes_of_learning_have_a_surplus_as_far_as_there_is_one(
    monkeypatch, target_l0, surplus, n_factors, learnt_at
):
    seen = []

    def learn(rows, *, sparsity, **how):
        seen.append(sparsity.target_l0)
        raise KeyboardInterrupt

    monkeypatch.setattr(sparse_coding, "learn", learn)
    x = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    with pytest.raises(KeyboardInterrupt):
        sparse_coding.learn_factors(
            x,
            n_factors=n_factors,
            target_l0=target_l0,
            num_passes=1,
            seed=0,
            learning=sparse_coding.Learning(surplus=surplus),
        )
    assert seen == [learnt_at]


def test_few_rows_are_all_learnt_from_and_many_keep_some_back():
    few, many = np.zeros((1000, 3)), np.arange(3 * 32 * 600.0).reshape(-1, 3)
    assert all(len(part) == 1000 for part in method.keep_back(few))
    learnt_from, unseen = method.keep_back(many)
    assert len(unseen) == 600
    np.testing.assert_array_equal(np.concatenate([learnt_from, unseen]), many)


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
    config = methods.ComparisonConfig(
        n_factors=24,
        target_l0=(2, 4),
        seeds=(0, 1),
        num_passes=2,
        learning_rates=(3e-3,),
    )
    found = list(methods.candidates(x[:800], config))
    rows = [methods.measure(candidate, x[800:]) for candidate in found]
    assert not list(methods.candidates(x[:800], config, done=rows))
    assert [(r["method"], r["target_l0"], r["seed"]) for r in rows] == [
        (name, l0, seed) for name in methods.METHODS for l0 in (2, 4) for seed in (0, 1)
    ]
    for row in rows:
        learns = row["method"].startswith("sae") or row["method"] == "sparse_coding"
        # Autoencoders drop the rows that fill no batch.
        assert (1000 < row["rows_seen"] <= 1600) if learns else row["rows_seen"] == 0
        assert 0 < row["fvu"] < 1.5
        assert (row["agreement"] is None) == (row["seed"] == 0)
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
        methods.ComparisonConfig(**values)


def test_rows_that_are_equal_are_refused():
    with pytest.raises(InputError, match="differ"):
        sparse_coding.fit(
            np.ones((9, 3), np.float32), n_factors=4, target_l0=1, num_passes=1, seed=0
        )

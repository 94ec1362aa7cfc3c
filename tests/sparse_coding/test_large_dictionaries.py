"""Working sets on many thousands of factors, against coordinate descent in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import linear_model

from tfvis_jax import sparse_coding
from tfvis_jax.sparse_coding import small_problem


def _problem(*, n_factors, d_model, n_active, batch=4, seed=0, shared=0.0):
    """Returns rows that are sums of factors with a direction in common, and noise."""
    rng = np.random.default_rng(seed)
    dictionary = rng.normal(size=(n_factors, d_model))
    dictionary += shared * rng.normal(size=d_model)
    dictionary /= np.linalg.norm(dictionary, axis=1)[:, None]
    x = np.stack(
        [
            rng.uniform(0.5, 1.5, n_active)
            @ dictionary[rng.choice(n_factors, n_active, replace=False)]
            for _ in range(batch)
        ]
    )
    x /= np.linalg.norm(x, axis=1)[:, None]
    x += 0.1 / d_model**0.5 * rng.normal(size=x.shape)
    return np.float32(x), np.float32(dictionary)


def _value(x, dictionary, codes, l1_penalty):
    x, dictionary, codes = (np.float64(a) for a in (x, dictionary, codes))
    misfit = 0.5 * np.sum((x - codes @ dictionary) ** 2, axis=1)
    return misfit + l1_penalty * np.sum(np.abs(codes), axis=1)


def _optimum(x, dictionary, l1_penalty, *, non_negative=True):
    """Returns the least objective of every row."""
    values = []
    for row in np.float64(x):
        lasso = linear_model.Lasso(
            alpha=l1_penalty / len(row),
            fit_intercept=False,
            positive=non_negative,
            tol=1e-10,
            max_iter=20_000,
        )
        codes = lasso.fit(np.float64(dictionary).T, row).coef_
        values.append(_value(row[None], dictionary, codes[None], l1_penalty)[0])
    return np.array(values)


def _check(x, dictionary, got, l1_penalty, *, tolerance, non_negative=True):
    """Checks codes against the optimum and their gap against that of all factors."""
    assert np.all(got.converged)
    gap = sparse_coding.duality_gap(
        x, dictionary, got.codes, l1_penalty=l1_penalty, non_negative=non_negative
    )
    # Both are exact to the floor: sums over the factors in use, a few hundred for some
    # rows, are rounded in another order than sums over all.
    np.testing.assert_allclose(got.gap, gap, atol=sparse_coding.GAP_FLOOR)
    energy = 0.5 * np.sum(np.float64(x) ** 2, axis=1)
    best = _optimum(x, dictionary, l1_penalty, non_negative=non_negative)
    above = (_value(x, dictionary, got.codes, l1_penalty) - best) / energy
    assert np.all(above <= tolerance + 1e-6)
    assert np.all(above >= -1e-6)


@pytest.mark.parametrize("non_negative", [True, False])
@pytest.mark.parametrize(("n_factors", "shared"), [(4096, 0.0), (16384, 0.3)])
def test_codes_are_those_of_coordinate_descent(n_factors, shared, non_negative):
    x, dictionary = _problem(
        n_factors=n_factors, d_model=96, n_active=20, shared=shared
    )
    got = sparse_coding.encode(
        x,
        dictionary,
        l1_penalty=0.03,
        solver="working_set",
        tolerance=1e-5,
        non_negative=non_negative,
    )
    _check(x, dictionary, got, 0.03, tolerance=1e-5, non_negative=non_negative)


@functools.cache
def _dense_rows():
    """Returns a problem of which rows use 280 factors or more, and codes of it."""
    x, dictionary = _problem(n_factors=8192, d_model=512, n_active=450, batch=3)
    # The last row needs next to nothing, and goes with others all the same.
    x[-1] = dictionary[5]
    got = sparse_coding.encode(
        x, dictionary, l1_penalty=0.004, solver="working_set", tolerance=1e-4
    )
    return x, dictionary, got


def test_rows_that_need_many_factors_stay_on_working_sets():
    x, dictionary, got = _dense_rows()
    used = np.sum(np.asarray(got.codes) > 0, axis=1)
    assert used[:-1].min() > 256 and used[-1] < 100
    _check(x, dictionary, got, 0.004, tolerance=1e-4)
    # A visit to all factors would count as 16.
    assert int(jnp.max(got.num_steps)) < 16


def test_codes_that_fill_no_working_set_are_a_start():
    x, dictionary, cold = _dense_rows()
    rng = np.random.default_rng(1)
    everywhere = np.float32(1e-4 * rng.random(size=cold.codes.shape))
    got = sparse_coding.encode(
        x,
        dictionary,
        l1_penalty=0.004,
        solver="working_set",
        tolerance=1e-4,
        codes0=np.asarray(cold.codes) + everywhere,
    )
    _check(x, dictionary, got, 0.004, tolerance=1e-4)
    # It is on all factors that steps begin.
    assert int(jnp.min(got.num_steps)) >= 16
    # Without a step, codes are as they were.
    kept = sparse_coding.encode(
        x,
        dictionary,
        l1_penalty=0.004,
        solver="working_set",
        tolerance=10.0,
        codes0=everywhere,
    )
    np.testing.assert_array_equal(kept.codes, everywhere)
    np.testing.assert_array_equal(kept.num_steps, 0)


@pytest.mark.parametrize("n_factors", [8192, 65536])
def test_memory_of_a_row_is_no_more_than_three_times_its_codes(n_factors):
    def solve(x, dictionary):
        return sparse_coding.encode(
            x, dictionary, l1_penalty=0.05, solver="working_set"
        )

    def taken(rows):
        shapes = [(rows, 64), (n_factors, 64)]
        arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        memory = jax.jit(solve).lower(*arrays).compile().memory_analysis()
        return memory.temp_size_in_bytes + memory.output_size_in_bytes

    by_row = (taken(1024) - taken(512)) / 512
    assert by_row <= 3 * 4 * n_factors


@pytest.mark.parametrize("size", [3, 40])
@pytest.mark.parametrize("shared", [0.0, 5.0])
@pytest.mark.parametrize("scale", [1e-14, 1.0, 1e14])
def test_curvature_of_a_small_problem_is_bounded(size, shared, scale):
    _, dictionary = _problem(n_factors=size, d_model=24, n_active=1, shared=shared)
    # The squares of these are beyond float32 at either end.
    gram = np.float32(scale**2) * (dictionary @ dictionary.T)
    small = small_problem.SmallProblem(*[None] * 3, gram[None], None, None)
    bound = float(small_problem.curvature(small)[0, 0])
    largest = np.linalg.eigvalsh(np.float64(gram))[-1]
    assert largest <= bound <= 2 * largest

"""Working sets reach the optimum of all factors, whatever sizes their rows need."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest

from tfvis_jax import sparse_coding
from tfvis_jax.sparse_coding import row_blocks, small_problem

_problem = functools.partial(
    problems.sums_of_factors,
    batch=70,
    d_model=48,
    n_factors=600,
    n_active=8,
    noise=0.02,
)


# Each size is a branch to compile; these are enough for the rows here.
_FEW = sparse_coding.WorkingSet(sizes=(32, 64))


def _solve(x, dictionary, *, solver=_FEW, tolerance=1e-5, **settings):
    largest = 1.05 * np.linalg.norm(dictionary, 2) ** 2
    settings = {"l1_penalty": 0.05, "lipschitz": largest} | settings
    got = sparse_coding.encode(
        x,
        dictionary,
        solver=solver,
        tolerance=tolerance,
        max_steps=2000,
        **settings,
    )
    return got.codes, got.gap, got.num_steps


@pytest.mark.parametrize("non_negative", [True, False])
def test_certificate_is_that_of_all_factors(non_negative):
    x, dictionary = _problem()
    codes, gap, num_steps = _solve(x, dictionary, non_negative=non_negative)
    expected = sparse_coding.duality_gap(
        x, dictionary, codes, l1_penalty=0.05, non_negative=non_negative
    )
    np.testing.assert_allclose(gap, expected, atol=1e-7)
    assert float(jnp.max(gap)) <= 1e-5
    assert float(jnp.min(expected)) >= -1e-7
    assert int(jnp.max(num_steps)) < 2000
    if non_negative:
        assert float(jnp.min(codes)) >= 0


def test_objective_equals_that_of_dense_steps():
    x, dictionary = _problem()
    codes, _, _ = _solve(x, dictionary)
    dense = sparse_coding.encode(
        x,
        dictionary,
        l1_penalty=0.05,
        solver="fista_restart",
        tolerance=0,
        max_steps=3000,
    ).codes
    got = sparse_coding.lasso_objective(x, dictionary, codes, l1_penalty=0.05)
    best = sparse_coding.lasso_objective(x, dictionary, dense, l1_penalty=0.05)
    energy = 0.5 * np.sum(x**2, axis=1)
    assert np.all(got - best <= 1.2e-5 * energy)  # The tolerance, and rounding.


def test_rows_too_dense_for_any_working_set_are_solved():
    x, dictionary = _problem(n_active=200, d_model=300, n_factors=700, batch=20)
    x[:5] *= 1e-3  # These need next to nothing.
    codes, gap, _ = _solve(
        x,
        dictionary,
        solver=sparse_coding.WorkingSet(),
        l1_penalty=0.02,
        tolerance=1e-4,
    )
    used = np.sum(np.asarray(codes) > 0, axis=1)
    assert used[5:].max() > 256 / 1.1 and used[:5].max() < 32
    assert float(jnp.max(gap)) <= 1e-4


@pytest.mark.parametrize("batch", [1, 3, 64, 65])
def test_any_batch_size(batch):
    x, dictionary = _problem(batch=batch)
    x[0] = 0
    codes, gap, num_steps = _solve(x, dictionary)
    assert codes.shape == (batch, 600)
    np.testing.assert_array_equal(codes[0], 0)
    assert float(jnp.max(gap)) <= 1e-5
    assert num_steps.shape == (batch,)


@pytest.mark.parametrize("n_factors", [1, 2, 63, 65])
def test_few_factors(n_factors):
    x, dictionary = _problem(n_factors=n_factors, n_active=3, batch=9)
    _, gap, _ = _solve(x, dictionary)
    assert float(jnp.max(gap)) <= 1e-5


def test_gathered_factors_give_the_codes_of_the_gram_matrix():
    # A small batch against many factors does not form the whole Gram matrix.
    x, dictionary = _problem(batch=70)
    together, _, _ = _solve(x, dictionary, tolerance=1e-6)
    alone, _, _ = _solve(x[:4], dictionary, tolerance=1e-6)
    # Codes are known to the root of the gap.
    np.testing.assert_allclose(alone, together[:4], atol=2e-3)


def test_warm_start_needs_few_rounds():
    x, dictionary = _problem()
    codes, _, cold = _solve(x, dictionary, tolerance=1e-4)
    rng = np.random.default_rng(1)
    moved = dictionary + 1e-3 * rng.normal(size=dictionary.shape)
    _, gap, warm = _solve(x, np.float32(moved), tolerance=1e-4, codes0=codes)
    assert float(jnp.max(gap)) <= 1e-4
    # A round is the least there is: rows go from three rounds or so to about one.
    assert float(jnp.mean(warm)) < 1.5 < 2.5 < float(jnp.mean(cold))


def test_penalty_by_factor_is_kept():
    x, dictionary = _problem()
    penalty = np.random.default_rng(2).uniform(0.02, 0.2, size=(1, 600))
    penalty = np.float32(penalty)
    codes, gap, _ = _solve(x, dictionary, l1_penalty=penalty)
    expected = sparse_coding.duality_gap(x, dictionary, codes, l1_penalty=penalty)
    np.testing.assert_allclose(gap, expected, atol=1e-7)
    assert float(jnp.max(gap)) <= 1e-5


def test_memory_in_flight_is_a_few_codes():
    x, dictionary = _problem(batch=2048, n_factors=1024)

    def solve(x, dictionary):
        return sparse_coding.encode(
            x, dictionary, l1_penalty=0.05, solver="working_set", lipschitz=5.0
        )

    memory = jax.jit(solve).lower(x, dictionary).compile().memory_analysis()
    by_row = (memory.temp_size_in_bytes + memory.output_size_in_bytes) / 2048
    # Blocks of 64 rows and the Gram matrix are shared by all rows.
    shared = (4 * 1024**2 + 2 * 4 * 64 * 256**2) / 2048
    assert by_row <= 6 * 1024 * 4 + shared


def test_memory_is_known_where_no_working_set_is_small():
    # Of so few factors half are fewer than the smallest size.
    held = sparse_coding.WorkingSet().numbers_alive(rows=10, n_factors=40)
    assert held == 3 * 10 * 40 + 40**2


@pytest.mark.parametrize("batch", [1, 6, 8, 12])
def test_work_in_parts_is_work_on_the_block(batch):
    rng = np.random.default_rng(batch)
    block = jnp.asarray(rng.normal(size=(batch, 3))), jnp.arange(batch)
    sizes = []

    def work(part):
        rows, number = part
        sizes.append(len(rows))
        return jnp.cumsum(rows, axis=1), number + 1

    found = row_blocks.in_parts(work, block, rows=4)
    np.testing.assert_allclose(found[0], np.cumsum(block[0], axis=1), rtol=1e-6)
    np.testing.assert_array_equal(found[1], np.arange(batch) + 1)
    # Parts are whole, or the block is one.
    assert set(sizes) == {4 if batch > 4 and batch % 4 == 0 else batch}


@pytest.mark.parametrize("size", small_problem.SIZES)
def test_parts_fit_a_cache_and_divide_blocks(size):
    rows = small_problem.rows_at_once(size)
    assert row_blocks.ROWS % rows == 0 or rows > row_blocks.ROWS
    assert rows == 1 or rows * size**2 * 4 <= 2**20


def test_few_rows_have_every_other_size_and_the_largest():
    solver = sparse_coding.WorkingSet()
    many, few = (solver.sizes_for(1024, rows=rows) for rows in (257, 256))
    assert set(few) < set(many) and len(few) == len(many) // 2
    assert few[-1] == many[-1]
    assert max(b - a for a, b in zip([0, *few], few, strict=False)) <= 96

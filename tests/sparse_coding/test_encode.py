"""The entry: tolerance, certificate, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest

from tfvis_jax import config, errors, sparse_coding


@pytest.mark.parametrize("solver", config.SOLVERS)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-5])
def test_every_row_meets_the_tolerance_and_says_so(solver, tolerance):
    x, dictionary = problems.sums_of_factors()
    got = sparse_coding.encode(
        x,
        dictionary,
        l1_penalty=0.2,
        solver=solver,
        tolerance=tolerance,
        max_steps=5000,
    )
    gap = sparse_coding.duality_gap(x, dictionary, got.codes, l1_penalty=0.2)
    np.testing.assert_allclose(got.gap, gap, atol=1e-7)
    assert float(jnp.max(gap)) <= tolerance
    assert bool(jnp.all(got.converged))
    assert int(jnp.max(got.num_steps)) < 5000


def test_budget_is_kept_and_unfinished_rows_are_marked():
    x, dictionary = problems.sums_of_factors()
    got = sparse_coding.encode(
        x, dictionary, l1_penalty=0.05, solver="ista", tolerance=1e-6, max_steps=20
    )
    assert int(jnp.max(got.num_steps)) == 20
    np.testing.assert_array_equal(got.converged, got.gap <= 1e-6)
    assert not bool(jnp.all(got.converged))


def test_steps_are_counted_row_by_row():
    x, dictionary = problems.sums_of_factors()
    x[0] = 0
    x[1] = 2 * dictionary[5]
    got = sparse_coding.encode(x, dictionary, l1_penalty=0.2, tolerance=1e-5)
    assert int(got.num_steps[0]) == 0
    assert int(got.num_steps[1]) < int(jnp.max(got.num_steps))


def test_warm_start_takes_a_third_of_the_steps():
    x, dictionary = problems.sums_of_factors()
    solver = sparse_coding.Spectral(block_steps=1)
    settings = {"l1_penalty": 0.2, "solver": solver}
    cold = sparse_coding.encode(x, dictionary, **settings)
    change = np.random.default_rng(1).normal(size=dictionary.shape)
    moved = np.float32(dictionary + 1e-3 * change)
    warm = sparse_coding.encode(x, moved, codes0=cold.codes, **settings)
    assert 3 * float(jnp.mean(warm.num_steps)) < float(jnp.mean(cold.num_steps))
    assert bool(jnp.all(warm.converged))


def test_penalty_by_row_equals_rows_alone():
    x, dictionary = problems.sums_of_factors(batch=4)
    by_row = np.float32([0.1, 0.2, 0.3, 0.4])
    together = sparse_coding.encode(x, dictionary, l1_penalty=by_row, tolerance=1e-6)
    for i in range(4):
        alone = sparse_coding.encode(
            x[i : i + 1], dictionary, l1_penalty=float(by_row[i]), tolerance=1e-6
        )
        # Both are within the tolerance of the same optimum, not equal to it.
        np.testing.assert_allclose(together.codes[i], alone.codes[0], atol=1e-3)


def test_one_program_serves_every_penalty():
    x, dictionary = problems.sums_of_factors()
    compiled = jax.jit(
        lambda x, dictionary, l1_penalty: sparse_coding.encode(
            x, dictionary, l1_penalty=l1_penalty
        )
    )
    for l1_penalty in (0.1, 0.2, 0.3):
        compiled(x, dictionary, l1_penalty)
    assert compiled._cache_size() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((3, 5), np.float32)}, r"\(3, 5\) and \(64, 24\)"),
        ({"x": np.zeros(24, np.float32)}, r"\[batch, d_model\]"),
        ({"l1_penalty": 0.0}, "positive"),
        ({"l1_penalty": float("nan")}, "positive"),
        ({"l1_penalty": np.full(5, 0.1, np.float32)}, r"\(5,\)"),
        ({"solver": "newton"}, "newton"),
        ({"codes0": np.zeros((3, 3), np.float32)}, r"\(16, 64\)"),
    ],
)
def test_mistakes_are_refused_with_what_was_expected(change, message):
    x, dictionary = problems.sums_of_factors()
    arguments = {"x": x, "dictionary": dictionary, "l1_penalty": 0.2} | change
    with pytest.raises(errors.InputError, match=message):
        sparse_coding.encode(
            arguments.pop("x"), arguments.pop("dictionary"), **arguments
        )


@pytest.mark.parametrize("solver", ["spectral", "working_set"])
def test_a_ragged_last_batch_is_padded_and_compiles_nothing(solver):
    x, dictionary = problems.sums_of_factors(batch=40)
    compiled = jax.jit(
        lambda x, dictionary: sparse_coding.encode(
            x, dictionary, l1_penalty=0.2, solver=solver, tolerance=1e-6
        )
    )
    whole = [compiled(x[start : start + 16], dictionary) for start in (0, 16)]
    last = np.zeros_like(x[:16])
    last[:8] = x[32:]
    padded = compiled(last, dictionary)
    assert compiled._cache_size() == 1
    np.testing.assert_array_equal(padded.codes[8:], 0)
    np.testing.assert_array_equal(padded.num_steps[8:], 0)
    assert np.all(padded.converged)
    codes = np.concatenate([*(part.codes for part in whole), padded.codes[:8]])
    gap = sparse_coding.duality_gap(x, dictionary, codes, l1_penalty=0.2)
    assert float(jnp.max(gap)) <= 1e-6

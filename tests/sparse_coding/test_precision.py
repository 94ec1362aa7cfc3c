"""Coarse steps are coarse, and what comes out is certified in float32 all the same."""

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest

from tfvis_jax import errors
from tfvis_jax.sparse_coding import encoding as encode
from tfvis_jax.sparse_coding import objective, precision

_DENSE = ["ista", "fista", "fista_restart", "spectral"]


def _problem(batch=16, d_model=24, n_factors=64, seed=0):
    return problems.sums_of_factors(batch, d_model, n_factors, seed=seed)


def test_product_in_bfloat16_is_that_of_rounded_operands():
    x, dictionary = _problem()

    def rounded(array):
        return np.asarray(jnp.asarray(array).astype(jnp.bfloat16), np.float64)

    got = precision.einsum("bd,fd->bf", x, dictionary, precision="bfloat16")
    assert got.dtype == jnp.float32
    expected = rounded(x) @ rounded(dictionary).T
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert np.max(np.abs(expected - np.float64(x) @ dictionary.T)) > 1e-3


@pytest.mark.parametrize("solver", _DENSE)
@pytest.mark.parametrize("tolerance", [3e-2, 1e-5])
def test_coarse_beginnings_end_at_the_tolerance(solver, tolerance):
    x, dictionary = _problem()
    x[0] = 0
    settings = {"l1_penalty": 0.2, "tolerance": tolerance, "max_steps": 4000}
    got = jax.jit(
        lambda x, dictionary: encode.encode(
            x, dictionary, solver=solver, precision="bfloat16", **settings
        )
    )(x, dictionary)
    gap = objective.duality_gap(x, dictionary, got.codes, l1_penalty=0.2)
    np.testing.assert_allclose(got.gap, gap, atol=1e-7)
    assert bool(jnp.all(got.converged))
    assert float(jnp.max(gap)) <= tolerance
    assert int(got.num_steps[0]) == 0


@pytest.mark.parametrize("n_factors", [30, 64])  # By Gram matrix, and by residual.
def test_coarse_steps_alone_would_not_get_there(n_factors):
    x, dictionary = _problem(n_factors=n_factors)

    def solve(**settings):
        return encode.encode(
            x,
            dictionary,
            l1_penalty=0.05,
            solver="spectral",
            tolerance=1e-6,
            **settings,
        )

    program = str(jax.make_jaxpr(lambda: solve(precision="bfloat16"))())
    assert "bf16" in program
    assert "bf16" not in str(jax.make_jaxpr(lambda: solve(precision="float32"))())
    # In bfloat16 no row could come to a gap of 1e-6; the budget is kept besides.
    coarse, exact = solve(precision="bfloat16"), solve()
    assert bool(jnp.all(coarse.converged)) and bool(jnp.all(exact.converged))
    short = solve(precision="bfloat16", max_steps=7)
    assert int(jnp.max(short.num_steps)) == 7


def test_platforms_begin_in_what_they_are_built_for():
    assert precision.coarse("cpu") == "float32"
    assert precision.coarse("gpu") == "tf32"
    assert precision.coarse("tpu") == "bfloat16"
    assert set(precision.REACH) | {"float32"} == set(precision.NAMES)


def test_unknown_arithmetic_is_refused():
    x, dictionary = _problem()
    with pytest.raises(errors.InputError, match="float16"):
        encode.encode(x, dictionary, l1_penalty=0.2, precision="float16")

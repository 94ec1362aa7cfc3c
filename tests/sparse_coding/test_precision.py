"""Coarse steps are coarse, and what comes out is certified in float32 all the same."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest

from tfvis_jax import config, errors, sparse_coding
from tfvis_jax.sparse_coding import precision, registry

_DENSE = ["ista", "fista", "fista_restart", "spectral"]


def _value(name):
    return registry.solver(name, platform="cpu", n_factors=64, factors_are_split=False)


def _in_bfloat16(name):
    return dataclasses.replace(_value(name), precision="bfloat16")


def test_product_in_bfloat16_is_that_of_rounded_operands():
    x, dictionary = problems.sums_of_factors()

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
    x, dictionary = problems.sums_of_factors()
    x[0] = 0
    settings = {"l1_penalty": 0.2, "tolerance": tolerance, "max_steps": 4000}
    got = sparse_coding.encode(x, dictionary, solver=_in_bfloat16(solver), **settings)
    gap = sparse_coding.duality_gap(x, dictionary, got.codes, l1_penalty=0.2)
    np.testing.assert_allclose(got.gap, gap, atol=1e-7)
    assert bool(jnp.all(got.converged))
    assert float(jnp.max(gap)) <= tolerance
    assert int(got.num_steps[0]) == 0


@pytest.mark.parametrize("n_factors", [30, 64])  # By Gram matrix, and by residual.
def test_coarse_steps_alone_would_not_get_there(n_factors):
    x, dictionary = problems.sums_of_factors(n_factors=n_factors)

    def solve(precision=None, **settings):
        return sparse_coding.encode(
            x,
            dictionary,
            l1_penalty=0.05,
            solver=sparse_coding.Spectral(precision=precision),
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


def test_the_published_recursions_run_as_published():
    first = {name: _value(name).first_precision("tpu") for name in config.SOLVER_VALUES}
    assert first == {
        "ista": "float32",
        "fista": "float32",
        "fista_restart": "bfloat16",
        "spectral": "bfloat16",
        "working_set": "float32",
    }


def test_unknown_arithmetic_is_refused():
    with pytest.raises(errors.InputError, match="float16"):
        sparse_coding.Spectral(precision="float16")

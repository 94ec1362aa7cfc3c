"""Coarse steps are coarse, and what comes out is certified in float32 all the same."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest

from tfvis_jax import config, errors, sparse_coding
from tfvis_jax.sparse_coding import layout, precision, problem, registry

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


@pytest.mark.parametrize("n_factors", [30, 64])  # By Gram matrix, and by dictionary.
def test_coarse_beginnings_end_where_float32_does(n_factors):
    x, dictionary = problems.sums_of_factors(n_factors=n_factors)

    def solve(precision=None, **settings):
        return sparse_coding.encode(
            x,
            dictionary,
            l1_penalty=0.05,
            solver=sparse_coding.Spectral(precision=precision),
            tolerance=1e-6,
            # One row takes 400 in any arithmetic.
            **{"max_steps": 2000, **settings},
        )

    program = str(jax.make_jaxpr(lambda: solve(precision="bfloat16"))())
    assert "bf16" in program
    assert "bf16" not in str(jax.make_jaxpr(lambda: solve(precision="float32"))())
    coarse, exact = solve(precision="bfloat16"), solve()
    assert bool(jnp.all(coarse.converged)) and bool(jnp.all(exact.converged))
    short = solve(precision="bfloat16", max_steps=7)
    assert int(jnp.max(short.num_steps)) == 7


def _worst_gap(problem, init, step, refresh):
    """Returns the worst gap after 600 coarse steps with a look at every tenth."""
    exact = dataclasses.replace(problem, precision="float32")

    @jax.jit
    def block(state):
        state = jax.lax.fori_loop(0, 10, lambda _, state: step(state, problem), state)
        residual = exact.residual(state.codes)
        gap, correlation = exact.certify(state.codes, residual)
        return refresh(state, residual, correlation), gap

    state = block(init(problem, codes0=None))[0]
    for _ in range(59):
        state, gap = block(state)
    return float(jnp.max(gap))


@pytest.mark.parametrize("n_factors", [30, 64])  # By Gram matrix, and by dictionary.
def test_coarse_steps_refine(n_factors):
    x, dictionary = problems.sums_of_factors(n_factors=n_factors)
    lasso = problem.lasso(x, dictionary, l1_penalty=0.05, precision="bfloat16")
    solver = sparse_coding.Spectral()
    init, step, refresh, _, refines = solver.recursion(lasso)
    assert refines
    assert _worst_gap(lasso, init, step, refresh) <= precision.REFINED_REACH
    # With correlations of the residual, which is rounded at each step, they do not.
    at_rest = _worst_gap(
        lasso,
        solver.init,
        solver.step,
        lambda state, residual, _: state._replace(residual=residual),
    )
    assert at_rest > 3 * precision.REFINED_REACH


def test_what_a_tpu_would_pay_for_in_memory_it_does_not_do(monkeypatch):
    x, dictionary = problems.sums_of_factors()
    lasso = problem.lasso(x, dictionary, l1_penalty=0.05, precision="bfloat16")
    assert sparse_coding.Spectral().recursion(lasso).refines
    monkeypatch.setattr(layout, "platform", lambda array: "tpu")
    assert not sparse_coding.Spectral().recursion(lasso).refines


@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
@pytest.mark.parametrize("max_steps", [4, 10, 27])
def test_a_budget_is_spent_to_the_last_step(arithmetic, max_steps):
    x, dictionary = problems.sums_of_factors()
    solver = sparse_coding.Spectral(precision=arithmetic)
    got = sparse_coding.encode(
        *(x, dictionary),
        l1_penalty=0.05,
        solver=solver,
        tolerance=0,
        max_steps=max_steps,
    )
    assert int(jnp.min(got.num_steps)) == int(jnp.max(got.num_steps)) == max_steps
    lasso = problem.lasso(x, dictionary, l1_penalty=0.05)
    if arithmetic == "float32":
        init, step, _, _, _ = solver.recursion(lasso)
        state = init(lasso, codes0=None)
        for _ in range(max_steps):
            state = step(state, lasso)
        np.testing.assert_allclose(got.codes, state.codes, atol=1e-4)


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

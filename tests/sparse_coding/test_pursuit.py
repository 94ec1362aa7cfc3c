"""Greedy solvers by the entry."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest

from tfvis_jax import config, errors
from tfvis_jax.sparse_coding import encoding as encode
from tfvis_jax.sparse_coding import objective
from tfvis_jax.sparse_coding import refitting as refit

_NAMES = tuple(encode.GREEDY_SOLVERS)


def _problem(batch=16, d_model=24, n_factors=64, seed=0):
    return problems.sums_of_factors(batch, d_model, n_factors, seed=seed)


@pytest.mark.parametrize("name", _NAMES)
def test_codes_come_with_the_gap_of_the_penalised_problem(name):
    x, dictionary = _problem()
    got = encode.encode(x, dictionary, l1_penalty=0.2, solver=name, k=5)
    codes = encode.GREEDY_SOLVERS[name](x, dictionary, k=5)
    np.testing.assert_allclose(got.codes, codes, atol=1e-6)
    assert np.all(np.sum(got.codes != 0, axis=1) <= 5)
    gap = objective.duality_gap(x, dictionary, codes, l1_penalty=0.2)
    np.testing.assert_allclose(got.gap, gap, rtol=1e-5, atol=1e-6)
    # They minimise something else, and are not said to have converged.
    assert float(jnp.min(got.gap)) > 1e-4
    assert not np.any(got.converged)
    np.testing.assert_array_equal(got.num_steps, 5)


def test_debias_refits_what_was_picked():
    x, dictionary = _problem()
    settings = {"l1_penalty": 0.2, "k": 5}
    picked = encode.encode(x, dictionary, solver="top_k", **settings).codes
    got = encode.encode(x, dictionary, solver="top_k", debias=True, **settings).codes
    expected = refit.refit(x, dictionary, picked)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert np.max(np.abs(got - picked)) > 0.1


@pytest.mark.parametrize("name", _NAMES)
def test_rows_split_over_devices_give_the_same_and_no_traffic(name):
    x, dictionary = _problem()

    def solve(x, dictionary):
        return encode.encode(x, dictionary, l1_penalty=0.2, solver=name, k=5)

    expected = solve(x, dictionary)
    with jax.set_mesh(jax.make_mesh((8,), ("rows",))):
        x, dictionary = jax.device_put(x, jax.P("rows")), jnp.asarray(dictionary)
        compiled = jax.jit(solve).lower(x, dictionary).compile()
        got = compiled(x, dictionary)
        with pytest.raises(errors.InputError, match="whole factors"):
            solve(x, jax.device_put(dictionary, jax.P("rows")))
    np.testing.assert_allclose(got.codes, expected.codes, atol=1e-5)
    np.testing.assert_allclose(got.gap, expected.gap, rtol=1e-4)
    assert not re.search("all-(reduce|gather|to-all)", compiled.as_text())


@pytest.mark.parametrize("name", _NAMES)
def test_k_is_needed(name):
    x, dictionary = _problem()
    with pytest.raises(errors.InputError, match=f"Expected `k`.*{name}"):
        encode.encode(x, dictionary, l1_penalty=0.2, solver=name)


@pytest.mark.parametrize("name", _NAMES)
def test_a_dictionary_is_not_learned_with_greedy_codes(name):
    with pytest.raises(errors.InputError, match=name):
        config.SolverConfig(solver=name)

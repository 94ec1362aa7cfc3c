"""Eager calls are compiled once, and mean the same as inside a caller's program."""

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest

from tfvis_jax import sparse_coding

_L1_PENALTY = 0.2


@pytest.fixture
def compilations():
    """Counts the programs that are compiled while it is asked for."""
    seen = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            seen.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


def _codes(x, dictionary):
    return jnp.maximum(x @ dictionary.T - 0.5, 0)


_CALLS = {
    "encode": lambda x, d: sparse_coding.encode(x, d, l1_penalty=_L1_PENALTY),
    "working_set": lambda x, d: sparse_coding.encode(
        x, d, l1_penalty=_L1_PENALTY, solver=sparse_coding.WorkingSet(sizes=(32,))
    ),
    "refit": lambda x, d: sparse_coding.refit(x, d, _codes(x, d)),
    "pursue": lambda x, d: sparse_coding.pursue(x, d, k=4),
    "top_k": lambda x, d: sparse_coding.pursue(x, d, k=4, method="top_k"),
    "for_l0": lambda x, d: sparse_coding.for_l0(x, d, target_l0=6),
    "decode": lambda x, d: sparse_coding.decode(_codes(x, d), d),
    "duality_gap": lambda x, d: sparse_coding.duality_gap(
        x, d, _codes(x, d), l1_penalty=_L1_PENALTY
    ),
    "lasso_objective": lambda x, d: sparse_coding.lasso_objective(
        x, d, _codes(x, d), l1_penalty=_L1_PENALTY
    ),
    "kkt_residual": lambda x, d: sparse_coding.kkt_residual(
        x, d, _codes(x, d), l1_penalty=_L1_PENALTY
    ),
    "row_sums": lambda x, d: sparse_coding.row_sums(
        x, _codes(x, d), x, valid=np.ones(len(x), bool)
    ),
    "max_cosine": lambda x, d: sparse_coding.max_cosine(d),
    "power_iteration": lambda x, d: sparse_coding.power_iteration(d),
    "initialise_spread": lambda x, d: sparse_coding.initialise_spread(
        x, n_factors=8, key=jax.random.key(0)
    ),
}


@pytest.mark.parametrize("name", _CALLS)
def test_a_second_call_compiles_nothing(name, compilations):
    x, dictionary = problems.sums_of_factors()
    _CALLS[name](x, dictionary)
    compilations.clear()
    others, _ = problems.sums_of_factors(seed=1)
    _CALLS[name](others, dictionary)
    assert not compilations


def test_new_numbers_of_every_kind_compile_nothing(compilations):
    x, dictionary = problems.sums_of_factors()
    codes0 = _codes(x, dictionary)

    def solve(x, l1_penalty, tolerance, l2_penalty, lipschitz):
        numbers = {"l1_penalty": l1_penalty, "l2_penalty": l2_penalty}
        sparse_coding.encode(
            x, dictionary, tolerance=tolerance, lipschitz=lipschitz, **numbers
        )
        sparse_coding.duality_gap(x, dictionary, codes0, **numbers)
        sparse_coding.lasso_objective(x, dictionary, codes0, **numbers)

    solve(x, 0.2, 1e-4, 0.1, 30.0)
    compilations.clear()
    solve(x, 1, 1e-3, 2, 40)
    solve(x, np.float64(0.3), np.float32(1e-3), np.array(0.2), np.int32(40))
    solve(jnp.asarray(x), *(jnp.float32(n) for n in (0.4, 1e-2, 0.3, 50)))
    solve(x.astype(np.float64), 0.2, 1e-4, 0.1, 30.0)
    assert not compilations


def test_a_solver_of_the_same_settings_is_the_same(compilations):
    x, dictionary = problems.sums_of_factors()
    settings = {"l1_penalty": _L1_PENALTY}
    sparse_coding.encode(x, dictionary, solver="spectral", **settings)
    compilations.clear()
    sparse_coding.encode(x, dictionary, solver=sparse_coding.Spectral(), **settings)
    sparse_coding.encode(x, dictionary, solver="auto", **settings)
    assert not compilations


@pytest.mark.parametrize("name", sorted(set(_CALLS) - {"for_l0", "max_cosine"}))
def test_inside_a_program_a_call_means_the_same(name):
    x, dictionary = problems.sums_of_factors()
    expected = _CALLS[name](x, dictionary)
    got = jax.jit(_CALLS[name])(x, dictionary)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        # Two compilations round differently: a row that is a rounding away from its
        # tolerance takes some steps more, and codes are known to the root of it.
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_a_call_leaves_no_trace_in_the_callers_program():
    x, dictionary = problems.sums_of_factors()

    def solve(x, dictionary):
        found = sparse_coding.encode(x, dictionary, l1_penalty=_L1_PENALTY)
        return sparse_coding.refit(x, dictionary, found.codes)

    program = str(jax.make_jaxpr(solve)(x, dictionary))
    assert "name=_encode" not in program
    assert "name=_refit" not in program

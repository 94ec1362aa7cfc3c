"""The fixed-step solvers against the published recursion and an outside solver."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from sklearn import decomposition

from tfvis_jax.sparse_coding import fista, ista, objective, spectral


def _restart(x, dictionary, **settings):
    return fista.fista(x, dictionary, restart=True, **settings)


_SOLVERS = {
    "ista": (ista.ista, 4000),
    "fista": (fista.fista, 1500),
    "fista_restart": (_restart, 600),
    "spectral": (spectral.spectral, 300),
}


def _problem(batch=6, d_model=24, n_factors=60, seed=0):
    rng = np.random.default_rng(seed)
    dictionary = rng.normal(size=(n_factors, d_model))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    # Sums of a few factors and noise, as hidden states are.
    truth = rng.exponential(size=(batch, n_factors)) * (
        rng.random((batch, n_factors)) < 6 / n_factors
    )
    x = truth @ dictionary + 0.1 * rng.normal(size=(batch, d_model))
    return np.float32(x), np.float32(dictionary)


@pytest.mark.parametrize("name", ["ista", "fista"])
def test_recursion_is_the_published_one_step_for_step(name):
    x, dictionary = _problem()
    basis = np.float64(dictionary).T
    solve, _ = _SOLVERS[name]
    largest = reference.largest_eigenvalue(basis)
    # Every program compiles anew, so not all fifty prefixes are looked at.
    for num_steps in (1, 2, 3, 10, 50):
        expected, _ = getattr(reference, name)(np.float64(x).T, basis, 0.3, num_steps)
        got = solve(
            x, dictionary, l1_penalty=0.3, num_steps=num_steps, lipschitz=largest
        )
        # Fifty float32 steps on codes of about 1 gather some 1e-5 of rounding.
        np.testing.assert_allclose(got, expected.T, atol=2e-5)


@pytest.mark.parametrize("name", _SOLVERS)
@pytest.mark.parametrize("non_negative", [True, False])
def test_solver_agrees_with_coordinate_descent(name, non_negative):
    x, dictionary = _problem()
    expected = decomposition.sparse_encode(
        np.float64(x),
        np.float64(dictionary),
        algorithm="lasso_cd",
        alpha=0.3,
        positive=non_negative,
        max_iter=100_000,
    )
    solve, num_steps = _SOLVERS[name]
    got = solve(
        x, dictionary, l1_penalty=0.3, num_steps=num_steps, non_negative=non_negative
    )
    # The oracle stops at a duality gap of 1e-4 of ‖x‖², which leaves codes to 1e-2
    # where the problem is flat; the objective is what both minimise.
    residual = x - expected @ dictionary
    optimum = 0.5 * (residual**2).sum(1) + 0.3 * np.abs(expected).sum(1)
    reached = objective.lasso_objective(x, dictionary, got, l1_penalty=0.3)
    np.testing.assert_array_less(reached, optimum * (1 + 1e-6) + 1e-6)
    np.testing.assert_allclose(got, expected, atol=2e-2)


@pytest.mark.parametrize("name", _SOLVERS)
@pytest.mark.parametrize("non_negative", [True, False])
def test_solver_reaches_the_certificate_and_the_optimality_conditions(
    name, non_negative
):
    x, dictionary = _problem()
    settings = {"l1_penalty": 0.3, "non_negative": non_negative}
    solve, num_steps = _SOLVERS[name]
    codes = solve(x, dictionary, num_steps=num_steps, **settings)
    gap = objective.duality_gap(x, dictionary, codes, **settings)
    assert float(jnp.min(gap)) >= -1e-7
    assert float(jnp.max(gap)) < 1e-5
    kkt = objective.kkt_residual(x, dictionary, codes, **settings)
    assert float(jnp.max(kkt)) < 1e-3  # The gap goes as its square.
    if non_negative:
        assert float(jnp.min(codes)) >= 0


def test_objective_of_ista_never_rises():
    x, dictionary = _problem(n_factors=200)
    values, codes = [0.5 * (x**2).sum(1)], None
    for _ in range(100):
        codes = _one_ista_step(x, dictionary, codes)
        values.append(objective.lasso_objective(x, dictionary, codes, l1_penalty=0.1))
    rise = np.diff(np.stack(values), axis=0) / values[0]
    assert rise.max() < 1e-6  # One float32 rounding of a sum of 200.


@jax.jit
def _one_ista_step(x, dictionary, codes):
    return ista.ista(x, dictionary, l1_penalty=0.1, num_steps=1, codes0=codes)


def test_spectral_objective_stays_below_its_recent_maximum():
    x, dictionary = _problem(n_factors=200)
    step = jax.jit(lambda state: spectral.step(state, dictionary, l1_penalty=0.1))
    state = spectral.init(x, dictionary, lipschitz=1.0)
    values = [0.5 * (x**2).sum(1)]
    for _ in range(100):
        state = step(state)
        values.append(
            objective.lasso_objective(x, dictionary, state.codes, l1_penalty=0.1)
        )
    values = np.stack(values)
    for i in range(1, len(values)):
        highest = values[max(i - 5, 0) : i].max(0)
        assert np.all(values[i] <= highest + 1e-6 * values[0])
    assert np.any(np.diff(values, axis=0) > 1e-4)  # It does go up now and then.


@pytest.mark.parametrize("correlated", [0.0, 5.0])
@pytest.mark.parametrize("num_steps", [5, 20, 80])
def test_spectral_is_within_the_bound_of_ista_on_every_row(correlated, num_steps):
    rng = np.random.default_rng(1)
    _, dictionary = _problem(n_factors=120)
    # Factors that share a direction make the problem badly conditioned.
    dictionary = dictionary + correlated * dictionary[:1]
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    x = rng.normal(size=(64, 24)).astype(np.float32)
    largest = reference.largest_eigenvalue(np.float64(dictionary).T)
    settings = {"l1_penalty": 0.05, "lipschitz": 1.05 * largest}
    best = fista.fista(x, dictionary, num_steps=6000, restart=True, **settings)
    codes = spectral.spectral(x, dictionary, num_steps=num_steps, **settings)
    excess = objective.lasso_objective(
        x, dictionary, codes, l1_penalty=0.05
    ) - objective.lasso_objective(x, dictionary, best, l1_penalty=0.05)
    bound = largest * np.sum(np.square(best), axis=1) / (2 * num_steps)
    assert np.all(excess <= bound + 1e-5)  # The objective's float32 rounding.


@pytest.mark.parametrize("name", _SOLVERS)
def test_rows_do_not_see_each_other(name):
    x, dictionary = _problem(batch=9)
    order = np.random.default_rng(2).permutation(9)
    solve, _ = _SOLVERS[name]
    codes = solve(x, dictionary, l1_penalty=0.2, num_steps=30)
    permuted = solve(x[order], dictionary, l1_penalty=0.2, num_steps=30)
    np.testing.assert_allclose(permuted, codes[order], atol=1e-6)


@pytest.mark.parametrize("name", _SOLVERS)
def test_scaling_rows_and_penalty_scales_codes(name):
    x, dictionary = _problem()
    solve, _ = _SOLVERS[name]
    codes = solve(x, dictionary, l1_penalty=0.2, num_steps=30)
    scaled = solve(8 * x, dictionary, l1_penalty=1.6, num_steps=30)
    np.testing.assert_array_equal(scaled, 8 * codes)  # A power of two is exact.


@pytest.mark.parametrize("name", _SOLVERS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 1), (1, 3, 7), (5, 1, 13)])
def test_odd_sizes_and_zero_rows(name, shape):
    batch, d_model, n_factors = shape
    x, dictionary = _problem(batch=batch, d_model=d_model, n_factors=n_factors)
    x[0] = 0
    solve, num_steps = _SOLVERS[name]
    codes = solve(x, dictionary, l1_penalty=0.1, num_steps=num_steps)
    np.testing.assert_array_equal(codes[0], 0)
    gap = objective.duality_gap(x, dictionary, codes, l1_penalty=0.1)
    assert float(jnp.max(gap)) < 1e-5


@pytest.mark.parametrize("name", _SOLVERS)
def test_warm_start_from_the_answer_stays_there(name):
    x, dictionary = _problem()
    best = spectral.spectral(x, dictionary, l1_penalty=0.2, num_steps=400)
    solve, _ = _SOLVERS[name]
    codes = solve(x, dictionary, l1_penalty=0.2, num_steps=3, codes0=best)
    np.testing.assert_allclose(codes, best, atol=1e-5)


@pytest.mark.parametrize("name", _SOLVERS)
def test_solver_compiles_once_for_all_penalties(name):
    x, dictionary = _problem()
    solve, _ = _SOLVERS[name]
    compiled = jax.jit(
        lambda x, dictionary, l1_penalty: solve(
            x, dictionary, l1_penalty=l1_penalty, num_steps=3
        )
    )
    for l1_penalty in (0.1, 0.2, 0.3):
        compiled(x, dictionary, l1_penalty)
    assert compiled._cache_size() == 1

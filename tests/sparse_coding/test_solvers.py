"""The fixed-step solvers against the published recursion and an outside solver."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest
import reference
from sklearn import decomposition

from tfvis_jax import sparse_coding
from tfvis_jax.sparse_coding import problem

_SOLVERS = {
    "ista": (sparse_coding.Ista(), 4000),
    "fista": (sparse_coding.Fista(), 1500),
    "fista_restart": (sparse_coding.Fista(restart=True), 600),
    "spectral": (sparse_coding.Spectral(), 300),
}


def _solve(name, x, dictionary, *, num_steps=None, codes0=None, **settings):
    solver, enough = _SOLVERS[name]
    num_steps = enough if num_steps is None else num_steps
    fixed = {key: settings.pop(key) for key in ("non_negative",) if key in settings}
    return _iterate(
        x, dictionary, codes0, settings, jnp.int32(num_steps), solver=solver, **fixed
    )


# The number of steps is traced, so that one program serves all.
@functools.partial(jax.jit, static_argnames=("solver", "non_negative"))
def _iterate(x, dictionary, codes0, settings, num_steps, *, solver, non_negative=True):
    lasso = problem.lasso(x, dictionary, non_negative=non_negative, **settings)
    return solver.iterate(lasso, num_steps=num_steps, codes0=codes0)


_problem = functools.partial(problems.sums_of_factors, batch=6, n_factors=60)


@pytest.mark.parametrize("name", ["ista", "fista"])
def test_recursion_is_the_published_one_step_for_step(name):
    x, dictionary = _problem()
    basis = np.float64(dictionary).T
    largest = reference.largest_eigenvalue(basis)
    for num_steps in range(1, 51):
        expected, _ = getattr(reference, name)(np.float64(x).T, basis, 0.3, num_steps)
        got = _solve(
            name, x, dictionary, l1_penalty=0.3, num_steps=num_steps, lipschitz=largest
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
    got = _solve(name, x, dictionary, l1_penalty=0.3, non_negative=non_negative)
    # The oracle stops at a duality gap of 1e-4 of ‖x‖², which leaves codes to 1e-2
    # where the problem is flat; the objective is what both minimise.
    residual = x - expected @ dictionary
    optimum = 0.5 * (residual**2).sum(1) + 0.3 * np.abs(expected).sum(1)
    reached = sparse_coding.lasso_objective(x, dictionary, got, l1_penalty=0.3)
    np.testing.assert_array_less(reached, optimum * (1 + 1e-6) + 1e-6)
    np.testing.assert_allclose(got, expected, atol=2e-2)


@pytest.mark.parametrize("name", _SOLVERS)
@pytest.mark.parametrize("non_negative", [True, False])
def test_solver_reaches_the_certificate_and_the_optimality_conditions(
    name, non_negative
):
    x, dictionary = _problem()
    settings = {"l1_penalty": 0.3, "non_negative": non_negative}
    codes = _solve(name, x, dictionary, **settings)
    gap = sparse_coding.duality_gap(x, dictionary, codes, **settings)
    assert float(jnp.min(gap)) >= -1e-7
    assert float(jnp.max(gap)) < 1e-5
    kkt = sparse_coding.kkt_residual(x, dictionary, codes, **settings)
    assert float(jnp.max(kkt)) < 1e-3  # The gap goes as its square.
    if non_negative:
        assert float(jnp.min(codes)) >= 0


def test_objective_of_ista_never_rises():
    x, dictionary = _problem(n_factors=200)
    values, codes = [0.5 * (x**2).sum(1)], None
    for _ in range(100):
        codes = _one_ista_step(x, dictionary, codes)
        values.append(
            sparse_coding.lasso_objective(x, dictionary, codes, l1_penalty=0.1)
        )
    rise = np.diff(np.stack(values), axis=0) / values[0]
    assert rise.max() < 1e-6  # One float32 rounding of a sum of 200.


@jax.jit
def _one_ista_step(x, dictionary, codes):
    return _solve("ista", x, dictionary, l1_penalty=0.1, num_steps=1, codes0=codes)


@pytest.mark.parametrize(
    ("warm", "non_negative", "shared"),
    [(False, True, 0.0), (False, True, 5.0), (False, False, 5.0), (True, True, 5.0)],
)
def test_spectral_keeps_its_promise_after_every_step(warm, non_negative, shared):
    rng = np.random.default_rng(1)
    _, dictionary = _problem(n_factors=120)
    # Factors that share a direction make the problem badly conditioned.
    dictionary = dictionary + shared * dictionary[:1]
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    x = rng.normal(size=(64, 24)).astype(np.float32)
    largest = reference.largest_eigenvalue(np.float64(dictionary).T)
    settings = {"l1_penalty": 0.05, "non_negative": non_negative}
    best = _solve("fista_restart", x, dictionary, num_steps=6000, **settings)
    codes0 = np.abs(rng.normal(size=best.shape)).astype(np.float32) if warm else None

    def value(codes):
        return sparse_coding.lasso_objective(x, dictionary, codes, l1_penalty=0.05)

    solver = sparse_coding.Spectral()

    @jax.jit
    def run(x):
        lasso = problem.lasso(x, dictionary, lipschitz=largest, **settings)
        return jax.lax.scan(
            lambda state, _: (solver.step(state, lasso),) * 2,
            solver.init(lasso, codes0=codes0),
            length=80,
        )[1]

    states = run(x)
    start = np.zeros_like(best) if codes0 is None else codes0
    distance = np.sum((start - best) ** 2, axis=1)
    first = value(start) - value(best)
    values = jax.vmap(value)(states.codes)
    for k, reached in enumerate(values, start=1):
        bound = largest * distance / (2 * k)
        if warm:
            bound = np.maximum(bound, first)
        # The objective's float32 rounding.
        assert np.all(reached - value(best) <= bound + 1e-6 * value(start) + 1e-5)
        time = states.pace.time[k - 1] * largest
        assert np.all(time >= (k + 16 * warm) * (1 - 1e-5))
    # A zero sum of terms as large as the distance, in float32.
    assert np.all(np.min(states.pace.slack, axis=0)[:, 0] >= -1e-5 * distance)


@pytest.mark.parametrize("name", _SOLVERS)
def test_rows_do_not_see_each_other(name):
    x, dictionary = _problem(batch=9)
    order = np.random.default_rng(2).permutation(9)
    codes = _solve(name, x, dictionary, l1_penalty=0.2, num_steps=30)
    permuted = _solve(name, x[order], dictionary, l1_penalty=0.2, num_steps=30)
    np.testing.assert_allclose(permuted, codes[order], atol=1e-6)


@pytest.mark.parametrize("name", _SOLVERS)
def test_scaling_rows_and_penalty_scales_codes(name):
    x, dictionary = _problem()
    codes = _solve(name, x, dictionary, l1_penalty=0.2, num_steps=30)
    scaled = _solve(name, 8 * x, dictionary, l1_penalty=1.6, num_steps=30)
    np.testing.assert_array_equal(scaled, 8 * codes)  # A power of two is exact.


@pytest.mark.parametrize("name", _SOLVERS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 1), (1, 3, 7), (5, 1, 13)])
def test_odd_sizes_and_zero_rows(name, shape):
    batch, d_model, n_factors = shape
    x, dictionary = _problem(batch=batch, d_model=d_model, n_factors=n_factors)
    x[0] = 0
    codes = _solve(name, x, dictionary, l1_penalty=0.1)
    np.testing.assert_array_equal(codes[0], 0)
    gap = sparse_coding.duality_gap(x, dictionary, codes, l1_penalty=0.1)
    assert float(jnp.max(gap)) < 1e-5


@pytest.mark.parametrize("name", _SOLVERS)
def test_warm_start_from_the_answer_stays_there(name):
    x, dictionary = _problem()
    best = _solve("spectral", x, dictionary, l1_penalty=0.2, num_steps=400)
    codes = _solve(name, x, dictionary, l1_penalty=0.2, num_steps=3, codes0=best)
    np.testing.assert_allclose(codes, best, atol=1e-5)


@pytest.mark.parametrize("name", _SOLVERS)
def test_solver_compiles_once_for_all_penalties(name):
    x, dictionary = _problem()
    before = _iterate._cache_size()
    for l1_penalty in (0.1, 0.2, 0.3):
        _solve(name, x, dictionary, l1_penalty=l1_penalty, num_steps=3)
    assert _iterate._cache_size() <= before + 1

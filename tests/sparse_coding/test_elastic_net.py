"""μ > 0 against the definition: the lasso for rows [x, 0] and factors [D, √μ I]."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest
from sklearn import linear_model

from tfvis_jax import config, errors, sparse_coding
from tfvis_jax.sparse_coding import problem

_SOLVERS = [name for name in config.SOLVERS if name != "auto"]
_MU = 0.3

_problem = functools.partial(problems.sums_of_factors, batch=12, n_factors=80)


def _augmented(x, dictionary, l2_penalty=_MU):
    n_factors = len(dictionary)
    x = np.concatenate([x, np.zeros((len(x), n_factors))], axis=1)
    ridge = np.sqrt(l2_penalty) * np.eye(n_factors)
    return np.float64(x), np.concatenate([np.float64(dictionary), ridge], axis=1)


def _optimum(x, dictionary, *, l1_penalty, l2_penalty, non_negative):
    x, dictionary = _augmented(x, dictionary, l2_penalty)
    lasso = linear_model.Lasso(
        alpha=l1_penalty / x.shape[1],
        fit_intercept=False,
        positive=non_negative,
        tol=1e-12,
        max_iter=1_000_000,
    )
    codes = np.stack([lasso.fit(dictionary.T, row).coef_ for row in x])
    misfit = 0.5 * np.sum((x - codes @ dictionary) ** 2, axis=1)
    return codes, misfit + l1_penalty * np.sum(np.abs(codes), axis=1)


@pytest.mark.parametrize("non_negative", [True, False])
@pytest.mark.parametrize("solver", _SOLVERS)
def test_objective_is_that_of_coordinate_descent(solver, non_negative):
    x, dictionary = _problem()
    settings = {"l1_penalty": 0.2, "l2_penalty": _MU}
    expected, optimum = _optimum(x, dictionary, **settings, non_negative=non_negative)
    got = sparse_coding.encode(
        x,
        dictionary,
        solver=solver,
        tolerance=1e-6,
        max_steps=5000,
        non_negative=non_negative,
        **settings,
    )
    assert bool(jnp.all(got.converged))
    energy = 0.5 * np.sum(np.square(x), axis=1)
    reached = sparse_coding.lasso_objective(x, dictionary, got.codes, **settings)
    # What the certificate promises, and float32 rounding of the objective.
    np.testing.assert_array_less(np.abs(reached - optimum), 1.5e-6 * energy)
    # μ makes the problem strongly convex: codes are known to the root of 2·gap/μ.
    np.testing.assert_allclose(got.codes, expected, atol=1e-2)
    kkt = sparse_coding.kkt_residual(
        x, dictionary, got.codes, non_negative=non_negative, **settings
    )
    assert float(jnp.max(kkt)) < 1e-2  # The gap goes as its square.


@pytest.mark.parametrize("non_negative", [True, False])
def test_gap_and_objective_are_those_of_the_augmented_lasso(non_negative):
    x, dictionary = _problem()
    codes = np.random.default_rng(1).normal(size=(12, 80)) * 0.2
    codes = np.float32(np.maximum(codes, 0) if non_negative else codes)
    wide = _augmented(x, dictionary)
    correlation = (wide[0] - codes @ wide[1]) @ wide[1].T
    largest = (correlation if non_negative else np.abs(correlation)).max(1)
    theta = (wide[0] - codes @ wide[1]) * np.minimum(1, 0.2 / largest)[:, None]
    energy = 0.5 * (wide[0] ** 2).sum(1)
    dual = energy - 0.5 * ((wide[0] - theta) ** 2).sum(1)
    primal = 0.5 * ((wide[0] - codes @ wide[1]) ** 2).sum(1)
    primal = primal + 0.2 * np.abs(codes).sum(1)
    settings = {"l1_penalty": 0.2, "l2_penalty": _MU}
    got = sparse_coding.lasso_objective(x, dictionary, codes, **settings)
    np.testing.assert_allclose(got, primal, rtol=1e-5)
    gap = sparse_coding.duality_gap(
        x, dictionary, codes, non_negative=non_negative, **settings
    )
    np.testing.assert_allclose(gap, (primal - dual) / energy, rtol=1e-5)


def test_gathered_factors_carry_the_ridge():
    # A small batch against many factors does not form the whole Gram matrix.
    x, dictionary = _problem(batch=4, n_factors=130)
    settings = {"l1_penalty": 0.1, "l2_penalty": 2.0, "solver": "working_set"}
    got = sparse_coding.encode(x, dictionary, tolerance=1e-6, **settings)
    assert bool(jnp.all(got.converged))
    assert int(jnp.max(got.num_steps)) < 10  # Dense steps would be taken in sixteens.


@pytest.mark.parametrize("solver", ["fista", "spectral", "working_set"])
def test_plain_zero_leaves_no_trace_and_traced_zero_changes_nothing(solver):
    x, dictionary = _problem()

    def solve(x, dictionary, **settings):
        return sparse_coding.encode(
            x, dictionary, l1_penalty=0.2, solver=solver, **settings
        )

    without = jax.jit(solve).lower(x, dictionary).as_text()
    plain = jax.jit(lambda x, d: solve(x, d, l2_penalty=0.0)).lower(x, dictionary)
    assert plain.as_text().split("\n", 1)[1] == without.split("\n", 1)[1]
    traced = jax.jit(lambda x, d, mu: solve(x, d, l2_penalty=mu))
    np.testing.assert_allclose(
        traced(x, dictionary, 0.0).codes, jax.jit(solve)(x, dictionary).codes, atol=1e-5
    )


def test_curvature_bound_includes_the_ridge():
    x, dictionary = _problem()
    lasso = problem.lasso(x, dictionary, l1_penalty=0.2, l2_penalty=_MU, lipschitz=5.0)
    np.testing.assert_allclose(lasso.lipschitz, 5.0 + _MU)
    np.testing.assert_allclose(jnp.diagonal(lasso.gram()), 1 + _MU, rtol=1e-5)


@pytest.mark.parametrize("l2_penalty", [-0.1, float("nan"), np.full(12, 0.1)])
def test_mistakes_are_refused(l2_penalty):
    x, dictionary = _problem()
    with pytest.raises(errors.InputError, match="l2_penalty"):
        sparse_coding.encode(x, dictionary, l1_penalty=0.2, l2_penalty=l2_penalty)

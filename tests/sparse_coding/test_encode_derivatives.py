"""Derivatives through the entry, against differences of scikit-learn's answers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest
from sklearn import linear_model

from tfvis_jax import sparse_coding
from tfvis_jax.sparse_coding import implicit

_L1_PENALTY = 0.1


_problem = functools.partial(
    problems.sums_of_factors,
    batch=4,
    d_model=14,
    n_factors=24,
    n_active=4,
    dtype=np.float64,
)


def _by_scikit_learn(x, dictionary, l1_penalty, *, non_negative):
    model = linear_model.Lasso(
        alpha=float(l1_penalty) / x.shape[1],
        positive=non_negative,
        fit_intercept=False,
        tol=1e-16,
        max_iter=100_000,
    )
    return np.stack([model.fit(dictionary.T, row).coef_.copy() for row in x])


def _on_fixed_support(x, dictionary, _, *, support):
    codes = np.zeros(support.shape)
    for row, used in enumerate(support):
        codes[row, used] = np.linalg.lstsq(dictionary[used].T, x[row], rcond=None)[0]
    return codes


def _float32(values):
    return tuple(jnp.asarray(value, jnp.float32) for value in values)


def _assert_derivatives(function, expected_function, values):
    """Compares both modes with central differences of a float64 function."""
    rng = np.random.default_rng(1)
    directions = [np.asarray(rng.normal(size=np.shape(value))) for value in values]
    codes, pull = jax.vjp(function, *_float32(values))
    cotangent = rng.normal(size=codes.shape)
    gradients = pull(jnp.asarray(cotangent, jnp.float32))
    for i, direction in enumerate(directions):
        ends = []
        for sign in (1, -1):
            moved = list(values)
            moved[i] = values[i] + sign * 1e-5 * direction
            ends.append(expected_function(*moved))
        assert np.array_equal(ends[0] != 0, ends[1] != 0)  # The support stays.
        assert np.array_equal(ends[0] != 0, codes != 0)
        expected = (ends[0] - ends[1]) / 2e-5
        tangents = [np.zeros(np.shape(value)) for value in values]
        tangents[i] = direction
        _, got = jax.jvp(function, _float32(values), _float32(tangents))
        # Codes are off by what float32 can tell of the optimum, 1e-4.
        np.testing.assert_allclose(got, expected, atol=1e-3)
        assert np.sum(gradients[i] * direction) == pytest.approx(
            np.sum(cotangent * expected), abs=3e-3
        )


@pytest.mark.parametrize(
    ("solver", "non_negative"),
    [("spectral", True), ("working_set", False), ("fista_restart", True)],
)
def test_derivatives_of_solved_codes(solver, non_negative):
    @jax.jit
    def codes(x, dictionary, l1_penalty):
        return sparse_coding.encode(
            x,
            dictionary,
            l1_penalty=l1_penalty,
            solver=solver,
            tolerance=1e-7,
            max_steps=400,
            non_negative=non_negative,
        ).codes

    expected = functools.partial(_by_scikit_learn, non_negative=non_negative)
    _assert_derivatives(codes, expected, (*_problem(), np.float64(_L1_PENALTY)))


@pytest.mark.parametrize("by_pursuit", [False, True])
def test_derivatives_of_refitted_codes(by_pursuit):
    @jax.jit
    def codes(x, dictionary, l1_penalty):
        if by_pursuit:
            found = sparse_coding.pursue(x, dictionary, k=4, method="top_k")
        else:
            found = sparse_coding.encode(
                x, dictionary, l1_penalty=l1_penalty, tolerance=1e-6
            ).codes
        return sparse_coding.refit(x, dictionary, found)

    values = (*_problem(), np.float64(_L1_PENALTY))
    support = np.asarray(codes(*_float32(values)) != 0)
    expected = functools.partial(_on_fixed_support, support=support)
    _assert_derivatives(codes, expected, values)


def test_certificate_and_steps_are_constants():
    x, dictionary = _float32(_problem())

    def loss(x, dictionary):
        got = sparse_coding.encode(x, dictionary, l1_penalty=_L1_PENALTY)
        return jnp.sum(got.gap)

    for gradient in jax.grad(loss, argnums=(0, 1))(x, dictionary):
        np.testing.assert_array_equal(gradient, 0)


def test_derivatives_cost_nothing_where_they_are_not_taken(monkeypatch):
    x, dictionary = _float32(_problem())
    settings = {"l1_penalty": _L1_PENALTY, "solver": "spectral"}

    def cost():
        solve = jax.jit(functools.partial(sparse_coding.encode, **settings))
        return solve.lower(x, dictionary).compile().cost_analysis()

    with_derivatives = cost()
    monkeypatch.setattr(implicit, "differentiable", lambda codes, *_, **__: codes)
    jax.clear_caches()
    assert with_derivatives == cost()


def _gradients(x, dictionary, l1_penalty, *, solver):
    def loss(x, dictionary, l1_penalty):
        got = sparse_coding.encode(
            x, dictionary, l1_penalty=l1_penalty, solver=solver, tolerance=1e-6
        )
        return jnp.sum(jnp.sin(got.codes))

    return jax.grad(loss, argnums=(0, 1, 2))(x, dictionary, l1_penalty)


@pytest.mark.parametrize(
    ("solver", "shape"), [("working_set", (8, 1)), ("spectral", (4, 2))]
)
def test_derivatives_are_the_same_on_a_mesh(solver, shape):
    x, dictionary = _float32(_problem(batch=16, n_factors=64))
    penalty = jnp.full(16, _L1_PENALTY)
    gradients = functools.partial(_gradients, solver=solver)
    expected = gradients(x, dictionary, penalty)
    with jax.set_mesh(jax.make_mesh(shape, ("rows", "columns"))):
        got = jax.jit(gradients)(
            jax.device_put(x, jax.P("rows")),
            jax.device_put(dictionary, jax.P("columns")),
            jax.device_put(penalty, jax.P("rows")),
        )
    for a, b in zip(got, expected, strict=True):
        # Sums in another order end elsewhere within the gap, a thousandth of a code.
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize("solver", ["omp", "top_k"])
def test_derivatives_of_greedy_codes_are_the_same_on_a_mesh(solver):
    x, dictionary = _float32(_problem(batch=16))

    def gradients(x, dictionary):
        def loss(x, dictionary):
            codes = sparse_coding.pursue(x, dictionary, k=4, method=solver)
            return jnp.sum(jnp.sin(codes))

        return jax.grad(loss, argnums=(0, 1))(x, dictionary)

    expected = gradients(x, dictionary)
    with jax.set_mesh(jax.make_mesh((8,), ("rows",))):
        got = jax.jit(gradients)(jax.device_put(x, jax.P("rows")), dictionary)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_vmap_pmap_and_shard_map_agree_with_one_device():
    x, dictionary = _float32(_problem(batch=16, n_factors=64))
    gradients = functools.partial(_gradients, solver="spectral")
    expected = gradients(x, dictionary, jnp.float32(_L1_PENALTY))

    def of_rows(x):
        return gradients(x, dictionary, jnp.float32(_L1_PENALTY))

    for mapped in (jax.vmap(of_rows), jax.pmap(of_rows)):
        got = mapped(x.reshape(8, 2, -1))
        np.testing.assert_allclose(got[0].reshape(16, -1), expected[0], atol=2e-2)
        np.testing.assert_allclose(got[1].sum(0), expected[1], rtol=1e-2, atol=2e-2)
    with jax.set_mesh(jax.make_mesh((8,), ("rows",))):
        # The dictionary is the same on all devices, so its gradients are summed.
        out_specs = (jax.P("rows"), jax.P(), jax.P())
        split = jax.jit(jax.shard_map(of_rows, out_specs=out_specs))
        got = split(jax.device_put(x, jax.P("rows")))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=2e-2)

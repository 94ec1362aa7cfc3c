"""The dictionary step against its definition and the published recursion."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tfvis_jax import sparse_coding
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import updates

RNG = np.random.default_rng(0)


def _problem(rows=7, n_factors=5, d_model=3):
    x = RNG.normal(size=(rows, d_model)).astype(np.float32)
    codes = np.maximum(RNG.normal(size=(rows, n_factors)), 0).astype(np.float32)
    dictionary = RNG.normal(size=(n_factors, d_model)).astype(np.float32)
    weights = RNG.uniform(0.5, 2, size=rows).astype(np.float32)
    return x, codes, dictionary, weights


def test_gradient_is_the_derivative_of_the_weighted_loss():
    x, codes, dictionary, weights = _problem()

    def loss(dictionary):
        residual = x - codes @ dictionary
        return 0.5 * jnp.mean(weights * jnp.sum(residual**2, axis=1))

    gradient = dictionary_lib.reconstruction_gradient(
        codes,
        x - codes @ dictionary,
        token_weights=weights,
        n_rows=jnp.float32(len(x)),
        like=dictionary,
    )
    np.testing.assert_allclose(gradient, jax.grad(loss)(dictionary), atol=1e-6)


def test_energy_is_the_diagonal_of_the_hessian():
    x, codes, dictionary, weights = _problem()

    def loss(first_coordinate):
        moved = jnp.asarray(dictionary).at[:, 0].set(first_coordinate)
        return 0.5 * jnp.mean(weights * jnp.sum((x - codes @ moved) ** 2, axis=1))

    energy = dictionary_lib.code_energy(
        codes, n_rows=jnp.float32(len(x)), token_weights=weights
    )
    hessian = jax.hessian(loss)(jnp.asarray(dictionary[:, 0]))
    np.testing.assert_allclose(energy, np.diag(hessian), atol=1e-6)


def test_padding_rows_do_not_change_the_step():
    x, codes, dictionary, weights = _problem()
    zeros = lambda a: np.concatenate([a, np.zeros((4, *a.shape[1:]), a.dtype)])  # noqa: E731

    def both(x, codes, weights):
        n_rows = jnp.float32(7)
        gradient = dictionary_lib.reconstruction_gradient(
            codes,
            x - codes @ dictionary,
            token_weights=weights,
            n_rows=n_rows,
            like=dictionary,
        )
        return gradient, dictionary_lib.code_energy(
            codes, n_rows=n_rows, token_weights=weights
        )

    for padded, plain in zip(
        both(zeros(x), zeros(codes), zeros(weights)),
        both(x, codes, weights),
        strict=True,
    ):
        np.testing.assert_allclose(padded, plain, atol=1e-6)


@pytest.mark.parametrize("bias_correction", [False, True])
def test_step_equals_the_published_recursion(bias_correction):
    """Forty steps of the authors' update, in float64 and their column convention."""
    length, floor, step_size = 300, 1e-3, 5e-3
    transformation = optax.chain(
        updates.scale_by_code_energy(length, floor, bias_correction=bias_correction),
        optax.scale(-step_size),
    )
    _, _, dictionary, _ = _problem(n_factors=4, d_model=6)
    dictionary = dictionary_lib.project_unit_norm(jnp.asarray(dictionary))
    state = transformation.init(dictionary)
    basis, hessian = np.float64(dictionary.T), np.zeros(4)
    for step in range(1, 41):
        x, codes, _, weights = _problem(rows=9, n_factors=4, d_model=6)
        n_rows = jnp.float32(len(x))
        gradient = dictionary_lib.reconstruction_gradient(
            codes,
            x - codes @ dictionary,
            token_weights=weights,
            n_rows=n_rows,
            like=dictionary,
        )
        direction, state = transformation.update(
            gradient,
            state,
            energy=dictionary_lib.code_energy(codes, n_rows=n_rows, token_weights=None),
        )
        dictionary = dictionary_lib.project_unit_norm(dictionary + direction)

        hessian = hessian * (length - 1) / length + (codes**2).mean(0) / length
        seen = 1 - ((length - 1) / length) ** step if bias_correction else 1.0
        residual = (np.float64(x).T - basis @ codes.T) * weights
        basis = basis + step_size * (residual @ codes / len(x)) / (
            hessian / seen + floor
        )
        basis = basis / np.linalg.norm(basis, axis=0)
    # 40 float32 steps, each divided by an energy that begins near zero.
    np.testing.assert_allclose(dictionary.T, basis, atol=5e-5)


def test_projection_keeps_directions_and_zero_rows():
    rows = jnp.asarray([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])
    projected = dictionary_lib.project_unit_norm(rows)
    np.testing.assert_allclose(projected, [[0.6, 0.8], [0, 0], [0, -1]], atol=1e-7)


@pytest.mark.parametrize(("rows", "n_factors"), [(50, 8), (3, 8), (1, 1), (5, 1)])
def test_initial_factors_are_unit_distinct_and_reproducible(rows, n_factors):
    x = jnp.asarray(RNG.normal(size=(rows, 4)), jnp.float32) + 5
    make = lambda: dictionary_lib.initialise_from_samples(  # noqa: E731
        x, n_factors=n_factors, key=jax.random.key(1)
    )
    first = np.asarray(make())
    assert first.shape == (n_factors, 4)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(first, make())
    assert len(np.unique(first, axis=0)) == n_factors
    mean = np.asarray(x).mean(0)
    np.testing.assert_allclose(first[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_normal_factors_are_unit():
    factors = dictionary_lib.initialise_normal(
        jax.random.key(0), n_factors=11, d_model=3
    )
    np.testing.assert_allclose(np.linalg.norm(factors, axis=1), 1, atol=1e-6)


def test_the_step_of_older_code_under_pmap_equals_that_of_all_rows():
    """Each device has its rows; gradient and energy are summed by their mapped axis."""
    rng = np.random.default_rng(0)
    factors = dictionary_lib.project_unit_norm(
        jnp.asarray(rng.normal(size=(12, 6)), jnp.float32)
    )
    x = rng.normal(size=(8, 10, 6)).astype(np.float32)
    update = updates.scale_by_code_energy(30, 1e-5, bias_correction=True)

    def step(x, total=lambda local: local):
        codes = sparse_coding.encode(x, factors, l1_penalty=0.2, tolerance=1e-6).codes
        weights, n_rows = jnp.ones((len(x),)), jnp.float32(80)
        gradient = dictionary_lib.reconstruction_gradient(
            codes,
            x - codes @ factors,
            token_weights=weights,
            n_rows=n_rows,
            like=factors,
        )
        energy = dictionary_lib.code_energy(codes, n_rows=n_rows, token_weights=weights)
        direction, _ = update.update(
            total(gradient), update.init(factors), energy=total(energy)
        )
        return dictionary_lib.project_unit_norm(factors - 0.2 * direction)

    def summed(local):
        return jax.lax.psum(local, "rows")

    expected = step(x.reshape(80, 6))
    got = jax.pmap(lambda x: step(x, summed), axis_name="rows")(x)
    for one in got:
        np.testing.assert_allclose(one, expected, atol=1e-5)

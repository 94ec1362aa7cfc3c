"""Directions of a dictionary step against their definitions."""

import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import newton, updates

RNG = np.random.default_rng(0)


def _batch(rows, n_factors, d_model):
    x = RNG.normal(size=(rows, d_model)).astype(np.float32)
    codes = np.maximum(RNG.normal(size=(rows, n_factors)), 0).astype(np.float32)
    weights = RNG.uniform(0.5, 2, size=rows).astype(np.float32)
    return x, codes, weights


def _moments(x, codes, weights):
    x, codes, weights = (np.float64(a) for a in (x, codes, weights))
    weighted = (weights / len(x))[:, None] * codes
    return codes.T @ weighted, weighted.T @ x


def _direction(transformation, state, dictionary, x, codes, weights):
    n_rows = jnp.float32(len(x))
    gradient = dictionary_lib.reconstruction_gradient(
        codes,
        x - codes @ dictionary,
        token_weights=weights,
        n_rows=n_rows,
        like=dictionary,
    )
    second_moment = dictionary_lib.second_moment(
        codes, n_rows=n_rows, token_weights=weights, like=dictionary
    )
    return transformation.update(
        gradient, state, dictionary, second_moment=second_moment
    )


@pytest.mark.parametrize(("rows", "n_factors", "d_model"), [(9, 5, 3), (1, 1, 1)])
def test_the_surrogate_sweep_equals_algorithm_two_in_float64(rows, n_factors, d_model):
    length = 4
    transformation = updates.minimise_surrogate(length)
    dictionary = dictionary_lib.project_unit_norm(
        jnp.asarray(RNG.normal(size=(n_factors, d_model)), jnp.float32)
    )
    state = transformation.init(dictionary)
    expected = np.float64(dictionary)
    past, cross = np.zeros((n_factors, n_factors)), np.zeros((n_factors, d_model))
    for _ in range(5):
        batch = _batch(rows, n_factors, d_model)
        direction, state = _direction(transformation, state, dictionary, *batch)
        dictionary = dictionary - direction
        second_moment, cross_moment = _moments(*batch)
        past = (1 - 1 / length) * past + second_moment / length
        cross = (1 - 1 / length) * cross + cross_moment / length
        for f in range(n_factors):
            if past[f, f] > 0:
                factor = expected[f] + (cross[f] - past[f] @ expected) / past[f, f]
                expected[f] = factor / np.linalg.norm(factor)
        np.testing.assert_allclose(dictionary, expected, atol=2e-5)


def test_a_sweep_never_raises_the_surrogate():
    transformation = updates.minimise_surrogate(1)
    dictionary = dictionary_lib.project_unit_norm(
        jnp.asarray(RNG.normal(size=(12, 6)), jnp.float32)
    )
    x, codes, weights = _batch(40, 12, 6)
    second_moment, cross_moment = _moments(x, codes, weights)

    def surrogate(dictionary):
        dictionary = np.float64(dictionary)
        return 0.5 * np.sum(second_moment @ dictionary * dictionary) - np.sum(
            cross_moment * dictionary
        )

    state, before = transformation.init(dictionary), surrogate(dictionary)
    for _ in range(3):
        direction, state = _direction(
            transformation, state, dictionary, x, codes, weights
        )
        dictionary = dictionary - direction
        assert surrogate(dictionary) < before
        before = surrogate(dictionary)


def test_a_factor_that_never_fired_stays():
    transformation = updates.minimise_surrogate(3)
    dictionary = dictionary_lib.project_unit_norm(
        jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32)
    )
    x, codes, weights = _batch(8, 4, 3)
    codes[:, 2] = 0
    direction, _ = _direction(
        transformation, transformation.init(dictionary), dictionary, x, codes, weights
    )
    np.testing.assert_array_equal(direction[2], 0)
    assert np.all(np.linalg.norm(np.delete(direction, 2, axis=0), axis=1) > 0)


@pytest.mark.parametrize(("rows", "n_factors", "d_model"), [(9, 5, 3), (1, 1, 1)])
def test_newton_solves_with_the_running_hessian_in_float64(rows, n_factors, d_model):
    length, ridge, floor = 4, 0.2, 1e-3
    transformation = newton.scale_by_second_moment(length, floor=floor, ridge=ridge)
    dictionary = dictionary_lib.project_unit_norm(
        jnp.asarray(RNG.normal(size=(n_factors, d_model)), jnp.float32)
    )
    state = transformation.init(dictionary)
    past = np.zeros((n_factors, n_factors))
    for step in range(1, 6):
        batch = _batch(rows, n_factors, d_model)
        direction, state = _direction(transformation, state, dictionary, *batch)
        second_moment, cross_moment = _moments(*batch)
        past = (1 - 1 / length) * past + second_moment / length
        hessian = past / (1 - (1 - 1 / length) ** step)
        hessian += np.diag(ridge * np.diagonal(hessian) + floor)
        gradient = second_moment @ np.float64(dictionary) - cross_moment
        expected = np.linalg.inv(hessian) @ gradient
        # Condition numbers of some hundreds.
        np.testing.assert_allclose(direction, expected, rtol=1e-4, atol=1e-4)


def test_a_whole_newton_step_ends_at_least_squares():
    """One batch, a step of 1 and no ridge: the dictionary that fits its rows best."""
    transformation = newton.scale_by_second_moment(1, floor=1e-7, ridge=0.0)
    dictionary = jnp.asarray(RNG.normal(size=(5, 4)), jnp.float32)
    x, codes, weights = _batch(60, 5, 4)
    direction, _ = _direction(
        transformation, transformation.init(dictionary), dictionary, x, codes, weights
    )
    root = np.sqrt(np.float64(weights))[:, None]
    expected, *_ = np.linalg.lstsq(root * codes, root * x, rcond=None)
    np.testing.assert_allclose(dictionary - direction, expected, atol=1e-4)


def test_newton_leaves_a_factor_that_never_fired():
    transformation = newton.Newton().transformation()
    dictionary = dictionary_lib.project_unit_norm(
        jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32)
    )
    x, codes, weights = _batch(8, 4, 3)
    codes[:, 2] = 0
    direction, _ = _direction(
        transformation, transformation.init(dictionary), dictionary, x, codes, weights
    )
    np.testing.assert_array_equal(direction[2], 0)
    assert np.all(np.linalg.norm(np.delete(direction, 2, axis=0), axis=1) > 0)

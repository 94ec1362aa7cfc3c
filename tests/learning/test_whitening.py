"""Whitening: its definition, its inverse, and that β = 0 and None leave rows alone."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfvis_jax.learning import whitening


def _rows(*, layers, n, d, seed=0):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d))
    return rng.normal(size=(layers, n, d)) @ mix + rng.normal(size=(layers, 1, d)) * 5


def _moments(x):
    mean = x.mean(axis=1)
    centred = x - mean[:, None]
    return mean, np.einsum("lni,lnj->lij", centred, centred) / x.shape[1]


@given(
    layers=st.integers(1, 3),
    d=st.integers(1, 7),
    strength=st.sampled_from([0.25, 0.5, 1.0]),
)
def test_matrix_is_the_power_of_the_pooled_covariance(layers, d, strength):
    x = _rows(layers=layers, n=64, d=d)
    mean, covariance = _moments(x)
    found = whitening.fit(mean, covariance, strength=strength)
    pooled = sum(c / np.trace(c) for c in covariance)
    pooled = pooled / (np.trace(pooled) / d) + whitening.RIDGE * np.eye(d)
    # W^(-2/β) is the covariance again: a definition without an eigendecomposition.
    matrix = np.asarray(found.matrix, np.float64)
    power = np.linalg.matrix_power(np.linalg.inv(matrix), round(2 / strength))
    np.testing.assert_allclose(power, pooled, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    np.testing.assert_allclose(matrix @ found.inverse, np.eye(d), atol=1e-4)


def test_full_whitening_gives_equal_variance_in_every_direction():
    x = _rows(layers=1, n=4096, d=5)
    mean, covariance = _moments(x)
    found = whitening.fit(mean, covariance, strength=1.0)
    scale = whitening.scales(covariance, found)
    y = np.asarray(
        whitening.standardise(
            jnp.asarray(x, jnp.float32), jnp.asarray(scale, jnp.float32), found
        )
    )[0]
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.mean(np.sum(y**2, axis=1)), 1, rtol=1e-4)
    values = np.linalg.eigvalsh(np.cov(y.T)) * 5
    # The ridge alone keeps small eigenvalues below the others.
    assert values.min() > 0.3
    assert values.max() < 1.3


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 5, 4)])
def test_standardise_is_its_formula_layer_by_layer(shape):
    rng = np.random.default_rng(1)
    states = rng.normal(size=shape).astype(np.float32)
    mean, covariance = _moments(_rows(layers=2, n=32, d=4))
    found = whitening.fit(mean, covariance, strength=0.5)
    scale = np.array([2.0, 3.0], np.float32)
    y = whitening.standardise(jnp.asarray(states), jnp.asarray(scale), found)
    for layer in range(2):
        expected = (states[layer] - mean[layer]) @ np.asarray(found.matrix, np.float64)
        np.testing.assert_allclose(y[layer], expected / scale[layer], atol=1e-5)
        np.testing.assert_allclose(
            whitening.unwhiten(y, found)[layer],
            (states[layer] - mean[layer]) / scale[layer],
            # Products of float32 matrices that are each other's inverse.
            atol=5e-5,
        )


def test_without_whitening_rows_are_divided_alone():
    states = jnp.asarray(np.random.default_rng(2).normal(size=(2, 3, 4)), jnp.float32)
    scale = jnp.asarray([2.0, 4.0])
    found = whitening.standardise(states, scale, None)
    np.testing.assert_array_equal(found, states / scale[:, None, None])
    assert whitening.unwhiten(found, None) is found


def test_constant_rows_are_left_as_they_are():
    found = whitening.fit(np.ones((2, 3)), np.zeros((2, 3, 3)), strength=0.5)
    assert np.isfinite(found.matrix).all()
    np.testing.assert_allclose(found.matrix @ found.inverse, np.eye(3), atol=1e-6)
    np.testing.assert_array_equal(
        whitening.scales(np.zeros((2, 3, 3)), found), np.zeros(2)
    )


def test_moments_are_those_of_the_rows_that_count():
    rng = np.random.default_rng(3)
    states = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    mask = rng.random((3, 4)) < 0.6
    total, products = whitening.moments(jnp.asarray(states), jnp.asarray(mask))
    rows = states[:, mask].astype(np.float64)
    np.testing.assert_allclose(total, rows.sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(
        products, np.einsum("lni,lnj->lij", rows, rows), rtol=1e-5, atol=1e-5
    )

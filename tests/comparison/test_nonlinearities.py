"""Selections against sorting, threshold gradients against their definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax.comparison import nonlinearities
from tfvis_jax.sparse_coding import selection


@pytest.mark.parametrize("k", [1, 5, 30])
def test_top_k_keeps_the_k_largest_of_a_row(k):
    p = np.float32(np.random.default_rng(0).normal(size=(40, 30)))
    mask = np.asarray(selection.top_k_mask(p, k=k))
    expected = np.argsort(-p, axis=1)[:, :k]
    np.testing.assert_array_equal(mask.sum(axis=1), k)
    assert np.take_along_axis(mask, expected, axis=1).all()


def test_top_k_keeps_exactly_k_of_equal_values():
    mask = selection.top_k_mask(jnp.ones((3, 9)), k=4)
    np.testing.assert_array_equal(np.sum(mask, axis=1), 4)


@pytest.mark.parametrize("count", [1, 2, 77, 200])
def test_kth_largest_is_what_sorting_finds(count):
    rng = np.random.default_rng(1)
    # From subnormal to huge, and a fifth of them zero.
    values = np.float32(10.0 ** rng.uniform(-40, 30, (10, 20)))
    values[rng.random(values.shape) < 0.2] = 0
    found = nonlinearities.kth_largest(values, count=count)
    assert float(found) == np.sort(values.ravel())[::-1][count - 1]


def _case(seed=2):
    rng = np.random.default_rng(seed)
    p = np.float32(rng.normal(size=(50, 6)))
    threshold = np.float32(rng.uniform(0.2, 0.9, (1, 6)))
    cotangent = np.float32(rng.normal(size=p.shape))
    return p, threshold, cotangent


@pytest.mark.parametrize("name", ["jump_relu", "step"])
def test_threshold_gradients_are_as_published(name):
    p, threshold, cotangent = _case()
    bandwidth = 0.3
    function = getattr(nonlinearities, name)

    def loss(p, threshold):
        return jnp.sum(cotangent * function(p, threshold, bandwidth=bandwidth))

    to_p, to_threshold = jax.grad(loss, argnums=(0, 1))(p, threshold)
    p, threshold, cotangent = (np.float64(a) for a in (p, threshold, cotangent))
    fires = p > threshold
    kernel = np.abs((p - threshold) / bandwidth) < 0.5
    assert kernel.any(axis=0).all()
    if name == "jump_relu":
        expected = -(threshold / bandwidth) * kernel * cotangent
        np.testing.assert_allclose(to_p, fires * cotangent, atol=1e-6)
    else:
        expected = -(1 / bandwidth) * kernel * cotangent
        np.testing.assert_array_equal(to_p, 0)
    np.testing.assert_allclose(to_threshold[0], expected.sum(axis=0), atol=1e-5)


def test_threshold_gradients_estimate_those_of_the_expectation():
    # For p from a normal distribution the expectations have known derivatives.
    p = np.float32(np.random.default_rng(3).normal(size=(200_000, 1)))
    theta = 0.7
    density = np.exp(-(theta**2) / 2) / np.sqrt(2 * np.pi)
    threshold = jnp.full((1, 1), theta)
    for function, expected in (
        (nonlinearities.step, -density),
        (nonlinearities.jump_relu, -theta * density),
    ):
        gradient = jax.grad(lambda t, f=function: jnp.mean(f(p, t, bandwidth=0.1)))(
            threshold
        )
        # About 6,000 samples lie in the band: 1.3 % of standard error, three of them.
        np.testing.assert_allclose(gradient[0, 0], expected, rtol=0.04)


def test_values_are_untouched_by_the_straight_through_terms():
    p, threshold, _ = _case()
    codes = nonlinearities.jump_relu(p, threshold, bandwidth=0.3)
    fires = nonlinearities.step(p, threshold, bandwidth=0.3)
    np.testing.assert_array_equal(codes, np.where(p > threshold, p, 0))
    np.testing.assert_array_equal(fires, np.float32(p > threshold))

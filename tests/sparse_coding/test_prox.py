"""The thresholds against a search over a fine grid, their definition."""

import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax.sparse_coding import prox

_GRID = np.linspace(-3, 3, 60_001)


@pytest.mark.parametrize("non_negative", [True, False])
@pytest.mark.parametrize("threshold", [0.0, 0.4, 1.5])
def test_threshold_minimises_its_objective(non_negative, threshold):
    values = np.random.default_rng(0).uniform(-2, 2, size=40).astype(np.float32)
    candidates = _GRID[_GRID >= 0] if non_negative else _GRID
    cost = 0.5 * (candidates - values[:, None]) ** 2 + threshold * np.abs(candidates)
    expected = candidates[np.argmin(cost, axis=1)]
    shrink = prox.shrinkage(non_negative=non_negative)
    got = shrink(jnp.asarray(values), threshold)
    # The grid's spacing is 1e-4, so its minimiser is within half of that.
    np.testing.assert_allclose(got, expected, atol=6e-5)


@pytest.mark.parametrize("non_negative", [True, False])
def test_threshold_gives_exact_zeros(non_negative):
    shrink = prox.shrinkage(non_negative=non_negative)
    got = shrink(jnp.asarray([0.3, -0.3, 0.1]), 0.3)
    np.testing.assert_array_equal(got, [0, 0, 0])

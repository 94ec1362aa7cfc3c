"""Dead factors take the worst residuals, one each."""

import jax.numpy as jnp
import numpy as np

from tfvis_jax.sparse_coding import revival

RNG = np.random.default_rng(0)


def test_idle_counts_steps_since_the_last_firing():
    idle = jnp.array([0, 4, 2], jnp.int32)
    codes = jnp.array([[0.0, 0.5, 0.0], [0.1, 0.0, 0.0]])
    np.testing.assert_array_equal(revival.count_idle(idle, codes), [0, 0, 3])


def test_the_nth_dead_factor_takes_the_nth_largest_residual():
    dictionary = jnp.eye(5, 4)
    residual = RNG.normal(size=(6, 4)).astype(np.float32)
    dead = jnp.array([False, True, False, True, True])
    got, replaced = revival.revive(dictionary, jnp.asarray(residual), dead=dead)
    length = np.linalg.norm(residual, axis=1)
    for factor, row in zip((1, 3, 4), np.argsort(-length)[:3], strict=True):
        np.testing.assert_allclose(got[factor], residual[row] / length[row], rtol=1e-6)
    np.testing.assert_array_equal(got[0], dictionary[0])
    np.testing.assert_array_equal(replaced, dead)


def test_more_dead_factors_than_rows_wait_and_padding_revives_nothing():
    residual = jnp.zeros((3, 4)).at[1, 2].set(-2.0)
    got, replaced = revival.revive(
        jnp.eye(4), residual, dead=jnp.array([True, True, True, True])
    )
    np.testing.assert_array_equal(replaced, [True, False, False, False])
    np.testing.assert_array_equal(got[0], [0, 0, -1, 0])
    np.testing.assert_array_equal(got[1:], jnp.eye(4)[1:])

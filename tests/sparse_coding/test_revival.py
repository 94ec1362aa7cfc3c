"""Dead factors take the worst residuals, one each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


@pytest.mark.parametrize("sizes", [(1, 8), (2, 4)])
def test_split_factors_take_the_same_residuals_and_none_holds_all(sizes):
    n_factors, d_model = 32, 6
    dictionary = RNG.normal(size=(n_factors, d_model)).astype(np.float32)
    residual = RNG.normal(size=(16, d_model)).astype(np.float32)
    dead = RNG.random(n_factors) < 0.7
    expected, replaced = revival.revive(
        jnp.asarray(dictionary), jnp.asarray(residual), dead=jnp.asarray(dead)
    )
    assert 0 < replaced.sum() < dead.sum()
    mesh = jax.make_mesh(sizes, ("data", "factor"))
    with jax.set_mesh(mesh):
        factors = jax.P("factor")
        arguments = jax.device_put(dictionary, factors), jax.device_put(residual)
        compiled = (
            jax.jit(revival.revive)
            .lower(*arguments, dead=jax.device_put(dead, factors))
            .compile()
        )
        got = compiled(*arguments, dead=jax.device_put(dead, factors))
    np.testing.assert_allclose(got[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(got[1], replaced)
    whole = f"f32[{n_factors},{d_model}]"
    assert f"f32[{n_factors // sizes[1]},{d_model}]" in compiled.as_text()
    assert whole not in compiled.as_text()


def test_a_step_replaces_2048_factors_at_most():
    n = 2100
    residual = RNG.normal(size=(n, 3)).astype(np.float32)
    dictionary = jnp.ones((n, 3))
    got, replaced = revival.revive(
        dictionary, jnp.asarray(residual), dead=jnp.ones((n,), bool)
    )
    np.testing.assert_array_equal(replaced, np.arange(n) < 2048)
    length = np.linalg.norm(residual, axis=1)
    last = np.argsort(-length)[2047]
    np.testing.assert_allclose(got[2047], residual[last] / length[last], rtol=1e-5)
    np.testing.assert_array_equal(got[2048], dictionary[2048])

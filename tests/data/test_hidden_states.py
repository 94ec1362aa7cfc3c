"""Rows drawn from a batch of windows: each once, in random order, padding never."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax import sharding
from tfvis_jax.data import hidden_states

N_LAYERS, BATCH, LENGTH = 2, 6, 4
N_ROWS = N_LAYERS * BATCH * LENGTH


def _mask(n_padding):
    mask = np.ones(BATCH * LENGTH, bool)
    mask[np.random.default_rng(0).permutation(mask.size)[:n_padding]] = False
    return mask.reshape(BATCH, LENGTH)


def _steps(mask, *, num_parts, size, token_weights):
    """Yields the rows of each step, and of how many parts they may be."""
    states = jnp.arange(1.0, N_ROWS + 1).reshape(N_LAYERS, BATCH, LENGTH, 1)
    token_ids = jnp.arange(BATCH * LENGTH, dtype=jnp.int32).reshape(BATCH, LENGTH)
    n_valid = N_LAYERS * mask.reshape(num_parts, -1).sum(axis=1)
    n_steps = -(-n_valid.max() // size)
    order = hidden_states.shuffle_rows(
        jax.random.key(0),
        mask,
        num_parts=num_parts,
        n_layers=N_LAYERS,
        n_selected=-(-N_ROWS // num_parts // size) * size,
    )
    for step in range(n_steps):
        yield hidden_states.take_rows(
            states,
            token_ids,
            order,
            token_weights=token_weights,
            n_valid=n_valid.astype(np.int32),
            step=jnp.int32(step),
            n_steps=jnp.int32(n_steps),
            size=size,
        )


@pytest.mark.parametrize("size", [1, 7, 16, N_ROWS, 3 * N_ROWS])
@pytest.mark.parametrize("n_padding", [0, 3, 19])
@pytest.mark.parametrize("num_parts", [1, 3])
def test_every_valid_row_is_taken_exactly_once(size, n_padding, num_parts):
    mask = _mask(n_padding)
    token_weights = jnp.arange(1.0, BATCH * LENGTH + 1)
    taken = []
    for x, weights, valid, layer in _steps(
        mask, num_parts=num_parts, size=size, token_weights=token_weights
    ):
        assert x.shape == (num_parts * size, 1)
        np.testing.assert_array_equal(x[~valid], 0)
        rows = np.asarray(x[valid, 0]).astype(int) - 1
        np.testing.assert_array_equal(weights[valid], rows % (BATCH * LENGTH) + 1)
        np.testing.assert_array_equal(layer[valid], rows // (BATCH * LENGTH))
        taken += rows.tolist()
    expected = np.flatnonzero(np.tile(mask.reshape(-1), N_LAYERS))
    assert sorted(taken) == expected.tolist()
    if n_padding == 0 and size == 7:
        assert taken != expected.tolist()


def test_a_step_draws_alike_from_every_part():
    token_weights = jnp.ones((BATCH * LENGTH,))
    for _, _, valid, _ in _steps(
        _mask(0), num_parts=3, size=5, token_weights=token_weights
    ):
        drawn = valid.reshape(3, 5).sum(axis=1)
        assert drawn.min() == drawn.max()


def test_devices_with_whole_parts_draw_the_same_rows_alone():
    mesh = sharding.make_mesh(2, 4)
    rng = np.random.default_rng(0)
    states = rng.normal(size=(N_LAYERS, 8, LENGTH, 3)).astype(np.float32)
    ids = rng.integers(0, 9, size=(8, LENGTH), dtype=np.int32)
    mask = rng.random((8, LENGTH)) < 0.8

    def draw(states, ids, mask):
        order = hidden_states.shuffle_rows(
            jax.random.key(1), mask, num_parts=4, n_layers=N_LAYERS, n_selected=20
        )
        return hidden_states.take_rows(
            states,
            ids,
            order,
            token_weights=jnp.arange(9.0),
            n_valid=jnp.array([3, 4, 5, 6], jnp.int32),
            step=jnp.int32(1),
            n_steps=jnp.int32(2),
            size=4,
        )

    expected = draw(states, ids, mask)
    with jax.set_mesh(mesh):
        split = [
            jax.device_put(states, jax.P(None, "data")),
            *(jax.device_put(array, jax.P("data")) for array in (ids, mask)),
        ]
        compiled = jax.jit(draw).lower(*split).compile()
        got = compiled(*split)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.sharding.spec[0] == "data"
    assert not re.search("all-|collective-permute|reduce-scatter", compiled.as_text())


def test_the_order_is_a_function_of_the_key():
    def draw(seed):
        return np.asarray(
            hidden_states.shuffle_rows(
                jax.random.key(seed),
                _mask(3),
                num_parts=2,
                n_layers=N_LAYERS,
                n_selected=N_ROWS,
            )
        )

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()
    assert (draw(1)[0] != draw(1)[1]).any()


def test_norms_leave_padding_out():
    states = np.random.default_rng(0).normal(size=(N_LAYERS, BATCH, LENGTH, 3))
    states, mask = states.astype(np.float32), _mask(6)
    expected = [np.sum(np.float64(layer)[mask] ** 2) for layer in states]
    np.testing.assert_allclose(
        hidden_states.sum_squared_norms(states, mask), expected, rtol=1e-5
    )

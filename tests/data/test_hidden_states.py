"""Rows drawn from a batch of windows: each once, in random order, padding never."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax.data import hidden_states

N_LAYERS, BATCH, LENGTH = 2, 5, 4
N_ROWS = N_LAYERS * BATCH * LENGTH


def _mask(n_padding):
    mask = np.ones(BATCH * LENGTH, bool)
    mask[np.random.default_rng(0).permutation(mask.size)[:n_padding]] = False
    return mask.reshape(BATCH, LENGTH)


@pytest.mark.parametrize("size", [1, 7, 16, N_ROWS, 3 * N_ROWS])
@pytest.mark.parametrize("n_padding", [0, 3, 19])
def test_every_valid_row_is_taken_exactly_once(size, n_padding):
    mask = _mask(n_padding)
    states = jnp.arange(1.0, N_ROWS + 1).reshape(N_LAYERS, BATCH, LENGTH, 1)
    token_ids = jnp.arange(BATCH * LENGTH, dtype=jnp.int32).reshape(BATCH, LENGTH)
    n_steps = -(-N_ROWS // size)
    order = hidden_states.shuffle_rows(
        jax.random.key(0), mask, n_layers=N_LAYERS, n_selected=n_steps * size
    )
    n_valid = N_LAYERS * int(mask.sum())
    used = -(-n_valid // size)
    taken = []
    for number in range(used):
        x, ids, valid = hidden_states.take_rows(
            states,
            token_ids,
            order,
            start=jnp.int32(number * n_valid // used),
            stop=jnp.int32((number + 1) * n_valid // used),
            size=size,
        )
        assert x.shape == (size, 1)
        np.testing.assert_array_equal(x[~valid], 0)
        rows = np.asarray(x[valid, 0]).astype(int) - 1
        np.testing.assert_array_equal(ids[valid], rows % (BATCH * LENGTH))
        taken += rows.tolist()
    expected = np.flatnonzero(np.tile(mask.reshape(-1), N_LAYERS))
    assert sorted(taken) == expected.tolist()
    if n_padding == 0 and size == 7:
        assert taken != expected.tolist()


def test_the_order_is_a_function_of_the_key():
    def draw(seed):
        return np.asarray(
            hidden_states.shuffle_rows(
                jax.random.key(seed), _mask(3), n_layers=N_LAYERS, n_selected=N_ROWS
            )
        )

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()


def test_norms_leave_padding_out():
    states = np.random.default_rng(0).normal(size=(N_LAYERS, BATCH, LENGTH, 3))
    states, mask = states.astype(np.float32), _mask(6)
    expected = [np.sum(np.float64(layer)[mask] ** 2) for layer in states]
    np.testing.assert_allclose(
        hidden_states.sum_squared_norms(states, mask), expected, rtol=1e-5
    )

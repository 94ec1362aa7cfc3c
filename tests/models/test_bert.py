"""The encoder's own properties, on a small random BERT."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tfvis_jax.errors import InputError
from tfvis_jax.models import bert, blocks, registry

_CONFIG = bert.BertConfig(
    vocab_size=101, d_model=32, n_layers=3, n_heads=4, d_hidden=64, max_positions=20
)
_ALL = (0, 1, 2, 3)


@functools.cache
def _model(dtype=jnp.float32) -> bert.Bert:
    """Weights large enough for attention to be far from uniform."""
    rng = np.random.default_rng(1)
    graph, state = nnx.split(
        nnx.eval_shape(
            lambda: bert.Bert(_CONFIG, blocks.Maker(rngs=nnx.Rngs(0), dtype=dtype))
        )
    )
    state = jax.tree.map(
        lambda leaf: jnp.array(0.3 * rng.standard_normal(leaf.shape, np.float32)), state
    )
    return nnx.merge(graph, state)


@functools.partial(jax.jit, static_argnames="layers")
def _run(model, token_ids, attention_mask, *, layers=_ALL):
    return model(token_ids, attention_mask, layers=layers)


def _batch(*, lengths=(10, 7, 1, 10), width=10):
    token_ids = np.random.default_rng(0).integers(1, 101, (len(lengths), width))
    mask = np.arange(width)[None, :] < np.array(lengths)[:, None]
    return jnp.array(np.where(mask, token_ids, 0), jnp.int32), jnp.array(mask)


def test_layers_come_in_the_order_asked_for():
    token_ids, mask = _batch()
    every = _run(_model(), token_ids, mask)
    some = _run(_model(), token_ids, mask, layers=(2, 0, 2))
    assert every.shape == (4, 4, 10, 32)
    np.testing.assert_allclose(some, every[np.array([2, 0, 2])], rtol=0, atol=1e-5)
    assert np.abs(every[1:] - every[:-1]).mean() > 0.1


def test_it_runs_no_deeper_than_the_deepest_layer():
    token_ids, mask = _batch()
    # The identity map copies the variables, which a split shares with the model.
    graph, state = nnx.split(jax.tree.map(lambda leaf: leaf, _model()))
    state.layers[2].attention.query.kernel[...] = jnp.full((32, 32), jnp.nan)
    broken = nnx.merge(graph, state)
    assert np.isfinite(_run(broken, token_ids, mask, layers=(0, 2))).all()
    assert np.isnan(_run(broken, token_ids, mask, layers=(3,))).all()


def test_padding_changes_nothing_at_real_tokens():
    token_ids, mask = _batch()
    padded = _run(_model(), token_ids, mask)
    for row, length in ((1, 7), (2, 1)):
        alone = _run(
            _model(), token_ids[row : row + 1, :length], mask[row : row + 1, :length]
        )
        np.testing.assert_allclose(padded[:, row, :length], alone[:, 0], atol=1e-5)
    other = jnp.where(mask, token_ids, 77)
    np.testing.assert_array_equal(_run(_model(), other, mask)[:, mask], padded[:, mask])


def test_a_row_of_padding_alone_gives_finite_states_and_leaves_the_others():
    token_ids, mask = _batch()
    expected = _run(_model(), token_ids, mask)
    states = _run(_model(), token_ids, mask.at[1].set(False))
    assert np.isfinite(states).all()
    kept = np.array([0, 2, 3])
    np.testing.assert_allclose(states[:, kept], expected[:, kept], rtol=0, atol=1e-6)


def test_padding_is_seen_by_no_real_token():
    token_ids, mask = _batch(lengths=(10,))
    changed = token_ids.at[0, 8].set(3)
    visible = (
        _run(_model(), changed, mask)[3, 0, 0]
        - _run(_model(), token_ids, mask)[3, 0, 0]
    )
    assert np.abs(visible).max() > 1e-3


@functools.partial(jax.jit, static_argnames="start")
def _run_from(model, hidden_states, attention_mask, *, start):
    return model.from_layer(hidden_states, attention_mask, start=start)


@pytest.mark.parametrize("start", _ALL)
def test_from_layer_with_an_unaltered_state_gives_the_full_run(start):
    token_ids, mask = _batch()
    states = _run(_model(), token_ids, mask)
    last = _run_from(_model(), states[start], mask, start=start)
    np.testing.assert_allclose(last, states[3], rtol=0, atol=1e-5)
    altered = _run_from(_model(), -states[start], mask, start=start)
    assert np.abs(altered - states[3]).max() > 0.1


def test_from_layer_has_a_gradient_in_the_hidden_state():
    token_ids, mask = _batch()
    hidden = _run(_model(), token_ids, mask)[1]
    gradient = jax.jit(
        jax.grad(lambda hidden: _run_from(_model(), hidden, mask, start=1)[0, 0, 0])
    )(hidden)
    assert np.isfinite(gradient).all() and np.abs(gradient[0, 3]).max() > 1e-4
    np.testing.assert_array_equal(gradient[1:], 0)


def test_bfloat16_stays_near_float32_and_returns_float32():
    token_ids, mask = _batch()
    exact = _run(_model(), token_ids, mask)
    states = _run(_model(jnp.bfloat16), token_ids, mask)
    assert states.dtype == jnp.float32
    # The embeddings never leave float32.
    np.testing.assert_array_equal(states[0], exact[0])
    error = np.linalg.norm((states - exact)[1:, mask], axis=-1)
    relative = error / np.linalg.norm(exact[1:, mask], axis=-1)
    # bfloat16 keeps 8 bits: 0.4 % a product, a few of them add up over three layers.
    assert 1e-4 < relative.mean() < 0.02


def test_it_compiles_once_a_shape():
    run = jax.jit(lambda model, ids, mask: model(ids, mask, layers=(0, 3)))
    token_ids, mask = _batch()
    for shift in range(3):
        run(_model(), (token_ids + shift) % 101, mask)
    assert run._cache_size() == 1
    run(_model(), token_ids[:2], mask[:2])
    assert run._cache_size() == 2


@pytest.mark.parametrize(
    "axis_type", [jax.sharding.AxisType.Explicit, jax.sharding.AxisType.Auto]
)
def test_eight_devices_give_what_one_gives(axis_type):
    token_ids, mask = _batch(lengths=(10, 7, 1, 10, 3, 9, 10, 2) * 2)
    expected = np.array(_run(_model(), token_ids, mask))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(axis_type,))
    rows = jax.NamedSharding(mesh, jax.P("data"))
    with jax.set_mesh(mesh):
        states = _run(
            _model(), jax.device_put(token_ids, rows), jax.device_put(mask, rows)
        )
    assert {shard.data.shape for shard in states.addressable_shards} == {(4, 2, 10, 32)}
    # Smaller products are blocked in another way, so sums differ in the last digits.
    np.testing.assert_allclose(states, expected, rtol=0, atol=1e-5)


def test_it_runs_inside_shard_map_and_vmap():
    token_ids, mask = _batch(lengths=(10, 7, 1, 10, 3, 9, 10, 2))
    expected = np.array(_run(_model(), token_ids, mask))
    with jax.set_mesh(jax.make_mesh((8,), ("data",))):
        mapped = jax.shard_map(
            lambda ids, mask: _model()(ids, mask, layers=_ALL),
            out_specs=jax.P(None, "data"),
        )
        rows = jax.device_put((token_ids, mask), jax.P("data"))
        np.testing.assert_allclose(jax.jit(mapped)(*rows), expected, atol=1e-5)
    stacked = jax.vmap(lambda ids, mask: _run(_model(), ids, mask))(
        token_ids.reshape(2, 4, 10), mask.reshape(2, 4, 10)
    )
    np.testing.assert_allclose(
        np.concatenate(np.array(stacked), axis=1), expected, atol=1e-5
    )


def test_logits_are_a_product_with_the_word_embedding():
    make = blocks.Maker(rngs=nnx.Rngs(0))
    model = registry.ARCHITECTURES["bert"].with_head(_CONFIG, make)
    hidden = jax.random.normal(jax.random.key(0), (2, 5, 32))
    logits = jax.jit(lambda model, hidden: model.logits(hidden))(model, hidden)
    assert logits.shape == (2, 5, 101)
    graph, state = nnx.split(model)
    words = state.encoder.embeddings.word
    words[...] = words[...].at[7].multiply(3.0)
    state.head.bias[...] = state.head.bias[...].at[9].set(5.0)
    changed = nnx.merge(graph, state).logits(hidden)
    np.testing.assert_allclose(changed[..., 7], 3 * logits[..., 7], atol=1e-5)
    np.testing.assert_allclose(changed[..., 9], 5 + logits[..., 9], atol=1e-5)
    np.testing.assert_allclose(changed[..., 10:], logits[..., 10:], atol=1e-5)


@pytest.mark.parametrize("layers", [(), (4,), (-1,)])
def test_it_refuses_layers_it_does_not_have(layers):
    with pytest.raises(InputError, match=r"from 0 .* to 3"):
        _model()(*_batch(), layers=layers)


def test_it_refuses_arrays_that_do_not_fit():
    token_ids, mask = _batch()
    refused = [
        ((token_ids, mask.astype(jnp.int32)), "to be bool.*got int32"),
        ((token_ids, mask[:, :5]), r"to be bool\[4, 10\]"),
        ((token_ids.astype(jnp.float32), mask), "to be integers"),
        ((token_ids[0], mask[0]), "to be integers"),
        (
            (jnp.zeros((1, 21), jnp.int32), jnp.ones((1, 21), bool)),
            "at most 20 .*got 21",
        ),
    ]
    for arguments, message in refused:
        with pytest.raises(InputError, match=message):
            _model()(*arguments, layers=_ALL)
    with pytest.raises(InputError, match=r"\[batch, length, 32\]"):
        _model().from_layer(jnp.zeros((4, 10, 31)), mask, start=1)
    with pytest.raises(InputError, match="from 0"):
        _model().from_layer(jnp.zeros((4, 10, 32)), mask, start=4)

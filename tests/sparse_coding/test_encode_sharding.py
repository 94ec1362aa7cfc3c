"""The same function on every layout gives the same codes, with no needless traffic."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax.sparse_coding import encode

_SOLVERS = [name for name in encode.SOLVERS if name != "auto"]


def _problem(batch=16, d_model=24, n_factors=64, seed=0):
    rng = np.random.default_rng(seed)
    dictionary = rng.normal(size=(n_factors, d_model))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    x = rng.normal(size=(batch, d_model))
    return np.float32(x), np.float32(dictionary)


def _encode(x, dictionary, l1_penalty, solver):
    return encode.encode(
        x, dictionary, l1_penalty=l1_penalty, solver=solver, tolerance=1e-4
    )


def _collectives(compiled):
    pattern = r"(all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)\("
    return re.findall(pattern, compiled.as_text())


@pytest.mark.parametrize("solver", _SOLVERS)
@pytest.mark.parametrize("shape", [(8, 1), (4, 2), (1, 8)])
def test_codes_are_the_same_on_every_mesh(solver, shape):
    x, dictionary = _problem()
    expected = _encode(x, dictionary, 0.2, solver)
    mesh = jax.make_mesh(shape, ("rows", "columns"))
    with jax.set_mesh(mesh):
        split = jax.jit(_encode, static_argnames="solver")
        got = split(
            jax.device_put(x, jax.P("rows")),
            jax.device_put(dictionary, jax.P("columns")),
            0.2,
            solver,
        )
    assert got.codes.sharding.spec == jax.P("rows", "columns")
    # Sums over split factors are taken in another order, at every one of many steps.
    np.testing.assert_allclose(got.codes, expected.codes, atol=1e-4)
    np.testing.assert_array_equal(got.converged, expected.converged)


def test_split_rows_need_one_reduction_for_the_stop_alone():
    x, dictionary = _problem()
    mesh = jax.make_mesh((8,), ("rows",))
    with jax.set_mesh(mesh):
        rows = jax.device_put(x, jax.P("rows"))
        whole = jax.device_put(dictionary, jax.P())
        compiled = (
            jax.jit(_encode, static_argnames="solver")
            .lower(rows, whole, 0.2, "spectral")
            .compile()
        )
    # `jnp.any` of the rows left: one boolean, once a block of steps and once before.
    assert set(_collectives(compiled)) <= {"all-reduce"}
    assert len(_collectives(compiled)) <= 2


def test_pmap_vmap_and_shard_map_agree_with_one_device():
    x, dictionary = _problem()
    expected = _encode(x, dictionary, 0.2, "spectral").codes

    def solve(rows):
        return _encode(rows, jnp.asarray(dictionary), 0.2, "spectral").codes

    stacked = x.reshape(8, 2, 24)
    for mapped in (jax.pmap(solve), jax.vmap(solve)):
        got = np.asarray(mapped(stacked)).reshape(expected.shape)
        np.testing.assert_allclose(got, expected, atol=1e-5)
    mesh = jax.make_mesh((8,), ("rows",))
    with jax.set_mesh(mesh):
        by_device = jax.jit(jax.shard_map(solve, out_specs=jax.P("rows")))
        got = by_device(jax.device_put(x, jax.P("rows")))
    np.testing.assert_allclose(got, expected, atol=1e-5)

"""The same function on every layout gives the same codes, with no needless traffic."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import problems
import pytest

from tfvis_jax import config, errors, sparse_coding

_SOLVERS = [name for name in config.SOLVERS if name != "auto"]


def _encode(x, dictionary, l1_penalty, solver):
    return sparse_coding.encode(
        x,
        dictionary,
        l1_penalty=l1_penalty,
        solver=solver,
        tolerance=1e-6,
        max_steps=10_000,
    )


def _collectives(compiled):
    names = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    return re.findall(rf"({names})(?:-start)?\(", compiled.as_text())


def _assert_same_codes(got, expected):
    # Sums over split factors are taken in another order at every step, so both stop
    # somewhere within a gap of 1e-6, which is codes to the root of it.
    np.testing.assert_allclose(got, expected, atol=5e-3)
    assert np.mean(np.abs(np.asarray(got) - expected)) < 1e-4


@pytest.mark.parametrize("solver", _SOLVERS)
@pytest.mark.parametrize("shape", [(8, 1), (4, 2), (1, 8)])
def test_codes_are_the_same_on_every_mesh(solver, shape):
    x, dictionary = problems.sums_of_factors()
    if solver == "working_set" and shape[1] > 1:
        pytest.skip("working sets need whole factors")
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
    assert got.codes.sharding.is_equivalent_to(
        jax.NamedSharding(mesh, jax.P("rows", "columns")), 2
    )
    assert bool(jnp.all(got.converged))
    _assert_same_codes(got.codes, expected.codes)


@pytest.mark.parametrize("shape", [(8, 1), (4, 2), (1, 8)])
def test_elastic_net_and_coarse_beginnings_on_every_mesh(shape):
    x, dictionary = problems.sums_of_factors()

    def solve(x, dictionary):
        return sparse_coding.encode(
            x,
            dictionary,
            l1_penalty=0.2,
            l2_penalty=0.05,
            solver=sparse_coding.Spectral(precision="bfloat16"),
            tolerance=1e-6,
        )

    expected = solve(x, dictionary)
    with jax.set_mesh(jax.make_mesh(shape, ("rows", "columns"))):
        rows = jax.device_put(x, jax.P("rows"))
        got = jax.jit(solve)(rows, jax.device_put(dictionary, jax.P("columns")))
    assert bool(jnp.all(got.converged))
    _assert_same_codes(got.codes, expected.codes)


def test_auto_takes_the_solver_that_the_layout_allows():
    x, dictionary = problems.sums_of_factors(n_factors=512)
    whole = _encode(x, dictionary, 0.2, "auto")
    mesh = jax.make_mesh((2, 4), ("rows", "columns"))
    with jax.set_mesh(mesh):
        split = jax.device_put(dictionary, jax.P("columns"))
        got = _encode(jax.device_put(x, jax.P("rows")), split, 0.2, "auto")
        with pytest.raises(errors.InputError, match="whole factors"):
            _encode(jax.device_put(x, jax.P("rows")), split, 0.2, "working_set")
    assert int(jnp.max(whole.num_steps)) < int(jnp.max(got.num_steps))
    _assert_same_codes(got.codes, whole.codes)


@pytest.mark.parametrize("solver", ["spectral", "working_set"])
def test_traffic_between_split_rows(solver):
    x, dictionary = problems.sums_of_factors()
    mesh = jax.make_mesh((8,), ("rows",))
    with jax.set_mesh(mesh):
        compiled = (
            jax.jit(_encode, static_argnames="solver")
            .lower(
                jax.device_put(x, jax.P("rows")),
                jax.device_put(dictionary, jax.P()),
                0.2,
                solver,
            )
            .compile()
        )
    # Dense solvers stop together: one boolean is reduced before every block of steps.
    # Working sets run on each device alone.
    expected = {"spectral": {"all-reduce"}, "working_set": set()}[solver]
    assert set(_collectives(compiled)) == expected
    assert len(_collectives(compiled)) <= 2


def test_traffic_between_split_factors():
    x, dictionary = problems.sums_of_factors()
    mesh = jax.make_mesh((8,), ("columns",))
    with jax.set_mesh(mesh):
        compiled = (
            jax.jit(_encode, static_argnames="solver")
            .lower(
                jax.device_put(x, jax.P()),
                jax.device_put(dictionary, jax.P("columns")),
                0.2,
                "spectral",
            )
            .compile()
        )
    # Sums and maxima over factors; neither codes nor dictionary ever travel.
    assert set(_collectives(compiled)) == {"all-reduce"}


@pytest.mark.parametrize("solver", ["fista", "spectral", "working_set"])
def test_pmap_vmap_and_shard_map_agree_with_one_device(solver):
    x, dictionary = problems.sums_of_factors()
    expected = _encode(x, dictionary, 0.2, solver).codes

    def solve(rows):
        return _encode(rows, jnp.asarray(dictionary), 0.2, solver).codes

    stacked = x.reshape(8, 2, 24)
    for mapped in (jax.pmap(solve), jax.vmap(solve)):
        _assert_same_codes(
            np.asarray(mapped(stacked)).reshape(expected.shape), expected
        )
    mesh = jax.make_mesh((8,), ("rows",))
    with jax.set_mesh(mesh):
        by_device = jax.jit(jax.shard_map(solve, out_specs=jax.P("rows")))
        got = by_device(jax.device_put(x, jax.P("rows")))
    _assert_same_codes(got, expected)


def test_a_program_is_made_for_the_devices_of_its_mesh():
    device = jax.sharding.AbstractDevice(
        device_kind="TPU v5 lite", num_cores=1, platform="tpu"
    )
    mesh = jax.sharding.AbstractMesh(
        (4,), ("rows",), (jax.sharding.AxisType.Explicit,), abstract_device=device
    )
    rows = jax.sharding.NamedSharding(mesh, jax.P("rows"))
    whole = jax.sharding.NamedSharding(mesh, jax.P())
    x = jax.ShapeDtypeStruct((16, 24), jnp.float32, sharding=rows)
    dictionary = jax.ShapeDtypeStruct((512, 24), jnp.float32, sharding=whole)

    def solve(x, dictionary):
        return _encode(x, dictionary, 0.2, "auto").codes

    text = jax.jit(solve).trace(x, dictionary).jaxpr.pretty_print()
    # Dense steps that begin in the arithmetic of a TPU; on a CPU there are neither.
    assert "bf16" in text

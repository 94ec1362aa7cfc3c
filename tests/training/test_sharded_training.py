"""The same run on every mesh: the same dictionary, and no needless traffic."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_runs

from tfvis_jax import config, sharding
from tfvis_jax.errors import InputError
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step
from tfvis_jax.training import checkpoint, loop

MESHES = [(8, 1), (4, 2), (2, 4), (1, 8)]


@pytest.fixture(scope="module")
def settings(toy_bert_folder, toy_corpus):
    return toy_runs.settings(
        toy_bert_folder,
        toy_corpus,
        # A fixed number of fixed steps: where rows stop at a tolerance, or choose their
        # step sizes, rounding sums in another order ends at slightly other codes.
        solver=config.SolverConfig(
            solver="fista", l1_penalty=0.1, tolerance=0.0, max_steps=60
        ),
        windows_per_batch=64,
        rows_per_step=1024,
        num_epochs=3,
        checkpoint_every=3,
    )


@pytest.fixture(scope="module")
def on_one_device(settings, tmp_path_factory):
    return toy_runs.fit(tmp_path_factory.mktemp("one"), settings)


@pytest.mark.parametrize("mesh", MESHES)
def test_the_dictionary_is_the_same_on_every_mesh(
    settings, on_one_device, tmp_path, mesh
):
    got = toy_runs.fit(tmp_path, settings, mesh=mesh)
    assert int(got.step) == int(on_one_device.step) >= 20
    np.testing.assert_allclose(got.dictionary, on_one_device.dictionary, atol=1e-5)
    np.testing.assert_array_equal(got.batch, on_one_device.batch)


def test_a_run_goes_on_with_other_devices(settings, on_one_device, tmp_path):
    for mesh, stop_after in (((8, 1), 1), ((2, 4), 1), ((4, 2), 2)):
        with pytest.raises(loop.Interrupted):
            toy_runs.fit(tmp_path, settings, mesh=mesh, stop_after=stop_after)
    got = toy_runs.fit(tmp_path, settings)
    np.testing.assert_allclose(got.dictionary, on_one_device.dictionary, atol=1e-5)


def test_the_same_mesh_resumes_bitwise(settings, tmp_path):
    whole = toy_runs.fit(tmp_path / "whole", settings, mesh=(4, 2))
    with pytest.raises(loop.Interrupted):
        toy_runs.fit(tmp_path / "cut", settings, mesh=(4, 2), stop_after=2)
    resumed = toy_runs.fit(tmp_path / "cut", settings, mesh=(4, 2))
    for got, expected in zip(
        jax.tree.leaves(resumed), jax.tree.leaves(whole), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_the_checksum_does_not_depend_on_the_layout():
    rng = np.random.default_rng(0)
    settings = config.DictionaryConfig(n_factors=16)
    state = state_lib.create(
        jnp.asarray(rng.normal(size=(16, 5)), jnp.float32),
        jnp.asarray(rng.normal(size=(3,)), jnp.float32),
        l1_penalty=0.1,
        config=settings,
    )
    mesh = sharding.make_mesh(2, 4)
    split = sharding.place(mesh, state, state_lib.partition(state, mesh))
    expected = checkpoint.checksum(state)
    assert checkpoint.checksum(split) == expected
    swapped = dataclasses.replace(state, dictionary=state.dictionary[::-1])
    assert checkpoint.checksum(swapped) != expected


ROWS, N_FACTORS, D_MODEL = 64, 32, 12


def _shapes(mesh, settings):
    state = state_lib.abstract(
        n_factors=N_FACTORS, d_model=D_MODEL, n_layers=2, config=settings
    )

    def row(*shape, dtype=jnp.float32):
        layout = jax.NamedSharding(mesh, sharding.rows(mesh))
        return jax.ShapeDtypeStruct((ROWS, *shape), dtype, sharding=layout)

    state = state_lib.with_layout(state, mesh)
    return state, row(D_MODEL), row(), row(dtype=jnp.bool)


def _compiled_step(mesh):
    settings = config.DictionaryConfig(n_factors=N_FACTORS)
    with jax.set_mesh(mesh):
        return step.train_step.lower(
            *_shapes(mesh, settings),
            progress=jax.ShapeDtypeStruct((), jnp.float32),
            solver=config.SolverConfig(solver="spectral", l1_penalty=0.1),
            dictionary=settings,
        ).compile()


def _traffic(compiled):
    """Returns (kind, elements, function) of collectives larger than a vector."""
    found, function = [], ""
    kinds = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    for line in compiled.as_text().splitlines():
        if line and not line.startswith(" "):
            function = line.split(" ")[0]
        match = re.search(rf"= (.*?) ({kinds})(?:-start)?\(", line)
        sizes = re.findall(r"\w+\[([\d,]+)\]", match.group(1)) if match else []
        sizes = [np.prod([int(n) for n in size.split(",")]) for size in sizes]
        if max(sizes, default=0) > max(ROWS, N_FACTORS):
            found.append((match.group(2), int(max(sizes)), function))
    return found


@pytest.mark.parametrize("mesh", MESHES)
def test_what_a_step_sends_between_devices(mesh):
    data, factor = mesh
    compiled = _compiled_step(sharding.make_mesh(*mesh))
    branches = re.findall(r"branch_computations=\{(.*?)\}", compiled.as_text())
    branches = {name for names in branches for name in names.split(", ")}
    revival = [t for t in _traffic(compiled) if t[2] in branches]
    always = [t for t in _traffic(compiled) if t[2] not in branches]
    # The largest residuals, one for each factor, only when a factor has died.
    largest = ("all-reduce", N_FACTORS * D_MODEL)
    assert [t[:2] for t in revival] == [largest] * (data > 1)
    assert {kind for kind, *_ in always} == {"all-reduce"}
    gradient = N_FACTORS // factor * D_MODEL
    if factor == 1:
        # The gradient, and nothing else.
        assert [t[1:] for t in always] == [(gradient, "ENTRY")]
        return
    # Split factors add one reconstruction of the device's rows to each solver step.
    image = ROWS // data * D_MODEL
    in_loops = [t for t in always if t[2] != "ENTRY"]
    assert {elements for _, elements, _ in in_loops} == {image}
    assert len({function for *_, function in in_loops}) == len(in_loops)
    outside = [elements for _, elements, function in always if function == "ENTRY"]
    assert sorted(outside) == sorted([image] * 2 + [gradient] * (data > 1))


@pytest.mark.parametrize("update", config.UPDATES)
def test_a_step_keeps_the_layout_of_its_state(update):
    settings = config.DictionaryConfig(n_factors=N_FACTORS, update=update)
    # Some have a Hessian of all factors.
    whole = update in ("online", "newton")
    mesh = sharding.make_mesh(8, 1) if whole else sharding.make_mesh(2, 4)
    state, *rows = _shapes(mesh, settings)
    with jax.set_mesh(mesh), jax.numpy_dtype_promotion("standard"):
        after, _ = jax.eval_shape(
            lambda state, *rows: step.train_step(
                state,
                *rows,
                progress=jnp.float32(0),
                solver=config.SolverConfig(solver="spectral"),
                dictionary=settings,
            ),
            state,
            *rows,
        )
    for new, old in zip(jax.tree.leaves(after), jax.tree.leaves(state), strict=True):
        assert new.shape == old.shape
        spec = (*old.sharding.spec, *[None] * old.ndim)[: old.ndim]
        assert (*new.sharding.spec,) == spec


def test_sizes_that_a_mesh_does_not_divide(settings, tmp_path):
    odd = dataclasses.replace(
        settings, dictionary=dataclasses.replace(settings.dictionary, n_factors=27)
    )
    with pytest.raises(InputError, match=r"multiple of the 2 devices.*26 or 28"):
        toy_runs.fit(tmp_path / "a", odd, mesh=(4, 2))
    small = dataclasses.replace(settings, windows_per_batch=16)
    with pytest.raises(InputError, match=r"64 in all.*use 64"):
        toy_runs.fit(tmp_path / "b", small, mesh=(8, 1))

"""First states are made where they lie, and do not depend on where that is."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tfvis_jax import config, sharding
from tfvis_jax.learning import first_state
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import whitening as whitening_lib
from tfvis_jax.models import bert
from tfvis_jax.planning import costs
from tfvis_jax.sparse_coding import dictionary as dictionary_lib

MESHES = [(8, 1), (2, 4), (1, 8)]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 6)).astype(np.float32) + 1


def _first(kind, *, mesh=None, update="energy", whitening=None, **sparsity):
    return first_state.from_sample(
        X,
        np.ones(2, np.float32),
        solver=config.SolverConfig(),
        dictionary=config.DictionaryConfig(
            n_factors=32, initialisation=kind, update=update
        ),
        whitening=whitening,
        sparsity=config.SparsityConfig(**sparsity),
        key=jax.random.key(3),
        mesh=mesh if mesh is None else sharding.make_mesh(*mesh),
    )


WHITENING = whitening_lib.fit(
    np.ones((2, 6)), np.stack([np.cov(X.T), np.cov(X.T)]), strength=0.5
)


@pytest.mark.parametrize(
    ("kind", "update", "whitening"),
    [
        *((kind, "energy", None) for kind in config.INITIALISATIONS),
        ("samples", "adam", WHITENING),
    ],
)
def test_the_first_state_is_the_same_on_every_mesh(kind, update, whitening):
    how = {"update": update, "whitening": whitening}
    alone = _first(kind, **how)
    assert {leaf.sharding.num_devices for leaf in jax.tree.leaves(alone)} == {1}
    for sizes in MESHES:
        state = _first(kind, mesh=sizes, **how)
        mesh = sharding.make_mesh(*sizes)
        for leaf, spec in zip(
            jax.tree.leaves(state),
            jax.tree.leaves(
                state_lib.partition(state, mesh),
                is_leaf=lambda leaf: isinstance(leaf, jax.P),
            ),
            strict=True,
        ):
            assert leaf.sharding.is_equivalent_to(
                jax.NamedSharding(mesh, spec), leaf.ndim
            )
        for got, expected in zip(
            jax.tree.leaves(state), jax.tree.leaves(alone), strict=True
        ):
            # Norms of rows, of 6 numbers, are summed in one order or another.
            np.testing.assert_allclose(got, expected, atol=2e-7)


def test_factors_of_samples_are_those_of_the_definition():
    expected = dictionary_lib.initialise_from_samples(
        jnp.asarray(X), n_factors=32, key=jax.random.key(3)
    )
    # The mean of 100 rows, summed in another order and precision.
    np.testing.assert_allclose(_first("samples").dictionary, expected, atol=1e-6)


def test_the_first_penalty_is_that_of_one_device():
    alone = _first("samples", target_l0=2.0)
    for sizes in ((1, 8),):
        state = _first("samples", target_l0=2.0, mesh=sizes)
        # By two solvers, each within its tolerance; λ is sought to 1 % of the L0.
        np.testing.assert_allclose(state.l1_penalty, alone.l1_penalty, rtol=0.02)


@pytest.mark.parametrize("kind", ["normal", "samples"])
def test_no_device_makes_more_than_its_share(kind):
    """A million factors over eight devices, compiled and not run."""
    settings = config.RunConfig(
        model="m",
        corpus=config.CorpusConfig(paths=("x",)),
        dictionary=config.DictionaryConfig(n_factors=2**20, initialisation=kind),
    )
    model = bert.BertConfig(
        vocab_size=50, d_model=64, n_layers=1, n_heads=2, d_hidden=64
    )
    shape = (2**20, model.d_model)
    mesh = sharding.make_mesh(1, 8)
    # As `sharding.make` compiles it.
    automatic = jax.sharding.Mesh(mesh.devices, mesh.axis_names)
    layout = jax.NamedSharding(automatic, sharding.factors(mesh))
    key = jax.random.key(0)
    if kind == "normal":

        def make(_):
            return dictionary_lib.initialise_normal(
                key, n_factors=shape[0], d_model=shape[1]
            )

        rows = None
    else:
        make = functools.partial(dictionary_lib.from_samples, key=key)
        rows = jax.ShapeDtypeStruct(shape, jnp.float32, sharding=layout)
    create = first_state.creator(make, settings.dictionary)
    arguments = rows, np.ones(1, np.float32), np.float32(0.1), None
    specs = state_lib.partition(jax.eval_shape(create, *arguments), mesh)
    layouts = jax.tree.map(lambda spec: jax.NamedSharding(automatic, spec), specs)
    compiled = jax.jit(create, out_shardings=layouts).lower(*arguments).compile()
    memory = compiled.memory_analysis()
    expected = costs.memory(settings, model, mesh=costs.Mesh(1, 8, "cpu"))
    np.testing.assert_allclose(
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes,
        expected.dictionary + expected.update_state + expected.first_factors,
        rtol=0.1,
    )
    assert "all-gather" not in compiled.as_text()

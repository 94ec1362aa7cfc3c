"""Every name stands for a whole value, and nothing public is missing or hidden."""

import dataclasses
import inspect
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import problems
import pytest

from tfvis_jax import config, errors, sparse_coding
from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import registry
from tfvis_jax.sparse_coding import solver as solver_lib


def _solver(name, *, platform="cpu", n_factors=64, split=False):
    return registry.solver(
        name, platform=platform, n_factors=n_factors, factors_are_split=split
    )


@pytest.mark.parametrize("name", config.SOLVER_VALUES)
def test_a_solver_is_a_whole_frozen_value(name):
    value = _solver(name)
    assert isinstance(value, sparse_coding.Solver)
    assert value == dataclasses.replace(value)
    assert hash(value) == hash(dataclasses.replace(value))
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.precision = "float32"
    assert value.needs_whole_dictionary in (True, False)
    assert value.first_precision("cpu") == "float32"
    sizes = {"rows": 100, "n_factors": 512}
    assert value.numbers_alive(**sizes) >= 2 * 100 * 512
    if not value.needs_whole_dictionary:
        halves = value.numbers_alive(**sizes, num_parts=2)
        assert halves == value.numbers_alive(**sizes) / 2
    assert value.num_passes(20) >= 21


def test_names_of_solvers_differ_in_what_they_stand_for():
    assert len({_solver(name) for name in config.SOLVER_VALUES}) == 5
    assert _solver("fista_restart") == sparse_coding.Fista(restart=True)
    assert _solver(sparse_coding.Ista(block_steps=3)) == sparse_coding.Ista(
        block_steps=3
    )


def test_auto_is_chosen_by_platform_size_and_layout():
    assert _solver("auto", n_factors=256) == sparse_coding.WorkingSet()
    assert _solver("auto", n_factors=255) == sparse_coding.Spectral()
    assert _solver("auto", n_factors=256, split=True) == sparse_coding.Spectral()
    assert _solver("auto", n_factors=256, platform="gpu") == sparse_coding.Spectral()


@pytest.mark.parametrize("method", sorted(solver_lib.Solver.__abstractmethods__))
def test_a_solver_that_lacks_something_cannot_be_made(method):
    members = {
        name: getattr(sparse_coding.WorkingSet, name)
        for name in solver_lib.Solver.__abstractmethods__ - {method}
    }
    lacking = type("Lacking", (solver_lib.Solver,), members)
    with pytest.raises(TypeError, match=method):
        lacking()
    with pytest.raises(TypeError, match="abstract"):
        sparse_coding.DenseSolver()


def test_a_solver_of_ones_own_is_a_value_like_any():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Lazy(sparse_coding.Ista):
        def step(self, state, problem):
            return super().step(super().step(state, problem), problem)

    x, dictionary = problems.sums_of_factors()
    settings = {"l1_penalty": 0.2, "tolerance": 0}
    got = sparse_coding.encode(x, dictionary, solver=Lazy(), max_steps=20, **settings)
    expected = sparse_coding.encode(
        x, dictionary, solver="ista", max_steps=40, **settings
    )
    np.testing.assert_allclose(got.codes, expected.codes, atol=1e-5)


@pytest.mark.parametrize("name", config.PURSUITS)
def test_a_pursuit_is_a_whole_frozen_value(name):
    value = registry.pursuit(name)
    assert isinstance(value, sparse_coding.Pursuit)
    assert registry.pursuit(value) is value
    assert hash(value) == hash(type(value)())


@pytest.mark.parametrize("name", config.UPDATES)
def test_an_update_is_a_whole_value_with_the_settings_of_a_run(name):
    settings = config.DictionaryConfig(
        update=name, energy_length=7, energy_floor=0.1, bias_correction=False
    )
    value = registry.update(settings)
    assert isinstance(value, sparse_coding.Update)
    assert hash(value) == hash(registry.update(settings))
    x, dictionary = problems.sums_of_factors()
    codes = jnp.asarray(np.maximum(x @ dictionary.T, 0))
    ones = jnp.ones(len(x))
    rows = {"n_rows": jnp.float32(len(x)), "token_weights": ones, "like": dictionary}
    gradient = dictionary_lib.reconstruction_gradient(
        codes, x - codes @ dictionary, **rows
    )
    transformation = value.transformation()
    # optax's Adam mixes types.
    with jax.numpy_dtype_promotion("standard"):
        direction, _ = transformation.update(
            gradient,
            transformation.init(jnp.asarray(dictionary)),
            jnp.asarray(dictionary),
            **value.curvature(codes, **rows),
        )
    assert direction.shape == dictionary.shape
    assert float(jnp.sum(direction * gradient)) > 0
    alive = value.numbers_alive(n_factors=64)
    assert alive == {"online": 64**2, "newton": 2 * 64**2}.get(name, 0)
    assert value.needs_whole_dictionary == (name in ("online", "newton"))


def test_updates_take_what_concerns_them():
    settings = config.DictionaryConfig(
        energy_length=7, energy_floor=0.1, bias_correction=False, weigh_energy=False
    )
    assert registry.update(settings) == sparse_coding.CodeEnergy(
        length=7, floor=0.1, bias_correction=False, weigh=False
    )
    online = dataclasses.replace(settings, update="online")
    assert registry.update(online) == sparse_coding.Surrogate(length=7)
    plain = registry.update(dataclasses.replace(settings, update="gradient"))
    gradient = jnp.ones((3, 2))
    got, _ = plain.transformation().update(gradient, optax.EmptyState(), gradient)
    np.testing.assert_array_equal(got, gradient)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": (64, 32)}, "ascending `sizes`"),
        ({"sizes": (0,)}, "`sizes` to be a whole number"),
        ({"inner_steps": 0}, "`inner_steps` to be a whole number"),
        ({"dense_steps": 0.5}, "`dense_steps` to be a whole number"),
    ],
)
def test_impossible_working_sets_are_refused(settings, message):
    with pytest.raises(errors.InputError, match=message):
        sparse_coding.WorkingSet(**settings)


def test_public_names_are_there_and_documented():
    for name in sparse_coding.__all__:
        value = getattr(sparse_coding, name)
        assert not isinstance(value, types.ModuleType), name
        if name != "GAP_FLOOR":
            assert inspect.getdoc(value), name
    assert dir(sparse_coding) == sorted(sparse_coding.__all__)
    # A function named as a module would hide it.
    for name in sparse_coding.__all__:
        with pytest.raises(ModuleNotFoundError):
            __import__(f"tfvis_jax.sparse_coding.{name}")


def test_signatures_are_those_of_the_functions():
    parameters = inspect.signature(sparse_coding.decode).parameters
    assert list(parameters) == ["codes", "dictionary"]
    assert isinstance(
        sparse_coding.decode(jnp.ones((2, 3)), jnp.ones((3, 4))), jax.Array
    )

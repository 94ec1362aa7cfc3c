"""Training steps of the paper preset against the published algorithm in float64."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from tfvis_jax import config
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step
from tfvis_jax.sparse_coding import encode
from tfvis_jax.sparse_coding import target_l0 as target_l0_lib

N_FACTORS, D_MODEL, ROWS = 12, 6, 30


@pytest.fixture
def paper():
    settings = config.RunConfig.paper(model="m", paths=("t",), n_layers=2)
    return dataclasses.replace(
        settings,
        solver=dataclasses.replace(settings.solver, max_steps=50),
        dictionary=dataclasses.replace(settings.dictionary, n_factors=N_FACTORS),
    )


def _batch(rng):
    x = rng.normal(size=(ROWS, D_MODEL)).astype(np.float32)
    return x, rng.integers(1, 50, size=ROWS)


def _first_dictionary():
    dictionary = np.random.default_rng(0).normal(size=(N_FACTORS, D_MODEL))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    return dictionary.astype(np.float32)


def _create(settings):
    return state_lib.create(
        jnp.asarray(_first_dictionary()),
        jnp.ones((1,)),
        l1_penalty=settings.solver.l1_penalty,
        config=settings.dictionary,
    )


def _step(settings, state, x, weights, valid, *, progress=0.0):
    return step.train_step(
        state,
        x,
        weights,
        valid,
        progress=jnp.float32(progress),
        solver=settings.solver,
        dictionary=settings.dictionary,
        sparsity=settings.sparsity,
    )


def test_twenty_steps_equal_the_published_algorithm(paper):
    rng = np.random.default_rng(1)
    state = _create(paper)
    basis, energy = np.float64(_first_dictionary().T), np.zeros(N_FACTORS)
    for _ in range(20):
        x, frequency = _batch(rng)
        weights = (1 / np.sqrt(frequency)).astype(np.float32)
        state, metrics = _step(paper, state, x, weights, np.ones(ROWS, bool))
        codes, residual = reference.fista(np.float64(x).T, basis, 0.3, 50)
        energy = reference.update_energy(energy, codes)
        basis = reference.quadratic_basis_update(
            basis,
            reference.weight_residual(residual, frequency),
            codes,
            floor=0.001,
            energy=energy,
            step_size=0.005,
        )
        np.testing.assert_allclose(
            metrics.squared_error, np.sum(residual**2), rtol=1e-4
        )
    # 20 × 50 steps in float32, each dictionary step divided by an energy near zero.
    np.testing.assert_allclose(state.dictionary.T, basis, atol=1e-4)
    assert np.abs(basis.T - _first_dictionary()).max() > 0.05


def test_padding_rows_change_nothing(paper):
    x, _ = _batch(np.random.default_rng(2))
    weights, valid = np.ones(ROWS, np.float32), np.ones(ROWS, bool)
    plain, metrics = _step(paper, _create(paper), x, weights, valid)
    padded, padded_metrics = _step(
        paper,
        _create(paper),
        np.concatenate([x, np.zeros_like(x[:9])]),
        np.concatenate([weights, 5 * weights[:9]]),
        np.concatenate([valid, ~valid[:9]]),
    )
    np.testing.assert_allclose(padded.dictionary, plain.dictionary, atol=1e-6)
    for got, expected in zip(padded_metrics, metrics, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_metrics_equal_their_definitions(paper):
    default = dataclasses.replace(
        paper, solver=config.SolverConfig(l1_penalty=0.2, tolerance=1e-5)
    )
    x, _ = _batch(np.random.default_rng(3))
    ones = np.ones(ROWS, np.float32)
    _, metrics = _step(default, _create(default), x, ones, ones > 0)
    codes, residual = reference.fista(
        np.float64(x).T, np.float64(_first_dictionary().T), 0.2, 3000
    )
    assert int(metrics.n_rows) == ROWS
    np.testing.assert_allclose(metrics.squared_norm, np.sum(x**2), rtol=1e-6)
    # The codes stop at a gap of 1e-5 of half the squared norm.
    np.testing.assert_allclose(metrics.squared_error, np.sum(residual**2), rtol=1e-2)
    assert abs(int(metrics.n_active) - np.count_nonzero(codes > 1e-6)) <= 3
    assert 0 <= metrics.max_gap <= 1e-5
    assert metrics.gap <= ROWS * metrics.max_gap


def test_a_step_compiles_once(paper):
    step.train_step.clear_cache()
    state = _create(paper)
    for seed in range(3):
        x, _ = _batch(np.random.default_rng(seed))
        ones = np.ones(ROWS, np.float32)
        state, _ = _step(paper, state, x, ones, ones > 0, progress=0.1 * seed)
    jax.block_until_ready(state.dictionary)
    assert step.train_step._cache_size() == 1


def test_the_step_size_falls_linearly_with_progress():
    settings = config.DictionaryConfig(step_size=0.4, final_step_fraction=0.25)
    sizes = [
        state_lib.step_size(settings, progress=jnp.float32(p)) for p in (0, 0.5, 1)
    ]
    np.testing.assert_allclose(sizes, [0.4, 0.25, 0.1], rtol=1e-6)


def test_lambda_follows_the_target_l0(paper):
    settings = dataclasses.replace(
        paper,
        solver=config.SolverConfig(l1_penalty=0.5, tolerance=1e-4),
        sparsity=config.SparsityConfig(target_l0=4.0),
    )
    state = _create(settings)
    rng = np.random.default_rng(4)
    ones = np.ones(ROWS, np.float32)
    l0 = []
    for _ in range(150):
        state, metrics = _step(settings, state, _batch(rng)[0], ones, ones > 0)
        l0.append(float(metrics.n_active) / ROWS)
    assert l0[0] < 3.5
    # Batches of 30 rows differ by themselves; their mean is what is kept.
    assert abs(np.mean(l0[-50:]) / 4.0 - 1) < 0.05


def test_lambda_warms_up_before_it_follows(paper):
    settings = dataclasses.replace(
        paper,
        solver=config.SolverConfig(l1_penalty=0.1, tolerance=1e-4),
        sparsity=config.SparsityConfig(l1_warmup=4.0, target_l0=4.0),
    )
    rng, ones = np.random.default_rng(4), np.ones(ROWS, np.float32)
    used, kept = [], []
    for progress in (0, 0.15, 0.31, 0.9):
        state, metrics = _step(
            settings,
            _create(settings),
            _batch(rng)[0],
            ones,
            ones > 0,
            progress=progress,
        )
        used.append(metrics.l1_penalty)
        kept.append(float(state.l1_penalty))
    np.testing.assert_allclose(used, [0.4, 0.2, 0.1, 0.1], rtol=1e-6)
    assert kept[:2] == [np.float32(0.1)] * 2
    assert all(abs(value - 0.1) > 1e-4 for value in kept[2:])


def test_layers_come_to_have_as_many_active_factors(paper):
    """Layer 1 begins with rows four times as long as layer 0; layer 2 has no rows."""
    settings = dataclasses.replace(
        paper, solver=config.SolverConfig(l1_penalty=0.5, tolerance=1e-4)
    )
    x = np.random.default_rng(5).normal(size=(400, D_MODEL)).astype(np.float32)
    layer = np.arange(400, dtype=np.int32) % 2
    ones = np.ones(400, np.float32)
    scale = jnp.array([2.0, 0.5, 3.0])

    def l0(scale):
        found = encode(
            x / np.asarray(scale)[layer][:, None], _first_dictionary(), l1_penalty=0.5
        )
        n_active = np.count_nonzero(found.codes, axis=1)
        return n_active[layer == 0].mean(), n_active[layer == 1].mean()

    few, many = l0(scale)
    assert many > 2 * few
    for _ in range(60):
        state = state_lib.create(
            jnp.asarray(_first_dictionary()),
            scale,
            l1_penalty=0.5,
            config=settings.dictionary,
        )
        state, _ = step.train_step(
            state,
            x / np.asarray(scale)[layer][:, None],
            ones,
            ones > 0,
            progress=jnp.float32(0),
            solver=settings.solver,
            dictionary=settings.dictionary,
            layer=layer,
        )
        scale = state.layer_scale
    np.testing.assert_allclose(*l0(scale), rtol=0.03)
    np.testing.assert_allclose(np.prod(scale), 3, rtol=1e-4)


@pytest.mark.parametrize("layers", [3, 1])
def test_equal_numbers_of_active_factors_leave_the_scales(layers):
    rng = np.random.default_rng(0)
    codes = np.zeros((12, 5), np.float32)
    codes[:, 0] = rng.exponential(size=12)
    layer, valid = np.arange(12, dtype=np.int32) % layers, np.arange(12) < 9
    # Padding does not count.
    codes[9:] = 1
    scale = jnp.linspace(1.0, 2.0, layers)
    got = target_l0_lib.equalise(scale, jnp.asarray(codes), layer, valid)
    np.testing.assert_allclose(got, scale, rtol=1e-6)


def test_a_factor_that_cannot_fire_is_revived_from_the_worst_row(paper):
    settings = dataclasses.replace(
        paper,
        solver=config.SolverConfig(l1_penalty=0.2, tolerance=1e-4),
        dictionary=dataclasses.replace(paper.dictionary, revive_after=3),
    )
    rng = np.random.default_rng(5)
    # All rows lie on one side of a plane that one factor points away from.
    away = np.eye(D_MODEL, dtype=np.float32)[0]
    factors = _first_dictionary()
    factors[:, 0] = np.abs(factors[:, 0])
    factors[7] = -away
    state = dataclasses.replace(_create(settings), dictionary=jnp.asarray(factors))
    ones = np.ones(ROWS, np.float32)
    revived = []
    for _ in range(4):
        x, _ = _batch(rng)
        x[:, 0] = 5 + np.abs(x[:, 0])
        state, metrics = _step(settings, state, x, ones, ones > 0)
        revived.append(int(metrics.n_revived))
    assert revived[:2] == [0, 0] and sum(revived) >= 1
    assert np.asarray(state.dictionary[7]) @ -away < 0.9
    np.testing.assert_allclose(np.linalg.norm(state.dictionary, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("update", config.UPDATES)
def test_every_update_lowers_the_objective(paper, update):
    step_sizes = {"energy": 0.2, "gradient": 0.2, "adam": 0.02, "online": 1.0}
    step_size = (step_sizes | {"newton": 0.5})[update]
    settings = dataclasses.replace(
        paper,
        solver=config.SolverConfig(l1_penalty=0.2, tolerance=1e-4),
        dictionary=dataclasses.replace(
            paper.dictionary,
            update=update,
            step_size=step_size,
            energy_length=10,
            bias_correction=True,
        ),
    )
    x, _ = _batch(np.random.default_rng(6))
    ones = np.ones(ROWS, np.float32)
    state, errors = _create(settings), []
    for _ in range(40):
        # optax's Adam raises a float to an integer power.
        with jax.numpy_dtype_promotion("standard"):
            state, metrics = _step(settings, state, x, ones, ones > 0)
        errors.append(float(metrics.squared_error / metrics.squared_norm))
    assert errors[-1] < 0.8 * errors[0]

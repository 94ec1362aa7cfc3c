"""Training steps of the paper preset against the published algorithm in float64."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from tfvis_jax import config
from tfvis_jax.training import state as state_lib
from tfvis_jax.training import step

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

"""Nested dictionaries: codes, one step against NumPy, and what they are for."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from benchmarks.ground_truth import nested_learning, recovery
from tfvis_jax import config
from tfvis_jax.learning import learn

N_FACTORS, D_MODEL, ROWS = 16, 16, 48
# One program for all tests.
_infer = jax.jit(nested_learning.infer)


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _state(rng, n_factors=N_FACTORS):
    factors = jnp.asarray(_unit(rng.normal(size=(n_factors, D_MODEL))), jnp.float32)
    return nested_learning.NestedState(
        factors=factors,
        offset=jnp.asarray(rng.normal(size=D_MODEL), jnp.float32),
        l1_penalty=jnp.float32(0.1),
        rates=jnp.asarray(rng.uniform(0, 0.3, size=n_factors), jnp.float32),
        energy=nested_learning._ENERGY.init(factors),
    )


def test_levels_end_where_matryoshka_prefixes_do():
    assert nested_learning.prefix_sizes(128) == (4, 12, 28, 60, 128)
    # Levels without a factor are left out.
    assert nested_learning.prefix_sizes(4) == (1, 2, 4)


def test_orthogonal_factors_get_thresholded_correlations():
    rng = np.random.default_rng(0)
    factors = np.linalg.qr(rng.normal(size=(D_MODEL, D_MODEL)))[0].T
    y = rng.normal(size=(ROWS, D_MODEL))
    codes = _infer(
        jnp.asarray(y, jnp.float32),
        jnp.asarray(factors, jnp.float32),
        l1_penalty=jnp.float32(0.5),
    )
    # What one level leaves does not concern another, and refitting undoes the λ. A gap
    # of 1e-2 · ½‖y‖² leaves out what exceeds λ by less than 0.1 ‖y‖.
    correlations = y @ factors.T
    norms = np.linalg.norm(y, axis=1, keepdims=True)
    certain = (correlations < 0.5) | (correlations > 0.5 + 0.1 * norms)
    expected = np.where(correlations > 0.5, correlations, 0)
    assert np.mean(certain) > 0.7 and np.mean(expected[certain] > 0) > 0.1
    np.testing.assert_allclose(np.asarray(codes)[certain], expected[certain], atol=1e-4)


def test_each_level_codes_what_the_shorter_prefixes_leave():
    rng = np.random.default_rng(1)
    state = _state(rng)
    y = rng.normal(size=(ROWS, D_MODEL))
    codes = np.float64(
        _infer(jnp.asarray(y, jnp.float32), state.factors, l1_penalty=jnp.float32(0.4))
    )
    factors, start = np.float64(state.factors), 0
    for end in nested_learning.prefix_sizes(N_FACTORS):
        assert np.any(codes[:, start:end])
        for row, code in zip(y, codes, strict=True):
            left = row - code[:start] @ factors[:start]
            support = start + np.flatnonzero(code[start:end])
            if len(support):
                expected, _ = scipy.optimize.nnls(factors[support].T, left)
                # Refitting ends at a correlation of 1e-5, of factors that are not
                # orthogonal.
                np.testing.assert_allclose(code[support], expected, atol=2e-3)
        start = end


def _move(factors, offset, rates, energy, weight, x, codes, step_size):
    """The docstring's equations, a factor at a time, in float64."""
    ends = nested_learning.prefix_sizes(len(factors))
    y = x - offset
    left = [y - codes[:, :end] @ factors[:end] for end in ends]
    decay = 1 - 1 / 100
    energy = decay * energy + (1 - decay) * np.mean(codes**2, axis=0)
    weight = decay * weight + (1 - decay)
    squares = (rates + 1e-4) ** 2
    moved = np.empty_like(factors)
    for f in range(len(factors)):
        level = next(number for number, end in enumerate(ends) if f < end)
        weights = [1.0] * (len(ends) - 1 - level) + [4.0]
        mean = np.average(left[level:], axis=0, weights=weights)
        gradient = -codes[:, f] @ mean / len(x)
        push = sum(
            2
            * squares[g]
            / (squares[f] + squares[g])
            * (factors[f] @ factors[g])
            * factors[g]
            for g in range(len(factors))
            if g != f
        )
        direction = gradient / (energy[f] / weight + 1e-5)
        moved[f] = factors[f] - step_size * (direction + 0.1 * push)
    offset = offset + 0.3 * step_size * left[-1].mean(axis=0)
    rates = 0.99 * rates + 0.01 * np.mean(codes > 0, axis=0)
    return _unit(moved), offset, rates, energy, weight


def test_steps_are_those_of_a_transcription():
    rng = np.random.default_rng(2)
    state = _state(rng)
    expected = [np.float64(a) for a in (state.factors, state.offset, state.rates)]
    expected += [np.zeros(N_FACTORS), 0.0]
    for step_size in (0.15, 0.1):
        x = rng.normal(size=(ROWS, D_MODEL))
        codes = rng.exponential(size=(ROWS, N_FACTORS))
        codes *= rng.random(codes.shape) < 0.1
        state = nested_learning.move(
            state,
            jnp.asarray(x, jnp.float32),
            jnp.asarray(codes, jnp.float32),
            step_size=jnp.float32(step_size),
        )
        expected = _move(*expected, x, codes, step_size)
    found = (state.factors, state.offset, state.rates, state.energy.energy)
    for got, wanted in zip(found, expected, strict=False):
        # Sums of some dozens of float32 terms of size 1.
        np.testing.assert_allclose(got, wanted, atol=2e-5)


def test_sorting_moves_a_factor_with_all_that_belongs_to_it():
    state = _state(np.random.default_rng(3), n_factors=5)
    rates = np.float32([0.1, 0.3, 0.0, 0.2, 0.4])
    energy = state.energy._replace(energy=jnp.arange(5.0))
    found = nested_learning.sort_by_rate(
        state._replace(rates=jnp.asarray(rates), energy=energy)
    )
    order = [4, 1, 3, 0, 2]
    np.testing.assert_array_equal(found.rates, rates[order])
    np.testing.assert_array_equal(found.factors, np.asarray(state.factors)[order])
    np.testing.assert_array_equal(found.energy.energy, order)


def test_nesting_recovers_what_plain_learning_absorbs():
    # Four features, each with three others that never fire without it.
    rng = np.random.default_rng(1)
    features = np.linalg.qr(rng.normal(size=(D_MODEL, D_MODEL)))[0]
    parents = rng.random((4096, 4)) < 0.4
    which = rng.integers(0, 4, size=(4096, 4))
    children = parents[:, :, None] & (which[:, :, None] == np.arange(3))
    fires = np.concatenate([parents, children.reshape(4096, 12)], axis=1)
    x = np.float32((fires * rng.uniform(0.8, 1.2, size=fires.shape)) @ features)
    centred = x - x.mean(axis=0)
    scale = np.sqrt(np.mean(np.sum(centred**2, axis=1)))
    l0 = np.count_nonzero(fires) / len(x)
    ours = nested_learning.learn(
        x / scale, n_factors=N_FACTORS, l0=l0, num_passes=20, seed=0
    )
    # The controller holds the L0 that was asked for.
    assert abs(float(jnp.sum(ours.rates)) / l0 - 1) < 0.1
    plain = learn(
        centred / scale,
        solver=config.SolverConfig(l1_penalty=0.1),
        dictionary=config.DictionaryConfig(n_factors=N_FACTORS),
        num_passes=20,
        rows_per_step=256,
    )
    nested_mcc, plain_mcc = (
        recovery.mean_matched_cosine(recovery.absolute_cosines(factors, features))
        for factors in (ours.factors, plain.dictionary)
    )
    # 0.11 apart, and 0.07 to 0.11 in three such worlds.
    assert nested_mcc > plain_mcc + 0.05

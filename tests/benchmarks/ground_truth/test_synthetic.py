"""Synthetic worlds: every law of the generator against its definition."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from benchmarks.ground_truth import synthetic, world_config
from tfvis_jax import errors

SMALL = {
    "n_true": 96,
    "d_model": 32,
    "n_roots": 4,
    "branching": 3,
    "depth": 2,
    "correlation_rank": 3,
    "orthogonal_steps": 20,
}


def _config(**changes):
    return world_config.WorldConfig(**{**SMALL, **changes})


@functools.cache
def _drawn(n_batches=10, batch_size=4000, **changes):
    """A world and many of its true codes, [rows, n_true]."""
    world = synthetic.make_world(jax.random.key(0), _config(**changes))
    batches = [
        synthetic.sample(jax.random.key(1 + i), world, batch_size=batch_size)
        for i in range(n_batches)
    ]
    x, codes = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return world, x.astype(np.float64), codes.astype(np.float64)


def _families(config):
    """Every parent with its children, from the definition: breadth first, in turn."""
    parent, child = 0, config.n_roots
    while child + config.branching <= config.in_trees:
        yield parent, list(range(child, child + config.branching))
        parent, child = parent + 1, child + config.branching


def _within_sampling_error(got, expected, *, n):
    """Whether rates agree within 5 standard deviations, and 4.5 % of the rate.

    The second part is for the copula's correlations, which `expected_rates` ignores.
    """
    deviation = np.sqrt(expected * (1 - expected) / n)
    return np.all(np.abs(got - expected) <= 5 * deviation + 0.045 * expected)


def test_published_world_is_the_default():
    config = world_config.WorldConfig()
    rates = world_config.base_rates(config)
    expected = world_config.expected_rates(rates, config)
    np.testing.assert_allclose(rates[[0, -1]], [0.4, 5e-4])
    assert config.in_trees == 128 * (1 + 4 + 16 + 64)
    # As published: about 34 features fire in a row, 25 of them among the first 4,096.
    assert abs(np.sum(expected) - 34) < 1
    assert abs(np.sum(expected[:4096]) - 25) < 0.5


def test_base_rates_are_zipfian():
    config = _config(zipf_exponent=0.7, max_rate=0.3, min_rate=0.01)
    rates = world_config.base_rates(config)
    ranks = np.arange(1, config.n_true + 1)
    # Affine in rank^-exponent: a straight line through the two ends.
    line = np.polyfit(ranks**-0.7, rates, 1)
    np.testing.assert_allclose(np.polyval(line, ranks**-0.7), rates, rtol=1e-9)
    np.testing.assert_allclose(rates[[0, -1]], [0.3, 0.01])


def test_features_are_unit_and_pushed_apart():
    start = synthetic.make_world(jax.random.key(0), _config(orthogonal_steps=0))
    world = synthetic.make_world(jax.random.key(0), _config(orthogonal_steps=100))
    for drawn in (start, world):
        np.testing.assert_allclose(np.linalg.norm(drawn.features, axis=1), 1, rtol=1e-5)
    assert synthetic.mean_largest_cosine(world.features) < (
        synthetic.mean_largest_cosine(start.features) - 0.01
    )
    np.testing.assert_allclose(np.linalg.norm(world.bias), 0.5, rtol=1e-5)


def test_orthogonal_steps_follow_the_loss():
    config = _config(orthogonal_steps=1, orthogonal_rate=1e-3)
    start = synthetic.make_world(
        jax.random.key(3), _config(orthogonal_steps=0)
    ).features
    stepped = synthetic.make_world(jax.random.key(3), config).features

    def loss(features):
        gram = features @ features.T
        away = jnp.sum((jnp.diag(gram) - 1) ** 2)
        return jnp.sum(jnp.triu(gram, 1) ** 2) * 2 + config.n_true * away

    # Adam's first step is the sign of the gradient times the rate.
    moved = start - 1e-3 * jnp.sign(jax.grad(loss)(start))
    moved = moved / jnp.linalg.norm(moved, axis=1, keepdims=True)
    # Entries whose gradient is nearly 0 may take either sign.
    agree = np.isclose(stepped, moved, atol=1e-6)
    assert np.mean(agree) > 0.99


def test_mean_largest_cosine_matches_its_definition(monkeypatch):
    monkeypatch.setattr(synthetic, "_CHUNK", 7)
    features = np.random.default_rng(0).normal(size=(30, 8))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    expected = [
        max(abs(features[i] @ features[j]) for j in range(30) if j != i)
        for i in range(30)
    ]
    got = synthetic.mean_largest_cosine(features)
    np.testing.assert_allclose(got, np.mean(expected))


def test_rows_are_sums_of_features():
    world, x, codes = _drawn()
    expected = codes @ np.float64(world.features) + np.float64(world.bias)
    np.testing.assert_allclose(x, expected, atol=1e-4)


def test_noise_has_the_stated_deviation():
    world, x, codes = _drawn(n_batches=1, noise=0.3)
    rest = x - codes @ np.float64(world.features) - np.float64(world.bias)
    # 128,000 normals know their deviation to 0.2 %.
    np.testing.assert_allclose(np.std(rest), 0.3, rtol=0.01)
    # Signal to noise: energy of the codes' part over that of the noise.
    signal = np.mean(np.sum((x - rest) ** 2, axis=1))
    assert signal / np.mean(np.sum(rest**2, axis=1)) > 1


@pytest.mark.parametrize("exclusive", [True, False])
def test_children_fire_only_with_their_parent(exclusive):
    world, _, codes = _drawn(exclusive=exclusive)
    together = 0
    for parent, children in _families(world.config):
        active = codes[:, children] > 0
        assert not np.any(active[codes[:, parent] == 0])
        together += np.sum(np.sum(active, axis=1) > 1)
    assert (together == 0) == exclusive


def test_children_follow_their_parents_magnitude():
    world, _, codes = _drawn(spread_mean=0.5, spread_std=0.0)
    plain = _drawn(spread_mean=0.5, spread_std=0.0, scale_by_parent=False)[2]
    magnitudes = np.asarray(world.magnitudes, np.float64)
    # The same random numbers, so the same firings, with and without the scaling.
    np.testing.assert_array_equal(codes > 0, plain > 0)
    for parent, children in _families(world.config):
        scale = codes[:, [parent]] / magnitudes[parent]
        np.testing.assert_allclose(
            codes[:, children], plain[:, children] * scale, rtol=1e-5
        )


def test_magnitudes_have_the_stated_law():
    world, _, codes = _drawn(scale_by_parent=False)
    magnitudes = np.asarray(world.magnitudes, np.float64)
    np.testing.assert_allclose(
        magnitudes, np.linspace(5, 4, world.config.n_true), rtol=1e-6
    )
    for feature in range(10):
        fired = codes[codes[:, feature] > 0, feature]
        spread = float(world.spreads[feature])
        error = spread / np.sqrt(len(fired))
        assert abs(np.mean(fired) - magnitudes[feature]) < 5 * error
        # The deviation of a sample of hundreds is known to some percent.
        np.testing.assert_allclose(np.std(fired), spread, rtol=0.25)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("scale", [0.0, 0.1])
def test_features_fire_at_the_expected_rates(exclusive, scale):
    world, _, codes = _drawn(exclusive=exclusive, correlation_scale=scale)
    base = world_config.base_rates(world.config)
    expected = world_config.expected_rates(base, world.config)
    got = np.mean(codes > 0, axis=0)
    assert _within_sampling_error(got, expected, n=len(codes))
    assert not _within_sampling_error(got, 1.2 * expected, n=len(codes))


def test_compensation_restores_rates_where_nothing_is_cut_off():
    config = _config(max_rate=0.3, min_rate=1e-3, exclusive=False, zipf_exponent=1.5)
    base = world_config.base_rates(config)
    assert np.all(base[1:] <= base[:-1])
    for parent, children in _families(config):
        assert np.all(base[children] <= base[parent])
    np.testing.assert_allclose(world_config.expected_rates(base, config), base)


def test_survival_of_a_lot_is_exact():
    rates = np.array([0.4, 0.2, 0.15, 0.1, 0.05])
    config = _config(n_true=5, n_roots=1, branching=4, depth=1)
    given = np.minimum(rates[1:] / 0.4 * (1 + (np.sum(rates[1:]) - rates[1:]) / 0.4), 1)
    for child in range(4):
        others = np.delete(given, child)
        survival = scipy.integrate.quad(
            lambda u, others=others: np.prod(1 - others * u), 0, 1
        )[0]
        got = world_config.expected_rates(rates, config)[1 + child]
        np.testing.assert_allclose(got, 0.4 * given[child] * survival)


def test_mean_l0_is_what_was_asked_for():
    world, _, codes = _drawn(mean_l0=6.0)
    base = world_config.base_rates(world.config)
    expected = np.sum(world_config.expected_rates(base, world.config))
    np.testing.assert_allclose(expected, 6.0, rtol=1e-6)
    # The copula's correlations are not in the expectation.
    np.testing.assert_allclose(np.mean(np.sum(codes > 0, axis=1)), 6.0, rtol=0.02)


def test_roots_correlate_as_the_copula_says():
    world, _, codes = _drawn(
        n_true=12, n_roots=12, depth=0, correlation_scale=0.4, n_batches=25
    )
    factor = np.asarray(world.correlations, np.float64)
    thresholds = np.asarray(world.thresholds, np.float64)
    fires = codes > 0
    for i, j in ((0, 1), (2, 5), (3, 4), (0, 7)):
        correlation = factor[i] @ factor[j]
        normal = scipy.stats.multivariate_normal(
            cov=[[1, correlation], [correlation, 1]]
        )
        both = normal.cdf(-thresholds[[i, j]])
        got = np.mean(fires[:, i] & fires[:, j])
        assert abs(got - both) < 5 * np.sqrt(both / len(codes))
        apart = np.mean(fires[:, i]) * np.mean(fires[:, j])
        if abs(correlation) > 0.2:
            assert abs(got - apart) > abs(got - both)


def test_sampling_is_deterministic_and_jittable():
    world = synthetic.make_world(jax.random.key(0), _config())
    again = synthetic.make_world(jax.random.key(0), _config())
    x, codes = synthetic.sample(jax.random.key(5), world, batch_size=8)
    other = jax.jit(lambda key, w: synthetic.sample(key, w, batch_size=8))(
        jax.random.key(5), again
    )
    np.testing.assert_array_equal(codes, other[1])
    np.testing.assert_allclose(x, other[0], rtol=1e-6, atol=1e-6)
    assert x.shape == (8, 32) and codes.shape == (8, 96)
    different = synthetic.sample(jax.random.key(6), world, batch_size=8)[1]
    assert not np.array_equal(codes, different)


def test_sized_keeps_the_share_of_trees():
    config = world_config.WorldConfig.sized(n_true=512, d_model=64, noise=0.1)
    assert config.n_roots == 4 and config.noise == 0.1
    assert config.in_trees / config.n_true == pytest.approx(10880 / 16384)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_roots": 10}, "at least 130 features"),
        ({"max_rate": 1.5}, "max_rate"),
        ({"d_model": 0}, "d_model"),
        ({"mean_l0": 1000.0}, "mean_l0"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(errors.InputError, match=message):
        synthetic.make_world(jax.random.key(0), _config(**changes))

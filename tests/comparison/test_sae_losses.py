"""Losses against NumPy and against what they must not touch."""

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.comparison import losses, sae


def _case(seed=0, batch=20, d_model=7, n_factors=12):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, d_model))
    codes = rng.exponential(size=(batch, n_factors)) * (rng.random(n_factors) < 0.5)
    decoder = rng.normal(size=(n_factors, d_model))
    offset = rng.normal(size=d_model)
    return x, codes, decoder, offset


def test_nested_error_averages_over_prefixes():
    x, codes, decoder, offset = _case()
    errors = []
    for size in (2, 5, 12):
        residual = x - offset - codes[:, :size] @ decoder[:size]
        errors.append((residual**2).sum(axis=1).mean())
    got, left = losses.nested_error(
        *(jnp.float32(a) for a in (x, codes, decoder)),
        offset=jnp.float32(offset),
        prefixes=(2, 5, 12),
    )
    # Sums of some hundred float32 squares.
    np.testing.assert_allclose(got, np.mean(errors), rtol=1e-5)
    np.testing.assert_allclose(left, residual, atol=2e-5)


def test_one_prefix_is_the_plain_error():
    x, codes, decoder, offset = (np.float32(a) for a in _case())
    got, left = losses.nested_error(x, codes, decoder, offset=offset, prefixes=(12,))
    np.testing.assert_allclose(got, np.mean(np.sum(left**2, axis=1)), rtol=1e-6)


def test_prefixes_are_the_published_ones():
    config = sae.SAEConfig(kind="matryoshka", n_factors=65_536)
    assert sae.prefix_sizes(config) == (2048, 6144, 14_336, 30_720, 65_536)
    assert sae.prefix_sizes(
        sae.SAEConfig(kind="matryoshka", n_factors=1, target_l0=1)
    ) == (1,)
    assert sae.prefix_sizes(sae.SAEConfig(n_factors=64)) == (64,)


def test_dead_factors_explain_the_residual_with_their_largest_preactivations():
    rng = np.random.default_rng(1)
    p = rng.normal(size=(20, 12))
    residual, _, decoder, _ = _case()
    dead = np.arange(12) % 2 == 0
    candidates = np.where(dead, np.maximum(p, 0), 0)
    # d_model 7: the three largest of each row.
    floor = np.sort(candidates, axis=1)[:, -3][:, None]
    codes = np.where(candidates >= floor, candidates, 0)
    expected = ((residual - codes @ decoder) ** 2).sum() / (residual**2).sum()
    got = losses.dead_factor_error(
        *(jnp.float32(a) for a in (p, residual, decoder)), dead=dead
    )
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_the_auxiliary_loss_leaves_living_factors_alone():
    p = np.float32(np.random.default_rng(1).normal(size=(20, 12)))
    residual, _, decoder, _ = (np.float32(a) for a in _case())
    dead = np.arange(12) < 4

    def loss(p, residual, decoder):
        return losses.dead_factor_error(p, residual, decoder, dead=dead)

    to_p, to_residual, to_decoder = jax.grad(loss, argnums=(0, 1, 2))(
        p, residual, decoder
    )
    np.testing.assert_array_equal(to_residual, 0)
    np.testing.assert_array_equal(to_p[:, ~dead], 0)
    np.testing.assert_array_equal(to_decoder[~dead], 0)
    assert np.abs(to_decoder[dead]).max() > 0
    assert np.abs(to_p[:, dead]).max() > 0


def test_the_auxiliary_loss_is_zero_without_dead_factors_and_finite_without_residual():
    p = np.float32(np.random.default_rng(1).normal(size=(20, 12)))
    residual, _, decoder, _ = (np.float32(a) for a in _case())
    none = losses.dead_factor_error(p, residual, decoder, dead=np.zeros(12, bool))
    assert float(none) == 0
    perfect = losses.dead_factor_error(
        p, np.zeros_like(residual), decoder, dead=np.ones(12, bool)
    )
    assert np.isfinite(perfect)


def test_the_tangent_part_is_what_is_orthogonal_to_each_factor():
    rng = np.random.default_rng(2)
    factors = rng.normal(size=(5, 8))
    factors = np.float32(factors / np.linalg.norm(factors, axis=1, keepdims=True))
    across = rng.normal(size=(5, 8))
    across -= np.sum(across * factors, axis=1, keepdims=True) * factors
    gradient = np.float32(across + rng.normal(size=(5, 1)) * factors)
    np.testing.assert_allclose(losses.tangent(gradient, factors), across, atol=2e-6)

"""What a sparse autoencoder minimises, besides its sparsity penalty."""

import itertools

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import selection


def nested_error(
    x: jax.Array,
    codes: jax.Array,
    decoder: jax.Array,
    *,
    offset: jax.Array,
    prefixes: tuple[int, ...],
) -> tuple[jax.Array, jax.Array]:
    """Returns the mean squared error, averaged over prefixes of the factors.

    With one prefix, all factors, this is the plain loss. With more, each must explain
    the row alone: Matryoshka autoencoders (Bussmann et al., 2025).

    Args:
      x: [batch, d_model].
      codes: [batch, n_factors].
      decoder: [n_factors, d_model].
      offset: [d_model].
      prefixes: ascending numbers of factors; the last is n_factors.

    Returns:
      The error, a scalar, and the residual [batch, d_model] left by all factors.
    """
    residual = x - offset[None, :]
    errors = []
    for start, stop in itertools.pairwise((0, *prefixes)):
        residual = residual - codes[:, start:stop] @ decoder[start:stop]
        errors.append(jnp.mean(jnp.sum(residual**2, axis=1)))
    return sum(errors[1:], errors[0]) / len(errors), residual


def dead_factor_error(
    p: jax.Array, residual: jax.Array, decoder: jax.Array, *, dead: jax.Array
) -> jax.Array:
    """Returns how badly dead factors explain what the living leave over.

    AuxK (Gao et al., 2024): of every row's dead pre-activations the d_model/2 largest
    reconstruct the residual; the error is relative to the residual's own size. No
    gradient reaches the living factors.

    Args:
      p: [batch, n_factors] pre-activations.
      residual: [batch, d_model].
      decoder: [n_factors, d_model].
      dead: [n_factors] bool.

    Returns:
      A scalar, 0 where no factor is dead.
    """
    k = min(max(1, residual.shape[1] // 2), p.shape[1])
    target = jax.lax.stop_gradient(residual)

    def error() -> jax.Array:
        candidates = jnp.where(dead[None, :], jax.nn.relu(p), 0)
        mask = selection.top_k_mask(jax.lax.stop_gradient(candidates), k=k)
        missed = target - jnp.where(mask, candidates, 0) @ decoder
        return jnp.sum(missed**2) / jnp.maximum(jnp.sum(target**2), 1e-12)

    return jax.lax.cond(jnp.any(dead), error, lambda: jnp.zeros(()))


def tangent(gradient: jax.Array, factors: jax.Array) -> jax.Array:
    """Returns the part of a gradient that turns unit factors, [n_factors, d_model].

    What points along a factor only stretches it; left in, it would fill Adam's moments
    with steps that the projection takes back.
    """
    along = jnp.sum(gradient * factors, axis=1, keepdims=True)
    return gradient - along * factors

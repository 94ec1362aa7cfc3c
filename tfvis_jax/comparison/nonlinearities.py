"""How a sparse autoencoder makes its codes sparse.

Each function takes pre-activations p and returns a mask or codes. A mask is constant
to differentiation, so that gradients flow through the selected codes alone.
"""

import jax
import jax.numpy as jnp


def kth_largest(values: jax.Array, *, count: int) -> jax.Array:
    """Returns the ``count``-th largest of non-negative float32 values of any shape.

    BatchTopK (Bussmann, Leask & Nanda, 2024) keeps the k·batch largest of a whole
    batch. The bits of non-negative floats are ordered as the floats are, so the value
    is found exactly in 31 counts, where sorting a batch takes many times as long.
    """
    bits = jax.lax.bitcast_convert_type(values, jnp.int32)

    def raise_bit(index: jax.Array, found: jax.Array) -> jax.Array:
        proposal = found | (1 << (30 - index))
        return jnp.where(jnp.sum(bits >= proposal) >= count, proposal, found)

    found = jax.lax.fori_loop(0, 31, raise_bit, jnp.int32(0))
    return jax.lax.bitcast_convert_type(found, jnp.float32)


def jump_relu(
    preactivations: jax.Array, threshold: jax.Array, *, bandwidth: float
) -> jax.Array:
    """Returns p where p > θ, else 0 (Rajamanoharan et al., 2024b).

    The derivative in θ is that of the expectation over p, with the density of p at θ
    estimated by a rectangle K of width ε: −θ/ε · K((p − θ)/ε).

    Args:
      preactivations: [batch, n_factors].
      threshold: [1, n_factors], positive.
      bandwidth: ε.

    Returns:
      [batch, n_factors].
    """
    density = _density(preactivations, threshold, bandwidth)
    codes = jnp.where(preactivations > threshold, preactivations, 0)
    slope = jax.lax.stop_gradient(threshold * density)
    return _with_gradient_of(codes, -threshold * slope)


def step(
    preactivations: jax.Array, threshold: jax.Array, *, bandwidth: float
) -> jax.Array:
    """Returns 1 where p > θ, else 0; summed over factors, the L0 of JumpReLU.

    Its derivative in θ is −1/ε · K((p − θ)/ε), in p zero, as in `jump_relu`.
    """
    density = _density(preactivations, threshold, bandwidth)
    fires = (preactivations > threshold).astype(preactivations.dtype)
    return _with_gradient_of(fires, -threshold * density)


def _density(
    preactivations: jax.Array, threshold: jax.Array, bandwidth: float
) -> jax.Array:
    """Returns K((p − θ)/ε) / ε, constant to differentiation."""
    near = jnp.abs(preactivations - threshold) < bandwidth / 2
    return jax.lax.stop_gradient(near.astype(preactivations.dtype) / bandwidth)


def _with_gradient_of(value: jax.Array, surrogate: jax.Array) -> jax.Array:
    """Returns ``value``, with the gradient of ``surrogate`` added to its own."""
    return value + (surrogate - jax.lax.stop_gradient(surrogate))

"""Proximal maps of the L1 penalty, signed and non-negative."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def soft_threshold(values: jax.Array, threshold: jax.Array | float) -> jax.Array:
    """Minimises ½(c − values)² + threshold·|c| over c, elementwise."""
    return jnp.sign(values) * jnp.maximum(jnp.abs(values) - threshold, 0)


def non_negative_soft_threshold(
    values: jax.Array, threshold: jax.Array | float
) -> jax.Array:
    """Minimises ½(c − values)² + threshold·c over c ≥ 0, elementwise."""
    return jnp.maximum(values - threshold, 0)


def shrinkage(
    *, non_negative: bool
) -> Callable[[jax.Array, jax.Array | float], jax.Array]:
    """Returns the threshold function of the non-negative or of the signed problem."""
    return non_negative_soft_threshold if non_negative else soft_threshold

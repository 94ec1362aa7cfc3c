"""Refits codes on their support, without the penalty.

The L1 term that finds the support also shrinks what is on it. Keeping the support, or
the k largest codes of it, and solving least squares there (non-negative if the codes
are) gives the best reconstruction those factors allow ("debiasing": Figueiredo, Nowak &
Wright, 2007).
"""

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import objective, spectral

# Keeps a place without a code at zero.
_PROHIBITIVE = 1e30


def refit(
    x: jax.Array,
    dictionary: jax.Array,
    codes: jax.Array,
    *,
    max_active: int,
    num_steps: int = 100,
    non_negative: bool = True,
) -> jax.Array:
    """Returns least-squares codes on the support of ``codes``, or its largest part.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      codes: [batch, n_factors].
      max_active: k, how many codes of largest magnitude a row may keep; rows with fewer
        keep them all. Static: time and memory grow with its square.
      num_steps: spectral steps; each multiplies by a [k, k] matrix a row.
      non_negative: whether the codes are.

    Returns:
      [batch, n_factors] codes, zero wherever ``codes`` is.
    """
    magnitude, columns = jax.lax.top_k(jnp.abs(codes), min(max_active, codes.shape[1]))
    kept = jnp.where(magnitude > 0, jnp.take_along_axis(codes, columns, axis=1), 0)
    rows = jnp.arange(codes.shape[0])[:, None]
    start = jnp.zeros_like(codes).at[rows, columns].set(kept)
    residual = x - objective.decode(start, dictionary, like=x)
    factors = dictionary[columns]
    gram = jnp.einsum("bsd,btd->bst", factors, factors, precision="highest")
    state = spectral.gram_init(
        kept,
        jnp.einsum("bsd,bd->bs", factors, residual, precision="highest"),
        step_size=1 / jnp.max(jnp.sum(jnp.abs(gram), axis=2), axis=1, keepdims=True),
    )
    penalty = jnp.where(magnitude > 0, 0, _PROHIBITIVE).astype(codes.dtype)
    state = jax.lax.fori_loop(
        0,
        num_steps,
        lambda _, state: spectral.gram_step(
            state, gram, penalty=penalty, non_negative=non_negative
        ),
        state,
    )
    return jnp.zeros_like(codes).at[rows, columns].set(state.codes)

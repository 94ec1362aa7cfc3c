"""Centres hidden states and evens out their variance over directions, in part.

A few directions hold most of the variance of BERT's hidden states: the mean of a layer,
and coordinates that are large for every token. A dictionary that is fitted by squared
error spends its factors on them, though they tell little of what a token means here.
So codes are inferred for

    y = (x − m_l) W / s_l,        W = (C + ρI)^(−β/2),

with m_l the mean of layer l, C the covariance of rows, pooled over layers, ρ a
hundredth of C's mean eigenvalue and s_l the root-mean-square norm of layer l's
(x − m_l) W. The strength β is 0 for hidden states as they are, 1 for rows of equal
variance in every direction (ZCA whitening). W is one matrix, so that a factor φ of y is
one direction φ W⁻¹ of the hidden states of all layers.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

# Share of the mean eigenvalue that is added to all: directions with hardly any variance
# are noise, which whitening would blow up.
RIDGE = 0.01


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Whitening:
    """What hidden states are centred by and multiplied with.

    Attributes:
      mean: [n_layers, d_model], m.
      matrix: [d_model, d_model], W, symmetric and positive definite.
      inverse: [d_model, d_model], W⁻¹.
    """

    mean: jax.Array
    matrix: jax.Array
    inverse: jax.Array


# ``layer_scale`` [n_layers], and the whitening where there is one.
Scaling = tuple[jax.Array, Whitening | None]


def fit(mean: np.ndarray, covariance: np.ndarray, *, strength: float) -> Whitening:
    """Returns the whitening of rows with these moments, as float32 on the host.

    Args:
      mean: [n_layers, d_model] float64.
      covariance: [n_layers, d_model, d_model] float64, of each layer's rows.
      strength: β, above 0 and at most 1.
    """
    variance = np.trace(covariance, axis1=1, axis2=2)
    # Layers count alike, whatever their scale; one that is constant counts nothing.
    weight = np.divide(1, variance, where=variance > 0, out=np.zeros_like(variance))
    pooled = np.einsum("l,lij->ij", weight, covariance)
    values, vectors = np.linalg.eigh((pooled + pooled.T) / 2)
    values = np.maximum(values, 0)
    if not values.any():
        values = np.ones_like(values)
    # In units of their mean: W leaves rows of equal variance in all directions alone.
    values = values / values.mean() + RIDGE

    def power(exponent: float) -> np.ndarray:
        return ((vectors * values**exponent) @ vectors.T).astype(np.float32)

    return Whitening(
        mean=np.asarray(mean, np.float32),  # pyright: ignore[reportArgumentType]
        matrix=power(-strength / 2),  # pyright: ignore[reportArgumentType]
        inverse=power(strength / 2),  # pyright: ignore[reportArgumentType]
    )


def scales(covariance: np.ndarray, whitening: Whitening) -> np.ndarray:
    """Returns s, the root-mean-square norm of each layer's (x − m) W.

    Args:
      covariance: [n_layers, d_model, d_model] float64.
      whitening: of these rows.

    Returns:
      [n_layers] float64.
    """
    matrix = np.asarray(whitening.matrix, np.float64)
    energy = np.einsum("lij,jk,ik->l", covariance, matrix, matrix, optimize=True)
    return np.sqrt(np.maximum(energy, 0))


def standardise(
    states: jax.Array, layer_scale: jax.Array, whitening: Whitening | None
) -> jax.Array:
    """Returns what codes are inferred for, (x − m_l) W / s_l, or x / s_l.

    Args:
      states: [n_layers, ..., d_model] hidden states as the encoder gives them.
      layer_scale: [n_layers], s.
      whitening: None leaves mean and variances as they are.
    """
    ones = (1,) * (states.ndim - 1)
    scale = layer_scale.reshape(-1, *ones)
    if whitening is None:
        return states / scale
    mean = whitening.mean.reshape(len(layer_scale), *ones[:-1], -1)
    centred = states - mean
    return jnp.matmul(centred, whitening.matrix, precision="highest") / scale


def unwhiten(rows: jax.Array, whitening: Whitening | None) -> jax.Array:
    """Returns rows y, factors or residuals as they are without W: y W⁻¹.

    Args:
      rows: [..., d_model].
      whitening: None leaves them as they are.
    """
    if whitening is None:
        return rows
    return jnp.matmul(rows, whitening.inverse, precision="highest")


@functools.partial(jax.jit)
def moments(states: jax.Array, row_mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns Σ x [n_layers, d_model] and Σ xᵀx [n_layers, d_model, d_model].

    Args:
      states: [n_layers, batch, length, d_model].
      row_mask: [batch, length] bool, which rows count.
    """
    rows = jnp.where(row_mask[None, :, :, None], states, 0)
    rows = rows.reshape(len(states), -1, states.shape[-1])
    products = jnp.einsum("lni,lnj->lij", rows, rows, precision="highest")
    return jnp.sum(rows, axis=1), products

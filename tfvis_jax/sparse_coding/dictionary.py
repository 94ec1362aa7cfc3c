"""Learning the dictionary: initialisation, the diagonal-Hessian step, projection.

With codes α fixed, the weighted reconstruction loss of a batch of n rows,

    1/(2n) Σ_b w_b ‖x_b − α_b D‖²,

has the gradient −1/n Σ_b w_b α_bf (x_b − α_b D) in factor f, and the diagonal of its
Hessian is the energy 1/n Σ_b w_b α_bf². One step divides the gradient by a running mean
of the energy and puts the factors back on the unit sphere.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class CodeEnergyState(NamedTuple):
    """Running mean of squared codes.

    Attributes:
      energy: [n_factors].
      weight: scalar, the share of the mean that real batches have; 1 in the long run.
    """

    energy: jax.Array
    weight: jax.Array


def scale_by_code_energy(
    length: int, floor: float, *, bias_correction: bool
) -> optax.GradientTransformationExtraArgs:
    """Divides each factor's update by its running code energy plus ``floor``.

    The energy is the diagonal of the loss's Hessian in the dictionary, so this is a
    diagonal Newton step (`quadraticBasisUpdate` and `HessianDiag` of the code published
    with Yun et al., 2021, when ``bias_correction`` is off).

    Args:
      length: number of steps that the running mean looks back.
      floor: added to the energy; bounds the step of a factor that rarely fires.
      bias_correction: divide by the weight that the mean has seen, without which the
        first ``length`` steps are too long by up to a factor of ``length``.

    Returns:
      A transformation whose ``update`` takes the codes' mean squares as ``energy``.
    """
    decay = 1 - 1 / length

    def init(dictionary):
        return CodeEnergyState(
            jnp.zeros_like(dictionary[:, 0]), jnp.zeros((), dictionary.dtype)
        )

    def update(updates, state, params=None, *, energy):
        del params
        mean = decay * state.energy + (1 - decay) * energy
        weight = decay * state.weight + (1 - decay)
        curvature = mean / weight if bias_correction else mean
        scaled = updates / (curvature + floor)[:, None]
        return scaled, CodeEnergyState(mean, weight)

    return optax.GradientTransformationExtraArgs(init, update)


def reconstruction_gradient(
    codes: jax.Array,
    residual: jax.Array,
    *,
    token_weights: jax.Array,
    n_rows: jax.Array,
    like: jax.Array,
) -> jax.Array:
    """Returns the gradient of the weighted loss in the dictionary.

    Args:
      codes: [batch, n_factors]; rows of padding are zero.
      residual: [batch, d_model], ``x − codes @ dictionary``.
      token_weights: [batch].
      n_rows: scalar, rows that are not padding.
      like: [n_factors, d_model], an array whose sharding the gradient takes.

    Returns:
      [n_factors, d_model].
    """
    weighted = residual * (-token_weights / n_rows)[:, None]
    return jnp.einsum(
        "bf,bd->fd",
        codes,
        weighted,
        precision="highest",
        out_sharding=jax.typeof(like).sharding,
    )


def code_energy(
    codes: jax.Array, *, n_rows: jax.Array, token_weights: jax.Array | None
) -> jax.Array:
    """Returns the mean squared code of each factor, [n_factors].

    With the ``token_weights`` [batch] of the gradient it is the diagonal of that loss's
    Hessian; the published code leaves them out (None).
    """
    weights = 1 if token_weights is None else token_weights[:, None]
    return jnp.sum(weights * codes**2, axis=0) / n_rows


def project_unit_norm(dictionary: jax.Array) -> jax.Array:
    """Scales every row of [n_factors, d_model] to unit norm; a zero row stays zero."""
    norms = jnp.linalg.norm(dictionary, axis=1, keepdims=True)
    return dictionary / jnp.where(norms > 0, norms, 1)


def initialise_normal(key: jax.Array, *, n_factors: int, d_model: int) -> jax.Array:
    """Returns directions drawn uniformly from the unit sphere, [n_factors, d_model]."""
    return project_unit_norm(jax.random.normal(key, (n_factors, d_model)))


def initialise_from_samples(
    x: jax.Array, *, n_factors: int, key: jax.Array
) -> jax.Array:
    """Returns rows of the data as unit factors, less the mean row.

    Without the mean, which all rows share, the first codes would be spent on it; the
    mean itself becomes the first factor. Rows are repeated, with noise, only when
    there are fewer than factors.

    Args:
      x: [rows, d_model] sample, rows in any order.
      n_factors: number of factors.
      key: decides which rows, and the noise.

    Returns:
      [n_factors, d_model], unit rows.
    """
    key_rows, key_noise = jax.random.split(key)
    mean = jnp.mean(x, axis=0, keepdims=True)
    order = jax.random.permutation(key_rows, x.shape[0])
    rows = x[jnp.resize(order, (n_factors - 1,))] - mean
    scale = 1e-3 * jnp.linalg.norm(rows, axis=1, keepdims=True) + 1e-6
    rows = rows + scale * jax.random.normal(key_noise, rows.shape)
    return project_unit_norm(jnp.concatenate([mean, rows]))

"""PCA: the best that one linear map to a few dimensions can do."""

import dataclasses

import jax
import jax.numpy as jnp

from tfvis_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class PCA:
    """Projection on the leading principal components; codes of either sign.

    Every component is active in every row: L0 is the number of components.

    Attributes:
      factors: [n_components, d_model], orthonormal, by falling variance.
      offset: [d_model], the mean row.
    """

    factors: jax.Array
    offset: jax.Array

    def codes(self, x: jax.Array) -> jax.Array:
        """Returns the coordinates [rows, n_components] of ``x`` [rows, d_model]."""
        return _coordinates(x, self.factors, offset=self.offset)

    def reconstruct(self, x: jax.Array) -> jax.Array:
        """Returns the projection [rows, d_model] of ``x`` [rows, d_model]."""
        return self.offset[None, :] + self.codes(x) @ self.factors


def fit(x: jax.Array, *, n_components: int) -> PCA:
    """Fits PCA: the reconstruction of least squares among all of its rank.

    Args:
      x: [rows, d_model].
      n_components: at most d_model.
    """
    d_model = x.shape[1]
    if not 1 <= n_components <= d_model:
        raise InputError(
            f"Expected `n_components` to be from 1 to d_model = {d_model}, "
            f"got {n_components}."
        )
    components, mean = _principal_components(jnp.asarray(x))
    return PCA(components[:n_components], mean)


@jax.jit
def _coordinates(x: jax.Array, factors: jax.Array, *, offset: jax.Array) -> jax.Array:
    return jnp.einsum("bd,fd->bf", x - offset[None, :], factors, precision="highest")


@jax.jit
def _principal_components(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns all components [d_model, d_model] by falling variance, and the mean."""
    mean = jnp.mean(x, axis=0)
    centred = x - mean[None, :]
    covariance = jnp.einsum("bd,be->de", centred, centred, precision="highest")
    _, vectors = jnp.linalg.eigh(covariance / x.shape[0])
    return vectors[:, ::-1].T, mean

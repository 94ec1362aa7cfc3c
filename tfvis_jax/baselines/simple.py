"""Baselines that learn little or nothing: PCA, random factors, sample factors.

A learned dictionary has to beat all of them. Random and sample factors are reported in
the same way as learned ones: their codes come from the lasso solver (Korznikov et al.,
2026, arXiv:2602.14111, find such baselines uncomfortably strong).
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import dictionary, encode, refit


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class SparseCoding:
    """A given dictionary whose codes the lasso solver infers.

    Attributes:
      factors: [n_factors, d_model], unit rows.
      offset: [d_model], taken from the rows first; zeros for none.
      l1_penalty: λ.
      max_active: if given, only so many of the largest codes of a row are kept, and
        they are refitted without the penalty.
      tolerance: largest relative duality gap of a row's lasso codes.
    """

    factors: jax.Array
    offset: jax.Array
    l1_penalty: float
    max_active: int | None = None
    tolerance: float = 1e-3

    def codes(self, x: jax.Array) -> jax.Array:
        """Returns the codes [rows, n_factors] >= 0 of ``x`` [rows, d_model]."""
        return _sparse_codes(
            x - self.offset[None, :],
            self.factors,
            l1_penalty=self.l1_penalty,
            tolerance=self.tolerance,
            max_active=self.max_active,
        )

    def reconstruct(self, x: jax.Array) -> jax.Array:
        """Returns ``offset + codes(x) @ factors``, [rows, d_model]."""
        return self.offset[None, :] + self.codes(x) @ self.factors


def fit_pca(x: jax.Array, *, n_components: int) -> PCA:
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


def random_factors(
    *, n_factors: int, d_model: int, seed: int, l1_penalty: float
) -> SparseCoding:
    """Returns a dictionary of directions drawn from the unit sphere."""
    factors = dictionary.initialise_normal(
        jax.random.key(seed), n_factors=n_factors, d_model=d_model
    )
    return SparseCoding(
        factors=factors, offset=jnp.zeros(d_model), l1_penalty=l1_penalty
    )


def sample_factors(
    x: jax.Array, *, n_factors: int, seed: int, l1_penalty: float
) -> SparseCoding:
    """Returns a dictionary of unit rows of the data and their mean, never trained.

    Args:
      x: [rows, d_model].
      n_factors: number of factors.
      seed: decides which rows.
      l1_penalty: λ.
    """
    factors = dictionary.initialise_from_samples(
        jnp.asarray(x), n_factors=n_factors, key=jax.random.key(seed)
    )
    return SparseCoding(
        factors=factors, offset=jnp.zeros(x.shape[1]), l1_penalty=l1_penalty
    )


@jax.jit
def _coordinates(x, factors, *, offset):
    return jnp.einsum("bd,fd->bf", x - offset[None, :], factors, precision="highest")


@jax.jit
def _principal_components(x):
    """Returns all components [d_model, d_model] by falling variance, and the mean."""
    mean = jnp.mean(x, axis=0)
    centred = x - mean[None, :]
    covariance = jnp.einsum("bd,be->de", centred, centred, precision="highest")
    _, vectors = jnp.linalg.eigh(covariance / x.shape[0])
    return vectors[:, ::-1].T, mean


@functools.partial(jax.jit, static_argnames=("max_active",))
def _sparse_codes(x, factors, *, l1_penalty, tolerance, max_active):
    codes = encode.encode(x, factors, l1_penalty=l1_penalty, tolerance=tolerance).codes
    if max_active is None:
        return codes
    return refit.refit(x, factors, codes, max_active=max_active)

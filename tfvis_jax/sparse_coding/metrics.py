"""How well codes describe hidden states; each number is defined here, once.

With x̂ the reconstruction of a row x, sums and means over rows (padding and special
tokens left out by the caller), and μ the mean row *of the same layer*:

    FVU                         Σ ‖x − x̂‖² / Σ ‖x − μ‖²
    explained variance          1 − FVU
    legacy explained variance   1 − Σ ‖x − x̂‖² / Σ ‖x‖²       about zero, not the mean
    L0                          mean number of factors with α ≠ 0
    cosine                      mean of ⟨x, x̂⟩ / (‖x‖ ‖x̂‖)
    relative bias γ             argmin_γ Σ ‖x̂/γ − x‖² = Σ ‖x̂‖² / Σ ⟨x, x̂⟩
    norm ratio                  mean of ‖x̂‖ / ‖x‖
    alive                       share of factors that fire in at least one row

Pooled over layers, each Σ runs over the rows of all layers, and μ stays the mean of the
row's own layer. So the pooled FVU is an average of the layers' (weighted by their
variance) and lies between them; a dictionary earns nothing for telling layers apart.
The relative bias is that of Rajamanoharan et al. (2024, arXiv:2404.16014): below 1,
codes shrink.

Rows are measured in float32 on the device and added in float64 on the host, so that a
corpus of any size gives the same figures as one large array.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.sparse_coding.compilation import compiled

# Half decades; what fires more rarely than in one row of a million is counted first.
LOG10_DENSITY_EDGES = np.arange(-12, 1) / 2
DUPLICATE_QUANTILES = (0.5, 0.9, 0.99, 1.0)
DUPLICATE_COSINE = 0.9


class RowSums(NamedTuple):
    """What a batch adds to the totals, on the device; nothing from rows not valid.

    Attributes:
      n_rows: scalar.
      x: [d_model], Σ x.
      squared_norm: [batch], ‖x‖².
      squared_error: [batch], ‖x − x̂‖².
      squared_reconstruction: [batch], ‖x̂‖².
      inner_product: [batch], ⟨x, x̂⟩.
      cosine: [batch], ⟨x, x̂⟩ / (‖x‖ ‖x̂‖); 0 where either is zero.
      norm_ratio: [batch], ‖x̂‖ / ‖x‖; 0 where x is zero.
      n_active: scalar, number of non-zero codes.
      firing: [n_factors], number of rows in which each factor fires.
    """

    n_rows: jax.Array
    x: jax.Array
    squared_norm: jax.Array
    squared_error: jax.Array
    squared_reconstruction: jax.Array
    inner_product: jax.Array
    cosine: jax.Array
    norm_ratio: jax.Array
    n_active: jax.Array
    firing: jax.Array


@compiled()
def row_sums(
    x: jax.Array, codes: jax.Array, residual: jax.Array, *, valid: jax.Array
) -> RowSums:
    """Returns the sums of one batch.

    Args:
      x: [batch, d_model].
      codes: [batch, n_factors].
      residual: [batch, d_model], x − x̂.
      valid: [batch] bool, false for padding.
    """
    x = jnp.where(valid[:, None], x, 0)
    residual = jnp.where(valid[:, None], residual, 0)
    reconstruction = x - residual
    squared_norm = jnp.sum(x**2, axis=1)
    squared_reconstruction = jnp.sum(reconstruction**2, axis=1)
    inner_product = jnp.sum(x * reconstruction, axis=1)
    norm, norm_hat = jnp.sqrt(squared_norm), jnp.sqrt(squared_reconstruction)
    firing = jnp.sum(jnp.where(valid[:, None], codes != 0, False), axis=0)
    return RowSums(
        n_rows=jnp.sum(valid),
        x=jnp.sum(x, axis=0),
        squared_norm=squared_norm,
        squared_error=jnp.sum(residual**2, axis=1),
        squared_reconstruction=squared_reconstruction,
        inner_product=inner_product,
        # One division after the other: the product of tiny norms is zero in float32.
        cosine=_divided(_divided(inner_product, norm), norm_hat),
        norm_ratio=_divided(norm_hat, norm),
        n_active=jnp.sum(firing),
        firing=firing,
    )


def _divided(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """The quotient, 0 where the denominator is."""
    is_zero = denominator == 0
    return jnp.where(is_zero, 0, numerator / jnp.where(is_zero, 1, denominator))


@dataclasses.dataclass(frozen=True)
class Figures:
    """The figures of the module's docstring; NaN where there was nothing to measure.

    Attributes:
      n_rows: rows that were measured.
      fvu: fraction of variance unexplained.
      explained_variance: 1 − `fvu`.
      legacy_explained_variance: about zero; higher, and no measure of what was learnt
        where rows share a large mean.
      l0: mean number of active factors in a row.
      cosine: mean cosine of rows and reconstructions.
      relative_bias: γ; 1 for reconstructions of the right length.
      norm_ratio: mean length of reconstructions relative to their rows'.
      alive: fraction of factors that fired at least once.
    """

    n_rows: int
    fvu: float
    explained_variance: float
    legacy_explained_variance: float
    l0: float
    cosine: float
    relative_bias: float
    norm_ratio: float
    alive: float


@dataclasses.dataclass
class ReconstructionTotals:
    """Adds `RowSums` of many batches of one layer, in float64 on the host.

    Its fields are those of `RowSums`, summed over rows.
    """

    n_rows: float
    x: np.ndarray
    squared_norm: float
    squared_error: float
    squared_reconstruction: float
    inner_product: float
    cosine: float
    norm_ratio: float
    n_active: float
    firing: np.ndarray

    @classmethod
    def zeros(cls, *, d_model: int, n_factors: int) -> "ReconstructionTotals":
        """Returns totals of no rows at all."""
        names = (field.name for field in dataclasses.fields(cls))
        zeros: dict[str, Any] = dict.fromkeys(names, 0.0)
        zeros |= {"x": np.zeros(d_model), "firing": np.zeros(n_factors)}
        return cls(**zeros)

    def __add__(self, sums: "RowSums | ReconstructionTotals") -> "ReconstructionTotals":
        def added(name: str) -> Any:
            old, new = getattr(self, name), np.asarray(getattr(sums, name), np.float64)
            # Rows are summed; factors and dimensions stay apart.
            return old + (new.sum() if np.ndim(old) == 0 else new)

        names = (field.name for field in dataclasses.fields(self))
        return ReconstructionTotals(**{name: added(name) for name in names})

    def variance(self) -> float:
        """Returns Σ ‖x − μ‖²; 0 where float32 cannot tell the rows apart."""
        variance = self.squared_norm - np.sum(self.x**2) / max(self.n_rows, 1)
        return float(variance) if variance > 1e-6 * self.squared_norm else 0.0

    def fvu(self) -> float:
        """Returns the fraction of variance unexplained; NaN without variance."""
        return figures([self]).fvu

    def l0(self) -> float:
        """Returns the mean number of active factors in a row; NaN without rows."""
        return figures([self]).l0

    def alive(self) -> float:
        """Returns the fraction of factors that fired at all; NaN without rows."""
        return figures([self]).alive


def figures(layers: Sequence[ReconstructionTotals]) -> Figures:
    """Returns the figures of one layer, or pooled over several.

    Args:
      layers: totals of each layer, at least one; each has a mean row of its own.
    """

    def total(name: str) -> Any:
        return sum(getattr(layer, name) for layer in layers)

    n_rows = total("n_rows")
    variance = sum(layer.variance() for layer in layers)
    fvu = _ratio(total("squared_error"), variance)
    return Figures(
        n_rows=int(n_rows),
        fvu=fvu,
        explained_variance=1 - fvu,
        legacy_explained_variance=1
        - _ratio(total("squared_error"), total("squared_norm")),
        l0=_ratio(total("n_active"), n_rows),
        cosine=_ratio(total("cosine"), n_rows),
        relative_bias=_ratio(total("squared_reconstruction"), total("inner_product")),
        norm_ratio=_ratio(total("norm_ratio"), n_rows),
        alive=_ratio(float(np.mean(total("firing") > 0)), float(n_rows > 0)),
    )


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else float("nan")


class DensityHistogram(NamedTuple):
    """How many factors fire how often; a factor's density is the share of its rows.

    Attributes:
      log10_edges: [n_bins + 1], `LOG10_DENSITY_EDGES`.
      counts: [n_bins], factors with density in [10^edge, 10^next edge); the last bin
        takes a density of 1 as well, the first all that are below it but not 0.
      n_silent: factors that never fired.
    """

    log10_edges: np.ndarray
    counts: np.ndarray
    n_silent: int


def density_histogram(firing: np.ndarray, *, n_rows: float) -> DensityHistogram:
    """Returns the histogram of firing densities.

    Args:
      firing: [n_factors], rows in which each factor fired.
      n_rows: rows in all.
    """
    fired = firing[firing > 0]
    # Edges, not logarithms, are compared: a density of exactly 0.1 is on its edge.
    edges = 10.0**LOG10_DENSITY_EDGES
    density = np.clip(fired / max(n_rows, 1), edges[0], edges[-1])
    counts, _ = np.histogram(density, bins=edges)
    return DensityHistogram(LOG10_DENSITY_EDGES, counts, int(np.sum(firing == 0)))


class Duplicates(NamedTuple):
    """How near factors come to one another.

    Attributes:
      quantiles: [4], `DUPLICATE_QUANTILES` of each factor's largest cosine to another.
      n_above: factors whose largest cosine exceeds `DUPLICATE_COSINE`; a pair is two.
    """

    quantiles: np.ndarray
    n_above: int


def duplicates(dictionary: np.ndarray) -> Duplicates:
    """Returns how near the factors of a dictionary [n_factors, d_model] come.

    All is NaN, and none above, for a single factor.
    """
    largest = max_cosine(dictionary)
    return Duplicates(
        np.quantile(largest, DUPLICATE_QUANTILES),
        int(np.sum(largest > DUPLICATE_COSINE)),
    )


def max_cosine(dictionary: np.ndarray, *, block_rows: int = 1024) -> np.ndarray:
    """Returns each factor's largest cosine to another factor.

    Cosines are signed: with α ≥ 0, opposite factors say different things.

    Args:
      dictionary: [n_factors, d_model]; rows of any length but zero.
      block_rows: factors compared with all others at once; bounds the memory.

    Returns:
      [n_factors] float64; NaN for a single factor.
    """
    if len(dictionary) < 2:
        return np.full(len(dictionary), np.nan)
    norms = np.linalg.norm(np.asarray(dictionary, np.float64), axis=1, keepdims=True)
    units = jnp.asarray(np.asarray(dictionary, np.float64) / norms, jnp.float32)
    largest = _max_cosine(units, block_rows=min(block_rows, len(units)))
    return np.asarray(largest, np.float64)


@functools.partial(jax.jit, static_argnames=("block_rows",))
def _max_cosine(units: jax.Array, *, block_rows: int) -> jax.Array:
    n_factors = len(units)
    columns = jnp.arange(n_factors)

    def block(first: jax.Array) -> jax.Array:
        rows = first + jnp.arange(block_rows)
        chosen = units[jnp.minimum(rows, n_factors - 1)]
        cosines = jnp.einsum("md,nd->mn", chosen, units, precision="highest")
        is_itself = rows[:, None] == columns[None]
        return jnp.max(jnp.where(is_itself, -jnp.inf, cosines), axis=1)

    firsts = jnp.arange(0, n_factors, block_rows)
    return jax.lax.map(block, firsts).reshape(-1)[:n_factors]

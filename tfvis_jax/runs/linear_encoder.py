"""The encoder of a sparse autoencoder: codes by a matrix product, without a solver.

    p = y W + b        y: hidden states less the decoder's bias
    α = s · f(p)       s: what each factor's activation is multiplied by

`KINDS` are the functions f:

    relu      max(p, 0)
    topk      max(p, 0) of the k largest of a row (Gao et al., 2024)
    jumprelu  max(p, 0) where p > θ, θ of each factor (Rajamanoharan et al., 2024b);
              also what BatchTopK is when it is used (Bussmann et al., 2024)
    gated     max(r · y W + m, 0) where p > 0 (Rajamanoharan et al., 2024a)
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.sparse_coding import selection

KINDS = ("relu", "topk", "jumprelu", "gated")
# The arrays that a kind has beside `weight`, `bias` and `scale`, one number a factor.
OWN_ARRAYS = {
    "relu": (),
    "topk": (),
    "jumprelu": ("threshold",),
    "gated": ("magnitude_weight", "magnitude_bias"),
}
_ARRAYS = ("weight", "bias", "scale", *OWN_ARRAYS["jumprelu"], *OWN_ARRAYS["gated"])


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=list(_ARRAYS),
    meta_fields=["kind", "k"],
)
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LinearEncoder:
    """The encoder of a sparse autoencoder; a pytree.

    Attributes:
      weight: [d_model, n_factors], W.
      bias: [n_factors], b.
      scale: [n_factors], s ≥ 0.
      kind: one of `KINDS`.
      k: how many factors of a row may fire, of kind "topk"; else None.
      threshold: [n_factors], θ of kind "jumprelu"; else None.
      magnitude_weight: [n_factors], r of kind "gated"; else None.
      magnitude_bias: [n_factors], m of kind "gated"; else None.
    """

    weight: jax.Array | np.ndarray
    bias: jax.Array | np.ndarray
    scale: jax.Array | np.ndarray
    kind: str
    k: int | None = None
    threshold: jax.Array | np.ndarray | None = None
    magnitude_weight: jax.Array | np.ndarray | None = None
    magnitude_bias: jax.Array | np.ndarray | None = None

    def codes(self, y: jax.Array) -> jax.Array:
        """Returns the codes [rows, n_factors] of ``y`` [rows, d_model]."""
        projected = jnp.matmul(y, jnp.asarray(self.weight), precision="highest")
        p = projected + _row(self.bias)
        if self.kind == "relu":
            found = jax.nn.relu(p)
        elif self.kind == "topk":
            mask = selection.top_k_mask(p, k=self.k or 0)
            found = jnp.where(mask, jax.nn.relu(p), 0)
        elif self.kind == "jumprelu":
            found = jnp.where(p > _row(self.threshold), jax.nn.relu(p), 0)
        else:
            magnitude = projected * _row(self.magnitude_weight)
            magnitude = magnitude + _row(self.magnitude_bias)
            found = jnp.where(p > 0, jax.nn.relu(magnitude), 0)
        return _row(self.scale) * found

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the arrays by the name of their attribute, those that there are."""
        found = {name: getattr(self, name) for name in _ARRAYS}
        return {name: np.asarray(a) for name, a in found.items() if a is not None}


def wrong(encoder: LinearEncoder, *, d_model: int, n_factors: int) -> str:
    """Returns what is wrong with an encoder; an empty text if nothing is.

    Args:
      encoder: with arrays on the host.
      d_model: width of its rows.
      n_factors: number of its factors.
    """
    if encoder.kind not in KINDS:
        return f"Expected an encoder of a kind among {KINDS}, got {encoder.kind!a}"
    arrays = encoder.arrays()
    expected = {"weight", "bias", "scale", *OWN_ARRAYS[encoder.kind]}
    if set(arrays) != expected:
        return (
            f"Expected an encoder of kind {encoder.kind} to have {sorted(expected)}, "
            f"got {sorted(arrays)}"
        )
    for name, array in arrays.items():
        shape = (d_model, n_factors) if name == "weight" else (n_factors,)
        if array.dtype != np.float32 or array.shape != shape:
            return (
                f"Expected the encoder's `{name}` as float32 of shape {shape}, got "
                f"{array.dtype} of shape {array.shape}"
            )
        if not np.isfinite(array).all():
            return f"Expected finite numbers in the encoder's `{name}`, got others"
    if np.any(arrays["scale"] < 0):
        return "Expected the encoder's `scale` to be at least 0, got less"
    has_k = encoder.k is not None and 1 <= encoder.k <= n_factors
    if has_k != (encoder.kind == "topk") or (encoder.k is not None and not has_k):
        return (
            f"Expected k from 1 to {n_factors} for an encoder of kind topk, and none "
            f"for other kinds; got k {encoder.k} for kind {encoder.kind}"
        )
    return ""


def _row(array: jax.Array | np.ndarray | None) -> jax.Array:
    return jnp.asarray(array)[None, :]

"""Sparse autoencoders: one linear encoder in place of sparse inference.

    p = (x − b) W + c        pre-activations, [batch, n_factors]
    α = activation(p)        codes, non-negative
    x̂ = b + α D              D: [n_factors, d_model], rows of unit norm

The kinds differ in the activation, and in what is added to ‖x − x̂‖²:

    relu        α = max(p, 0); λ ‖α‖₁ (Bricken et al., 2023)
    topk        the k largest of a row (Gao et al., 2024)
    batchtopk   the k·batch largest of a batch, then a threshold (Bussmann et al., 2024)
    jumprelu    p where p > θ, θ learned for each factor; (‖α‖₀ / target − 1)²
                (Rajamanoharan et al., 2024b)
    matryoshka  batchtopk whose first factors must reconstruct alone as well (Bussmann
                et al., 2025)
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import nnx

from tfvis_jax.comparison import nonlinearities
from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import dictionary, selection

KINDS = ("relu", "topk", "batchtopk", "jumprelu", "matryoshka")

# Share of the factors in each nested prefix, as published for 65,536 factors.
_PREFIXES = (1 / 32, 3 / 32, 7 / 32, 15 / 32, 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SAEConfig:
    """One autoencoder and how it is trained; hashable, a static argument of a jit.

    Attributes:
      kind: one of `KINDS`.
      n_factors: number of factors.
      target_l0: mean number of active factors in a row; a whole number for "topk".
      learning_rate: of Adam, on rows whose root-mean-square distance from their mean
        is 1.
      batch_size: rows of one step.
      num_passes: passes over the rows; each drops the rows that fill no batch.
      seed: of initialisation and the order of rows.
      auxiliary_weight: weight of the auxiliary loss on dead factors; "relu" and
        "jumprelu" have none.
      dead_after: rows without firing after which a factor counts as dead.
      bandwidth: ε of "jumprelu", on rows scaled as for the learning rate.
    """

    kind: str = "topk"
    n_factors: int = 1024
    target_l0: float = 32
    learning_rate: float = 3e-3
    batch_size: int = 256
    num_passes: int = 10
    seed: int = 0
    auxiliary_weight: float = 1 / 32
    dead_after: int = 20_000
    bandwidth: float = 0.05

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError(
                f"Expected `kind` to be one of {KINDS}, got {self.kind!r}."
            )
        for name in ("n_factors", "batch_size", "num_passes", "dead_after"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"Expected `{name}` to be at least 1, got {getattr(self, name)}."
                )
        for name in ("learning_rate", "bandwidth"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(
                    f"Expected `{name}` to be finite and positive, "
                    f"got {getattr(self, name)}."
                )
        if not 0 < self.target_l0 <= self.n_factors:
            raise InputError(
                f"Expected `target_l0` to be above 0 and at most `n_factors` = "
                f"{self.n_factors}, got {self.target_l0}."
            )
        if self.kind == "topk" and self.target_l0 != int(self.target_l0):
            raise InputError(
                'Expected `target_l0` to be a whole number for kind "topk", got '
                f'{self.target_l0}; "batchtopk" takes fractions.'
            )
        if self.auxiliary_weight < 0:
            raise InputError(
                "Expected `auxiliary_weight` to be at least 0, got "
                f"{self.auxiliary_weight}."
            )


class Threshold(nnx.Variable[jax.Array]):
    """What a pre-activation has to exceed to fire; set by calibration."""


class SparseAutoencoder(nnx.Module):
    """Encoder, decoder and activation of one `SAEConfig`."""

    def __init__(self, config: SAEConfig, *, offset: jax.Array, rngs: nnx.Rngs) -> None:
        """Draws the decoder from the unit sphere; the encoder is its transpose.

        Args:
          config: settings.
          offset: [d_model], where the decoder's bias b starts: the mean row.
          rngs: random numbers, stream "params".
        """
        self.config = config
        factors = dictionary.initialise_normal(
            rngs.params(), n_factors=config.n_factors, d_model=offset.shape[0]
        )
        self.decoder = nnx.Param(factors)
        self.offset = nnx.Param(offset)
        self.encoder = nnx.Param(factors.T)
        self.encoder_bias = nnx.Param(jnp.zeros(config.n_factors))
        if config.kind == "jumprelu":
            self.log_threshold = nnx.Param(jnp.zeros(config.n_factors))
        self.threshold = Threshold(jnp.zeros(()))

    def preactivations(self, x: jax.Array) -> jax.Array:
        """Returns p, [batch, n_factors], of ``x`` [batch, d_model]."""
        # As x W + (c − b W): b then costs a vector's product, not a batch's, in the
        # gradient.
        bias = self.encoder_bias[...] - self.offset[...] @ self.encoder[...]
        return x @ self.encoder[...] + bias[None, :]

    def select(self, p: jax.Array) -> jax.Array:
        """Returns the codes in training, [batch, n_factors], of pre-activations p."""
        config = self.config
        if config.kind == "relu":
            return jax.nn.relu(p)
        if config.kind == "jumprelu":
            return nonlinearities.jump_relu(
                p, self._jump()[None, :], bandwidth=config.bandwidth
            )
        if config.kind == "topk":
            mask = selection.top_k_mask(p, k=int(config.target_l0))
            return jnp.where(mask, jax.nn.relu(p), 0)
        count = max(1, round(config.target_l0 * p.shape[0]))
        least = nonlinearities.kth_largest(
            jax.lax.stop_gradient(jax.nn.relu(p)), count=count
        )
        return jnp.where(p >= least, jax.nn.relu(p), 0)

    def soft_l0(self, p: jax.Array) -> jax.Array:
        """Returns the mean L0 of "jumprelu", differentiable in its thresholds."""
        fires = nonlinearities.step(
            p, self._jump()[None, :], bandwidth=self.config.bandwidth
        )
        return jnp.mean(jnp.sum(fires, axis=1))

    def encode(self, x: jax.Array) -> jax.Array:
        """Returns the codes [rows, n_factors] of ``x`` [rows, d_model], row by row."""
        p = self.preactivations(x)
        if self.config.kind in ("relu", "topk"):
            return self.select(p)
        threshold = (
            self._jump()[None, :]
            if self.config.kind == "jumprelu"
            else self.threshold[...]
        )
        return jnp.where(p > threshold, jax.nn.relu(p), 0)

    def decode(self, codes: jax.Array) -> jax.Array:
        """Returns the reconstruction [rows, d_model] of codes [rows, n_factors]."""
        return self.offset[...][None, :] + codes @ self.decoder[...]

    def scaled(self, scale: jax.Array) -> "SparseAutoencoder":
        """Returns the autoencoder that does to ``scale``·x what this one does to x."""
        graph, state = nnx.split(self)
        other = nnx.merge(graph, jax.tree.map(lambda leaf: leaf, state))
        other.offset[...] = self.offset[...] * scale
        other.encoder_bias[...] = self.encoder_bias[...] * scale
        other.threshold[...] = self.threshold[...] * scale
        if self.config.kind == "jumprelu":
            other.log_threshold[...] = self.log_threshold[...] + jnp.log(scale)
        return other

    def calibrate(self, x: jax.Array) -> None:
        """Moves what decides L0 at inference by one number, to meet the target on x.

        The shared threshold of "batchtopk" and "matryoshka" is set, the thresholds of
        "jumprelu" are multiplied, the encoder's bias of "relu" is shifted; "topk" has
        nothing to move.

        Args:
          x: [rows, d_model]; rows not trained on, since on rows that were, codes are
            sparser than they will be.
        """
        p = self.preactivations(x)
        count = max(1, round(self.config.target_l0 * x.shape[0]))
        if self.config.kind == "relu":
            least = jnp.min(p)
            bound = nonlinearities.kth_largest(p - least, count=count) + least
            self.encoder_bias[...] = self.encoder_bias[...] - bound
        elif self.config.kind == "jumprelu":
            relative = jax.nn.relu(p) / self._jump()[None, :]
            factor = jnp.maximum(
                nonlinearities.kth_largest(relative, count=count), 1e-6
            )
            self.log_threshold[...] = self.log_threshold[...] + jnp.log(factor)
        elif self.config.kind != "topk":
            self.threshold[...] = nonlinearities.kth_largest(
                jax.nn.relu(p), count=count
            )

    def _jump(self) -> jax.Array:
        """Returns θ of every factor, [n_factors]."""
        return jnp.exp(self.log_threshold[...])


def prefix_sizes(config: SAEConfig) -> tuple[int, ...]:
    """Returns how many first factors each nested reconstruction may use."""
    if config.kind != "matryoshka":
        return (config.n_factors,)
    sizes = {max(1, round(share * config.n_factors)) for share in _PREFIXES}
    return tuple(sorted(sizes))

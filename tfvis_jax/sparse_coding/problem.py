"""What a solver is given: the rows, the factors and the penalties.

    minimise over α:  ½‖x − αD‖² + Σ_f λ_f |α_f| + ½μ‖α‖²,    α ≥ 0 unless signed.

With μ > 0 this is the elastic net (Zou & Hastie, 2005), the same problem for the row
[x, 0] and the dictionary [D, √μ I]. A solver meets μ in three places, all kept here:
the correlation of a factor is ⟨d_f, x − αD⟩ − μα_f, the curvature along a move Δ is
‖ΔD‖² + μ‖Δ‖², and the largest curvature is μ more than that of D.
"""

import dataclasses

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import lipschitz as lipschitz_lib
from tfvis_jax.sparse_coding import objective
from tfvis_jax.sparse_coding.arrays import AnyArray

_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """A sparse coding problem for every row; made by `lasso`.

    Attributes:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ, [1 or batch, 1 or n_factors].
      l2_penalty: μ, a scalar; None leaves its terms out.
      lipschitz: L, the largest curvature, or a bound; infinite where it is unknown.
      non_negative: If True, codes are constrained to be ≥ 0. Static.
      precision: of the matrix products of steps, see `precision`; the certificate is in
        float32. Static.
    """

    x: jax.Array
    dictionary: jax.Array
    l1_penalty: jax.Array
    l2_penalty: jax.Array | None
    lipschitz: jax.Array | float
    non_negative: bool = dataclasses.field(metadata=_STATIC)
    precision: str = dataclasses.field(metadata=_STATIC)

    def decode(self, codes: jax.Array) -> jax.Array:
        """Returns αD in the arithmetic of steps, [batch, d_model]."""
        return objective.decode(
            codes, self.dictionary, like=self.x, precision=self.precision
        )

    def correlation(self, codes: jax.Array, residual: jax.Array) -> jax.Array:
        """Returns ⟨d_f, x − αD⟩ − μα_f in the arithmetic of steps."""
        return objective.smooth_descent(
            codes,
            residual,
            self.dictionary,
            l2_penalty=self.l2_penalty,
            precision=self.precision,
        )

    def against(self, correlation: jax.Array) -> jax.Array:
        """Returns correlations in the direction in which a code may leave zero."""
        return correlation if self.non_negative else jnp.abs(correlation)

    def less_ridge(self, correlation: jax.Array, codes: jax.Array) -> jax.Array:
        """Returns ⟨d_f, r⟩ − μα_f, given ⟨d_f, r⟩, of any factors."""
        if self.l2_penalty is None:
            return correlation
        return correlation - self.l2_penalty * codes

    def curvature(self, move: jax.Array, image: jax.Array) -> jax.Array:
        """Returns ‖ΔD‖² + μ‖Δ‖² of a move Δ and its image ΔD, [batch, 1]."""
        energy = objective.residual_energy(image, move, l2_penalty=self.l2_penalty)
        return energy[:, None]

    def start(self, codes0: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Returns codes to start from (zeros for None) and their residual."""
        if codes0 is None:
            return objective.zero_codes(self.x, self.dictionary), self.x
        return codes0, self.residual(codes0)

    def residual(self, codes: jax.Array) -> jax.Array:
        """Returns x − αD in float32."""
        return self.x - objective.decode(codes, self.dictionary, like=self.x)

    def rows(self) -> tuple[jax.Array, jax.Array]:
        """Returns what differs between rows: x and λ, both of leading size batch."""
        batch = self.x.shape[0]
        penalty = self.l1_penalty
        return self.x, jnp.broadcast_to(penalty, (batch, penalty.shape[1]))

    def of_rows(self, rows: tuple[jax.Array, jax.Array]) -> "Problem":
        """Returns the same problem for other rows, as `rows` gives them."""
        return dataclasses.replace(self, x=rows[0], l1_penalty=rows[1])

    def gram(self) -> jax.Array:
        """Returns DDᵀ + μI, [n_factors, n_factors]."""
        gram = jnp.einsum(
            "fd,gd->fg", self.dictionary, self.dictionary, precision="highest"
        )
        return self._with_ridge(gram)

    def gram_of(self, factors: jax.Array) -> jax.Array:
        """Returns DDᵀ + μI of each row's own factors, [batch, size, size].

        Args:
          factors: [batch, size, d_model].
        """
        gram = jnp.einsum("bsd,btd->bst", factors, factors, precision="highest")
        return self._with_ridge(gram)

    def _with_ridge(self, gram: jax.Array) -> jax.Array:
        if self.l2_penalty is None:
            return gram
        return gram + self.l2_penalty * jnp.broadcast_to(
            jnp.eye(gram.shape[-1]), gram.shape
        )

    def certify(
        self, codes: jax.Array, residual: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Returns the relative duality gap, [batch], and the correlations.

        Both in float32, given the residual of `residual`.
        """
        correlation = objective.smooth_descent(
            codes, residual, self.dictionary, l2_penalty=self.l2_penalty
        )
        gap = objective.gap_from_residual(
            self.x,
            codes,
            residual=residual,
            correlation=correlation,
            l1_penalty=self.l1_penalty,
            l2_penalty=self.l2_penalty,
            non_negative=self.non_negative,
        )
        return gap, correlation


def largest_curvature(problem: Problem) -> jax.Array:
    """Returns an estimate of L from above, whatever the problem says of it."""
    largest = lipschitz_lib.power_iteration(problem.dictionary)
    return largest if problem.l2_penalty is None else largest + problem.l2_penalty


def lasso(
    x: AnyArray,
    dictionary: AnyArray,
    *,
    l1_penalty: jax.Array | float,
    l2_penalty: jax.Array | float | None = 0.0,
    lipschitz: jax.Array | float | None = None,
    non_negative: bool = True,
    precision: str = "float32",
) -> Problem:
    """Returns the problem of coding rows with factors.

    Args:
      x: [batch, d_model].
      dictionary: [n_factors, d_model].
      l1_penalty: λ > 0; scalar, [batch], or [1 or batch, n_factors].
      l2_penalty: μ ≥ 0, a scalar; None and a plain 0 cost nothing.
      lipschitz: largest eigenvalue of DᵀD, or a bound; estimated if None.
      non_negative: If True, constrain codes to be >= 0.
      precision: of the matrix products of steps; one of `precision.NAMES`.
    """
    x, dictionary = (jnp.asarray(a, jnp.float32) for a in (x, dictionary))
    if lipschitz is None:
        lipschitz = lipschitz_lib.power_iteration(dictionary)
    l2_penalty = objective.ridge(l2_penalty)
    return Problem(
        x=x,
        dictionary=dictionary,
        l1_penalty=objective.penalty_matrix(l1_penalty),
        l2_penalty=l2_penalty,
        lipschitz=lipschitz if l2_penalty is None else lipschitz + l2_penalty,
        non_negative=non_negative,
        precision=precision,
    )

"""Accelerated proximal gradient (FISTA), as published and with per-row restart."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import dense, prox
from tfvis_jax.sparse_coding import precision as precision_lib
from tfvis_jax.sparse_coding import problem as problem_lib


class FistaState(NamedTuple):
    """Where a solve stands.

    Attributes:
      codes: [batch, n_factors].
      extrapolated: [batch, n_factors].
      momentum: [batch, 1], t; the rows differ only where they restart.
    """

    codes: jax.Array
    extrapolated: jax.Array
    momentum: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fista(dense.DenseSolver):
    """Accelerated proximal gradient steps of 1/L.

    Beck & Teboulle, 2009; the restart is that of O'Donoghue & Candès, 2015, which makes
    the convergence linear once a row's support has settled.

    Attributes:
      restart: restart the momentum of a row whose step went uphill.
    """

    restart: bool = False

    @classmethod
    def restarting(cls) -> "Fista":
        """Returns the form that is called "fista_restart"."""
        return cls(restart=True)

    @property
    def arrays_of_codes(self) -> int:
        """How many arrays like the codes are alive at once."""
        return 6

    def usual_precision(self, platform: str) -> str:
        """Returns float32 for the recursion as published, else the platform's best."""
        return precision_lib.coarse(platform) if self.restart else "float32"

    def init(
        self, problem: problem_lib.Problem, *, codes0: jax.Array | None = None
    ) -> FistaState:
        """Starts at ``codes0`` (zeros if None) without momentum."""
        codes, _ = problem.start(codes0)
        return FistaState(codes, codes, jnp.ones_like(problem.x[:, :1]))

    def step(self, state: FistaState, problem: problem_lib.Problem) -> FistaState:
        """Takes one accelerated step.

            α⁺ = shrink(y + ((x − yD)Dᵀ − μy) / L, λ / L)
            t⁺ = (1 + √(1 + 4t²)) / 2
            y⁺ = α⁺ + (t − 1)/t⁺ · (α⁺ − α)

        With ``restart``, a row whose move went uphill, ⟨y − α⁺, α⁺ − α⟩ > 0, has t = 1.
        """
        codes, extrapolated, t = state
        residual = problem.x - problem.decode(extrapolated)
        correlation = problem.correlation(extrapolated, residual)
        shrink = prox.shrinkage(non_negative=problem.non_negative)
        threshold = problem.l1_penalty / problem.lipschitz
        next_codes = shrink(extrapolated + correlation / problem.lipschitz, threshold)
        move = next_codes - codes
        if self.restart:
            against = jnp.sum((extrapolated - next_codes) * move, axis=1, keepdims=True)
            t = jnp.where(against > 0, 1, t)
        next_t = (1 + jnp.sqrt(1 + 4 * t**2)) / 2
        return FistaState(next_codes, next_codes + (t - 1) / next_t * move, next_t)

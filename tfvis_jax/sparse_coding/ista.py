"""Proximal gradient with a fixed step (ISTA)."""

import dataclasses
from typing import NamedTuple

import jax

from tfvis_jax.sparse_coding import dense, prox
from tfvis_jax.sparse_coding import problem as problem_lib


class IstaState(NamedTuple):
    """Where a solve stands.

    Attributes:
      codes: [batch, n_factors].
    """

    codes: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ista(dense.DenseSolver):
    """Proximal gradient steps of 1/L.

    The objective never rises, and after k steps is at most L‖α*‖²/(2k) above the
    optimum when started from zero. Daubechies, Defrise & De Mol, 2004.
    """

    @property
    def arrays_of_codes(self) -> int:
        """How many arrays like the codes are alive at once."""
        return 3

    def usual_precision(self, platform: str) -> str:
        """Returns float32: the published recursion runs as published."""
        del platform
        return "float32"

    def init(
        self, problem: problem_lib.Problem, *, codes0: jax.Array | None = None
    ) -> IstaState:
        """Starts at ``codes0``, zeros if None."""
        return IstaState(problem.start(codes0)[0])

    def step(self, state: IstaState, problem: problem_lib.Problem) -> IstaState:
        """Takes one step: α ← shrink(α + ((x − αD)Dᵀ − μα) / L, λ / L)."""
        codes = state.codes
        correlation = problem.correlation(codes, problem.x - problem.decode(codes))
        shrink = prox.shrinkage(non_negative=problem.non_negative)
        threshold = problem.l1_penalty / problem.lipschitz
        return IstaState(shrink(codes + correlation / problem.lipschitz, threshold))

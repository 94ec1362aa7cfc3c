"""Spectral proximal gradient: a Barzilai–Borwein step for every row, safely.

A row's step length is the inverse of its curvature along its last move, which is often
ten times 1/L but may go uphill. Moves are therefore shortened by a rule that promises
every row what plain proximal gradient (ISTA) promises; `pace` has the rule and why it
holds. There are three forms of the same step, which differ in what they add up:

* residuals, with two products with the dictionary;
* correlations, with two such products, for coarse arithmetics on GPUs;
* correlations by the Gram matrix of few factors, with one product.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import dense, layout, prox
from tfvis_jax.sparse_coding import pace as pace_lib
from tfvis_jax.sparse_coding import precision as precision_lib
from tfvis_jax.sparse_coding import problem as problem_lib

# Up to this many times d_model factors a product with the Gram matrix is faster than
# two with the dictionary: by 2.3 at 2/3, 1.4 at 4/3, and 1.1 at 5/3 (on a CPU).
_GRAM_FACTORS = 1.5


class SpectralState(NamedTuple):
    """Where a solve stands; every row is independent of the others.

    Attributes:
      codes: [batch, n_factors].
      residual: [batch, d_model], x − αD.
      pace: how far each row may go next.
    """

    codes: jax.Array
    residual: jax.Array
    pace: pace_lib.Pace


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spectral(dense.DenseSolver):
    """Proximal gradient with a step length of each row's own.

    The step length is the inverse of the curvature along the row's last move (Barzilai
    & Borwein, 1988; Wright, Nowak & Figueiredo, 2009), and moves are shortened as this
    module's docstring says.
    """

    @property
    def arrays_of_codes(self) -> int:
        """How many arrays like the codes are alive at once."""
        return 5

    def usual_precision(self, platform: str) -> str:
        """Returns what the platform does best."""
        return precision_lib.coarse(platform)

    def recursion(self, problem: problem_lib.Problem) -> dense.Recursion:
        """Returns steps by the Gram matrix where it is small, else by the dictionary.

        Where correlations are added up, coarse steps refine. By the dictionary, in
        float32, it is less to read and write to compute them from the residual.
        """
        n_factors, d_model = problem.dictionary.shape
        whole = layout.num_parts(problem.dictionary) == 1
        if whole and n_factors <= _GRAM_FACTORS * d_model:
            return by_gram(problem)
        return by_dictionary(problem)

    def init(
        self, problem: problem_lib.Problem, *, codes0: jax.Array | None = None
    ) -> SpectralState:
        """Starts at ``codes0``, zeros if None."""
        codes, residual, pace = _start(problem, codes0)
        return SpectralState(codes, residual, pace)

    def step(self, state: SpectralState, problem: problem_lib.Problem) -> SpectralState:
        """Takes one proximal step of each row's own length, τ, and sets the next.

            Δ = shrink(α + τ(rDᵀ − μα), τλ) − α
            α⁺ = α + tΔ,  r⁺ = r − tΔD
            τ⁺ = ‖Δ‖² / (‖ΔD‖² + μ‖Δ‖²), within what is safe

        ΔD is needed for the next residual anyway, so that neither t nor τ⁺ costs a
        matrix product.
        """
        codes, residual, pace = state
        correlation = problem.correlation(codes, residual)
        move, image, pace = _move(codes, correlation, pace, problem)
        return SpectralState(codes + move, residual - image, pace)

    def iterate(
        self,
        problem: problem_lib.Problem,
        *,
        num_steps: int,
        codes0: jax.Array | None = None,
    ) -> jax.Array:
        """Returns the codes after a fixed number of steps, the last a plain one.

        A shortened move leaves small codes where zeros belong, so the last step is a
        proximal step of 1/L.
        """
        state = jax.lax.fori_loop(
            0,
            num_steps - 1,
            lambda _, state: self.step(state, problem),
            self.init(problem, codes0=codes0),
        )
        return self.step(plain(state, lipschitz=problem.lipschitz), problem).codes


class GramState(NamedTuple):
    """Where a solve stands that adds up the correlations of the factors.

    Attributes:
      codes: [batch, size].
      correlation: [batch, size], ⟨d_f, r⟩ − μα_f.
      pace: how far each row may go next.
    """

    codes: jax.Array
    correlation: jax.Array
    pace: pace_lib.Pace


def gram_init(
    codes: jax.Array, correlation: jax.Array, *, lipschitz: jax.Array | float
) -> GramState:
    """Starts at codes whose residual has the given correlations.

    Args:
      codes: [batch, size].
      correlation: [batch, size], ⟨d_f, r⟩ − μα_f.
      lipschitz: L, or a bound.
    """
    none = jnp.zeros_like(codes[:, :1])
    return GramState(codes, correlation, pace_lib.warm(none, lipschitz=lipschitz))


def gram_step(
    state: GramState,
    gram: jax.Array,
    *,
    penalty: jax.Array,
    lipschitz: jax.Array | float,
    non_negative: bool = True,
    precision: str = "float32",
) -> GramState:
    """Takes the same step by a Gram matrix, μ included.

    Args:
      state: where the solve stands.
      gram: each row's own, [batch, size, size], or that of all rows, [size, size].
      penalty: λ, [1 or batch, 1 or size].
      lipschitz: L, or a bound.
      non_negative: whether the codes are.
      precision: of the product with the matrix.
    """
    codes, correlation, pace = state
    move, descent = _propose(
        codes,
        correlation,
        step_size=pace.step_size,
        penalty=penalty,
        non_negative=non_negative,
    )
    subscripts = "bst,bt->bs" if gram.ndim == 3 else "st,bt->bs"
    image = precision_lib.einsum(subscripts, gram, move, precision=precision)
    share, pace = pace_lib.accept(
        pace,
        descent=descent,
        length=jnp.sum(move**2, axis=1, keepdims=True),
        curvature=jnp.sum(move * image, axis=1, keepdims=True),
        lipschitz=lipschitz,
    )
    return GramState(codes + share * move, correlation - share * image, pace)


def plain(state: Any, *, lipschitz: jax.Array | float) -> Any:
    """Returns a state whose next step is one of 1/L, which is always taken whole."""
    size = jnp.zeros_like(state.pace.step_size) + 1 / lipschitz
    return state._replace(pace=state.pace._replace(step_size=size))


def by_gram(problem: problem_lib.Problem) -> dense.Recursion:
    """Returns steps of one [n_factors, n_factors] product instead of two."""
    gram = problem.gram()

    def step(state: GramState, problem: problem_lib.Problem) -> GramState:
        return gram_step(
            state,
            gram,
            penalty=problem.l1_penalty,
            lipschitz=problem.lipschitz,
            non_negative=problem.non_negative,
            precision=problem.precision,
        )

    return _refining(step)


def by_dictionary(problem: problem_lib.Problem) -> dense.Recursion:
    """Returns steps of two products with the dictionary."""
    # Compiled for TPUs, a product with the residual writes the move at once; to keep
    # correlations takes nine passes over arrays of codes in place of six, and one more
    # such array. That costs as much as the float32 steps that it would save.
    refine = layout.platform(problem.dictionary) != "tpu"
    if refine and problem.precision != "float32":
        return _refining(_move_step)
    solver = Spectral()
    return dense.Recursion(
        solver.init,
        solver.step,
        lambda state, residual, correlation: state._replace(residual=residual),
    )


def _refining(
    step: Callable[[GramState, problem_lib.Problem], GramState],
) -> dense.Recursion:
    """Returns a recursion whose correlations only moves change."""

    def init(problem: problem_lib.Problem, *, codes0: jax.Array | None) -> GramState:
        codes, residual, pace = _start(problem, codes0)
        return GramState(codes, problem.correlation(codes, residual), pace)

    def refresh(state: GramState, _: jax.Array, correlation: jax.Array) -> GramState:
        return state._replace(correlation=correlation)

    def restart(state: GramState, problem: problem_lib.Problem) -> GramState:
        none = jnp.zeros_like(state.pace.time)
        return state._replace(pace=pace_lib.warm(none, lipschitz=problem.lipschitz))

    return dense.Recursion(init, step, refresh, restart, refines=True)


def _move_step(state: GramState, problem: problem_lib.Problem) -> GramState:
    """Takes the same step by the dictionary: correlations change by those of −tΔD."""
    move, image, pace = _move(state.codes, state.correlation, state.pace, problem)
    # The image is scaled, not its correlations, so that a product adds to what is
    # there and nothing as large as the codes is written in between.
    change = problem.correlation(move, -image)
    return GramState(state.codes + move, state.correlation + change, pace)


def _move(
    codes: jax.Array,
    correlation: jax.Array,
    pace: pace_lib.Pace,
    problem: problem_lib.Problem,
) -> tuple[jax.Array, jax.Array, pace_lib.Pace]:
    """Returns the share of a move that is taken, its image, and the pace after it."""
    move, descent = _propose(
        codes,
        correlation,
        step_size=pace.step_size,
        penalty=problem.l1_penalty,
        non_negative=problem.non_negative,
    )
    length = jnp.sum(move**2, axis=1, keepdims=True)
    # Kept as it is: compiled for TPUs, it would be computed twice more, from codes and
    # correlations, which are two arrays to read in place of one.
    move = jax.lax.optimization_barrier(move)
    image = problem.decode(move)
    share, pace = pace_lib.accept(
        pace,
        descent=descent,
        length=length,
        curvature=problem.curvature(move, image),
        lipschitz=problem.lipschitz,
    )
    return share * move, share * image, pace


def _start(
    problem: problem_lib.Problem, codes0: jax.Array | None
) -> tuple[jax.Array, jax.Array, pace_lib.Pace]:
    """Returns codes, residual and pace before the first step."""
    codes, residual = problem.start(codes0)
    none = jnp.zeros_like(problem.x[:, :1])
    if codes0 is not None:
        return codes, residual, pace_lib.warm(none, lipschitz=problem.lipschitz)
    return codes, residual, pace_lib.cold(none, lipschitz=problem.lipschitz)


def _propose(
    codes: jax.Array,
    correlation: jax.Array,
    *,
    step_size: jax.Array,
    penalty: jax.Array,
    non_negative: bool,
) -> tuple[jax.Array, jax.Array]:
    """Returns the full move Δ and the first-order descent along it, [batch, 1]."""
    shrink = prox.shrinkage(non_negative=non_negative)
    proposal = shrink(codes + step_size * correlation, step_size * penalty)
    move = proposal - codes
    # In the signed problem |·| is convex along the move, so this bounds the descent.
    cost = penalty * (jnp.abs(proposal) - jnp.abs(codes))
    return move, jnp.sum(move * correlation - cost, axis=1, keepdims=True)

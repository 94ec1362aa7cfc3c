"""Spectral proximal gradient: a Barzilai–Borwein step for every row, safely.

A row's step length τ is the inverse of its curvature along its last move, which is
often ten times 1/L but may go uphill. Moves are therefore shortened, to t ≤ 1 of their
length, by a rule that promises every row what plain proximal gradient (ISTA) promises:
started from zero, its objective F is after k steps at most L‖α*‖²/(2k) above the least.

**Why it holds.** Let δ = F(α) − F*, Φ = ½‖α − α*‖², ℓ = ‖Δ‖², c the curvature along the
move Δ, d the first-order descent along it, T the sum of all tτ so far. Convexity and
the optimality of the proximal step (Beck & Teboulle, 2009, lemma 2.3) give, after a
share t of the move that changes F by at most ϵ = ½t²c − td,

    Tδ + Φ  falls by at least  g(t) = ½t((2 − t)ℓ − tτc) − (T − (1 − t)τ)ϵ.

All of g is at hand. Its sum, the slack, is never let below zero, so Tδ ≤ Φ₀ throughout:
the full move is taken if the slack allows, else the exact minimiser t = d/c along it.
That needs no slack: d ≥ ℓ/τ and c ≤ Lℓ give t ≥ 1/(Lτ), hence (2 − t)τ ≤ 2τ − 1/L,
and this is at most T for every τ up to (T + 1/L)/2, which no step may exceed; so
g = ½t(Td − (2 − t)(τd − ℓ)) ≥ 0. The same t ≥ 1/(Lτ) adds at least 1/L to T, hence
T ≥ k/L. From zero codes a first step of any length will do, because no code can be
clipped and d = ℓ/τ. From other codes T starts at T₀ instead of 0, and what is promised
is (T₀δ₀ + Φ₀)/T, no more than the larger of δ₀ and L‖α₀ − α*‖²/(2k).
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import dense, layout, prox
from tfvis_jax.sparse_coding import precision as precision_lib
from tfvis_jax.sparse_coding import problem as problem_lib

# In units of 1/L: the first step from zero codes, and T₀, which lets warm starts take
# long steps at once.
_COLD_STEP = 16
_HEAD_START = 16
# Up to this many times d_model factors a product with the Gram matrix is faster than
# two with the dictionary: by 2.3 at 2/3, 1.4 at 4/3, and 1.1 at 5/3 (on a CPU).
_GRAM_FACTORS = 1.5


class Pace(NamedTuple):
    """How far a row may go next.

    Attributes:
      step_size: [batch, 1], τ.
      time: [batch, 1], T.
      slack: [batch, 1], what Tδ + Φ is known to have fallen by.
    """

    step_size: jax.Array
    time: jax.Array
    slack: jax.Array


class SpectralState(NamedTuple):
    """Where a solve stands; every row is independent of the others.

    Attributes:
      codes: [batch, n_factors].
      residual: [batch, d_model], x − αD.
      pace: how far each row may go next.
    """

    codes: jax.Array
    residual: jax.Array
    pace: Pace


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

        In a coarse arithmetic both add up correlations, which refines; in float32 it is
        less to read and write to compute them from the residual.
        """
        n_factors, d_model = problem.dictionary.shape
        whole = layout.num_parts(problem.dictionary) == 1
        if whole and n_factors <= _GRAM_FACTORS * d_model:
            return _by_gram(problem.gram())
        if problem.precision != "float32":
            return _refining(_move_step)
        return dense.Recursion(
            self.init,
            self.step,
            lambda state, residual, correlation: state._replace(residual=residual),
        )

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
        move, descent = _propose(
            codes,
            problem.correlation(codes, residual),
            step_size=pace.step_size,
            penalty=problem.l1_penalty,
            non_negative=problem.non_negative,
        )
        length = jnp.sum(move**2, axis=1, keepdims=True)
        # Kept as it is: compiled for TPUs, it would be computed twice more, from codes
        # and correlations, which are two arrays to read in place of one.
        move = jax.lax.optimization_barrier(move)
        image = problem.decode(move)
        share, pace = _accept(
            pace,
            descent=descent,
            length=length,
            curvature=problem.curvature(move, image),
            lipschitz=problem.lipschitz,
        )
        return SpectralState(codes + share * move, residual - share * image, pace)

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
    pace: Pace


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
    return GramState(codes, correlation, _warm_pace(none, lipschitz=lipschitz))


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
    share, pace = _accept(
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


def _by_gram(gram: jax.Array) -> dense.Recursion:
    """Returns steps of one [n_factors, n_factors] product instead of two."""

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
        return state._replace(pace=_warm_pace(none, lipschitz=problem.lipschitz))

    return dense.Recursion(init, step, refresh, restart, refines=True)


def _move_step(state: GramState, problem: problem_lib.Problem) -> GramState:
    """Takes the same step by the dictionary: correlations change by those of −tΔD."""
    codes, correlation, pace = state
    move, descent = _propose(
        codes,
        correlation,
        step_size=pace.step_size,
        penalty=problem.l1_penalty,
        non_negative=problem.non_negative,
    )
    length = jnp.sum(move**2, axis=1, keepdims=True)
    # As in `Spectral.step`.
    move = jax.lax.optimization_barrier(move)
    image = problem.decode(move)
    share, pace = _accept(
        pace,
        descent=descent,
        length=length,
        curvature=problem.curvature(move, image),
        lipschitz=problem.lipschitz,
    )
    # The image is scaled, not its correlations, so that a product adds to what is
    # there and nothing as large as the codes is written in between.
    change = problem.correlation(share * move, -share * image)
    return GramState(codes + share * move, correlation + change, pace)


def _start(
    problem: problem_lib.Problem, codes0: jax.Array | None
) -> tuple[jax.Array, jax.Array, Pace]:
    """Returns codes, residual and pace before the first step."""
    codes, residual = problem.start(codes0)
    none = jnp.zeros_like(problem.x[:, :1])
    if codes0 is not None:
        return codes, residual, _warm_pace(none, lipschitz=problem.lipschitz)
    return codes, residual, Pace(none + _COLD_STEP / problem.lipschitz, none, none)


def _warm_pace(none: jax.Array, *, lipschitz: jax.Array | float) -> Pace:
    time = none + _HEAD_START / lipschitz
    return Pace(_longest(time, lipschitz), time, none)


def _longest(time: jax.Array, lipschitz: jax.Array | float) -> jax.Array:
    return 0.5 * (time + 1 / lipschitz)


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


def _accept(
    pace: Pace,
    *,
    descent: jax.Array,
    length: jax.Array,
    curvature: jax.Array,
    lipschitz: jax.Array | float,
) -> tuple[jax.Array, Pace]:
    """Returns the share t of the move to take, and the pace after it."""
    step_size, time, slack = pace

    def gain(t: jax.Array | float) -> jax.Array:
        change = 0.5 * t**2 * curvature - t * descent
        moved = (2 - t) * length - t * step_size * curvature
        return 0.5 * t * moved - (time - (1 - t) * step_size) * change

    bent = curvature > 0
    minimum = jnp.clip(descent / jnp.where(bent, curvature, 1), 0, 1)
    share = jnp.where(slack + gain(1.0) >= 0, 1, minimum)
    slack = slack + gain(share)
    time = time + share * step_size
    spectral = jnp.where(bent, length / jnp.where(bent, curvature, 1), step_size)
    return share, Pace(jnp.minimum(spectral, _longest(time, lipschitz)), time, slack)

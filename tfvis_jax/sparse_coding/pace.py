"""How far a row may go in a step, and what of the move it takes.

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

from typing import NamedTuple

import jax
import jax.numpy as jnp

# In units of 1/L: the first step from zero codes, and T₀, which lets warm starts take
# long steps at once.
_COLD_STEP = 16
_HEAD_START = 16


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


def cold(none: jax.Array, *, lipschitz: jax.Array | float) -> Pace:
    """Returns the pace of rows whose codes are zero.

    Args:
      none: [batch, 1] zeros, laid out as the pace is to be.
      lipschitz: L, or a bound.
    """
    return Pace(none + _COLD_STEP / lipschitz, none, none)


def warm(none: jax.Array, *, lipschitz: jax.Array | float) -> Pace:
    """Returns the pace of rows with any codes; arguments as of `cold`."""
    time = none + _HEAD_START / lipschitz
    return Pace(_longest(time, lipschitz), time, none)


def accept(
    pace: Pace,
    *,
    descent: jax.Array,
    length: jax.Array,
    curvature: jax.Array,
    lipschitz: jax.Array | float,
) -> tuple[jax.Array, Pace]:
    """Returns the share t of a move to take, [batch, 1], and the pace after it.

    Args:
      pace: before the move.
      descent: [batch, 1], d.
      length: [batch, 1], ℓ.
      curvature: [batch, 1], c.
      lipschitz: L, or a bound.
    """
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


def _longest(time: jax.Array, lipschitz: jax.Array | float) -> jax.Array:
    return 0.5 * (time + 1 / lipschitz)

"""Learns nested dictionaries: short ones of frequent factors inside longer ones.

Factors stand in levels, the most frequent first, and each level codes what the levels
before it leave. With y = x − offset, D_l the factors of level l and r_0 = y,

    α_l = refit(argmin_{α ≥ 0} ½‖r_{l−1} − α D_l‖² + λ‖α‖₁),
    r_l = r_{l−1} − α_l D_l.

A plain dictionary explains a pair of features that fire together by one factor for the
pair, since that is one code less ("absorption"). Here a rare factor cannot take over
what a frequent one writes: its level sees only what is left, so the frequent factor has
to fire whenever its feature does. A factor f of level l moves against the mean of the
gradients of all reconstructions that it takes part in, with weights v,

    g_f = −1/n Σ_b α_bf · Σ_{m ≥ l} v_m r_bm / Σ_{m ≥ l} v_m,

over its code energy (`updates.scale_by_code_energy`), and away from factors that fire
more often, whose share it would otherwise take,

    d_f ← Π(d_f − η ĝ_f − η κ Σ_{g≠f} w_fg ⟨d_f, d_g⟩ d_g),
    w_fg = 2p_g² / (p_f² + p_g²),

with firing rates p and Π scaling to unit norm. Every so often factors are sorted by
rate, and so change levels.

Nested prefixes are those of Matryoshka autoencoders (Bussmann, Nabeshima, Karvonen &
Nanda, 2025, arXiv:2503.17547), whose codes are one linear map; the step is that of
online dictionary learning (Mairal, Bach, Ponce & Sapiro, 2010) with the diagonal of
the Hessian.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import encode, refit, updates
from tfvis_jax.sparse_coding import target_l0 as target_l0_lib

# Share of the factors in each prefix, as published for Matryoshka autoencoders.
_PREFIXES = (1 / 32, 3 / 32, 7 / 32, 15 / 32, 1.0)
_STEP_SIZE, _LAST_STEP_SIZE = 0.15, 0.0075
# v of the whole dictionary; that of every shorter prefix is 1. In synthetic worlds, 1
# costs variance (a hundredth) and the whole alone, MCC (two hundredths).
_WHOLE_WEIGHT = 4.0
# κ. Without, F1 is two hundredths lower.
_REPULSION = 0.1
# The offset moves slower than the factors, which explain the mean as well.
_OFFSET_PACE = 0.3
# Steps between two sortings, and the share of the run after which levels stay.
_SORT_EVERY, _SORT_UNTIL = 50, 0.6
# Weight of a step in the running firing rates.
_RATE_GAIN = 0.01
# λ at the first step; the controller takes it from there.
_FIRST_PENALTY = 0.2
_FIRST_RATE, _LEAST_RATE = 0.1, 1e-4
_TOLERANCE = 1e-2
_MAX_STEPS = 100
_ENERGY = updates.scale_by_code_energy(100, 1e-5, bias_correction=True)


class NestedState(NamedTuple):
    """A nested dictionary while it is learned.

    Attributes:
      factors: [n_factors, d_model], unit rows, level by level.
      offset: [d_model], taken from the rows first.
      l1_penalty: λ of every level.
      rates: [n_factors], running share of rows in which a factor fires.
      energy: running mean of squared codes.
    """

    factors: jax.Array
    offset: jax.Array
    l1_penalty: jax.Array
    rates: jax.Array
    energy: updates.CodeEnergyState


def prefix_sizes(n_factors: int) -> tuple[int, ...]:
    """Returns at which factors the levels end, the last being ``n_factors``."""
    return tuple(sorted({max(1, round(share * n_factors)) for share in _PREFIXES}))


def learn(
    x: np.ndarray,
    *,
    n_factors: int,
    l0: float,
    num_passes: int,
    seed: int,
    rows_per_step: int = 256,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NestedState:
    """Learns a nested dictionary.

    Args:
      x: [rows, d_model] float32, with a root-mean-square distance of about 1 from their
        mean.
      n_factors: number of factors.
      l0: mean number of active factors in a row that λ is moved to while learning.
      num_passes: times that every row is seen, but for those that fill no step.
      seed: decides first factors and order of rows.
      rows_per_step: rows in one step, at most.
      progress: called with (steps done, steps in all).
    """
    rng = np.random.default_rng(seed)
    rows_per_step = min(rows_per_step, len(x))
    factors = dictionary_lib.initialise_normal(
        jax.random.key(seed), n_factors=n_factors, d_model=x.shape[1]
    )
    offset = np.mean(x, axis=0, dtype=np.float64).astype(np.float32)
    state = NestedState(
        factors=factors,
        offset=jnp.asarray(offset),
        l1_penalty=jnp.float32(_FIRST_PENALTY),
        rates=jnp.full(n_factors, _FIRST_RATE),
        energy=_ENERGY.init(factors),
    )
    steps_per_pass = len(x) // rows_per_step
    total = num_passes * steps_per_pass
    done = 0
    for _ in range(num_passes):
        order = rng.permutation(len(x))[: steps_per_pass * rows_per_step]
        for chosen in order.reshape(steps_per_pass, rows_per_step):
            share = done / total
            step_size = _STEP_SIZE + (_LAST_STEP_SIZE - _STEP_SIZE) * share
            state = _step(state, x[chosen], jnp.float32(step_size), jnp.float32(l0))
            done += 1
            if done % _SORT_EVERY == 0 and share < _SORT_UNTIL:
                state = sort_by_rate(state)
            progress(done, total)
    return state


@jax.jit
def _step(state, x, step_size, l0):
    codes = infer(x - state.offset[None], state.factors, l1_penalty=state.l1_penalty)
    found = jnp.mean(jnp.sum(codes > 0, axis=1, dtype=jnp.float32))
    state = move(state, x, codes, step_size=step_size)
    return state._replace(
        l1_penalty=target_l0_lib.track(state.l1_penalty, found, target_l0=l0)
    )


def infer(y: jax.Array, factors: jax.Array, *, l1_penalty: jax.Array) -> jax.Array:
    """Returns the nested codes of centred rows, [batch, n_factors] ≥ 0.

    Args:
      y: [batch, d_model], x less the offset.
      factors: [n_factors, d_model], level by level.
      l1_penalty: λ.
    """
    residual, codes = y, []
    for level in _levels(factors.shape[0]):
        found = encode(
            residual,
            factors[level],
            l1_penalty=l1_penalty,
            tolerance=_TOLERANCE,
            max_steps=_MAX_STEPS,
        )
        codes.append(refit(residual, factors[level], found.codes))
        residual = residual - codes[-1] @ factors[level]
    return jnp.concatenate(codes, axis=1)


def move(
    state: NestedState, x: jax.Array, codes: jax.Array, *, step_size: jax.Array
) -> NestedState:
    """Takes one step of factors and offset along codes that are held fixed.

    Args:
      state: before the step.
      x: [batch, d_model].
      codes: [batch, n_factors] of `infer`.
      step_size: η.
    """
    factors = state.factors
    residuals = _residuals(x - state.offset[None], codes, factors)
    gradient = jnp.concatenate(
        [
            -codes[:, level].T @ _weighted_mean(residuals[number:])
            for number, level in enumerate(_levels(factors.shape[0]))
        ]
    ) / len(x)
    direction, energy = _ENERGY.update(
        gradient, state.energy, energy=jnp.mean(codes**2, axis=0)
    )
    direction = direction + _REPULSION * repulsion(factors, state.rates)
    fires = jnp.mean(codes > 0, axis=0, dtype=jnp.float32)
    return state._replace(
        factors=dictionary_lib.project_unit_norm(factors - step_size * direction),
        offset=state.offset
        + _OFFSET_PACE * step_size * jnp.mean(residuals[-1], axis=0),
        rates=(1 - _RATE_GAIN) * state.rates + _RATE_GAIN * fires,
        energy=energy,
    )


def repulsion(factors: jax.Array, rates: jax.Array) -> jax.Array:
    """Returns Σ_{g≠f} w_fg ⟨d_f, d_g⟩ d_g of every factor f, [n_factors, d_model].

    Args:
      factors: [n_factors, d_model], unit rows.
      rates: [n_factors], how often they fire.
    """
    gram = factors @ factors.T
    gram = gram - jnp.diag(jnp.diagonal(gram))
    squares = (rates + _LEAST_RATE) ** 2
    weights = 2 * squares[None, :] / (squares[None, :] + squares[:, None])
    return (weights * gram) @ factors


def sort_by_rate(state: NestedState) -> NestedState:
    """Returns the state with its factors in the order of how often they fire."""
    order = jnp.argsort(-state.rates)
    return state._replace(
        factors=state.factors[order],
        rates=state.rates[order],
        energy=state.energy._replace(energy=state.energy.energy[order]),
    )


def _levels(n_factors) -> list[slice]:
    ends = prefix_sizes(n_factors)
    return [slice(*ends_of) for ends_of in zip((0, *ends[:-1]), ends, strict=True)]


def _weighted_mean(residuals):
    """Returns Σ v_m r_m / Σ v_m of prefixes, the last of which is the whole."""
    total = sum(residuals[:-1]) + _WHOLE_WEIGHT * residuals[-1]
    return total / (len(residuals) - 1 + _WHOLE_WEIGHT)


def _residuals(y, codes, factors):
    """Returns r_l of every level."""
    found = []
    for level in _levels(factors.shape[0]):
        y = y - codes[:, level] @ factors[level]
        found.append(y)
    return found

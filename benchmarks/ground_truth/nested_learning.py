"""Learns nested dictionaries: short ones of frequent factors inside longer ones.

Factors are ordered in levels, the most frequent first, and each level encodes the
residual of the levels before it. With y = x − offset, D_l the factors of level l and
r_0 = y,

    α_l = refit(argmin_{α ≥ 0} ½‖r_{l−1} − α D_l‖² + λ‖α‖₁),
    r_l = r_{l−1} − α_l D_l.

A plain dictionary explains two features that fire together by a single factor for the
pair, which saves one code ("absorption"). Here a rare factor cannot take over what a
frequent one explains: its level sees only the residual, so the frequent factor has to
fire whenever its feature does. A factor f of level l moves against the mean gradient of
all reconstructions that it contributes to, with weights v,

    g_f = −1/n Σ_b α_bf · Σ_{m ≥ l} v_m r_bm / Σ_{m ≥ l} v_m,

divided by its code energy (`updates.scale_by_code_energy`), and away from factors that
fire more often, whose role it would otherwise take over,

    d_f ← Π(d_f − η ĝ_f − η κ Σ_{g≠f} w_fg ⟨d_f, d_g⟩ d_g),
    w_fg = 2p_g² / (p_f² + p_g²),

where p are firing rates and Π scales to unit norm. At intervals the factors are sorted
by rate, which moves them between levels.

Nested prefixes come from Matryoshka autoencoders (Bussmann, Nabeshima, Karvonen &
Nanda, 2025, arXiv:2503.17547), whose codes are a single linear map. The step is that of
online dictionary learning (Mairal, Bach, Ponce & Sapiro, 2010) with the diagonal of the
Hessian.
"""

from collections.abc import Callable
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.sparse_coding import dictionary as dictionary_lib
from tfvis_jax.sparse_coding import encode, refit, updates
from tfvis_jax.sparse_coding import target_l0 as target_l0_lib

# Fraction of the factors in each prefix, as published for Matryoshka autoencoders.
_PREFIXES = (1 / 32, 3 / 32, 7 / 32, 15 / 32, 1.0)
_STEP_SIZE, _LAST_STEP_SIZE = 0.15, 0.0075
# v of the whole dictionary; that of every shorter prefix is 1. On synthetic data, v = 1
# costs 0.01 of explained variance, and the whole dictionary alone costs 0.02 of MCC.
_WHOLE_WEIGHT = 4.0
# κ; without repulsion, F1 is 0.02 lower.
_REPULSION = 0.1
# The offset moves more slowly than the factors, which explain the mean as well.
_OFFSET_PACE = 0.3
# Steps between sortings, and the fraction of the run after which levels are fixed.
_SORT_EVERY, _SORT_UNTIL = 50, 0.6
# Weight of a step in the running firing rates.
_RATE_GAIN = 0.01
# λ at the first step, before the controller changes it.
_FIRST_PENALTY = 0.2
_FIRST_RATE, _LEAST_RATE = 0.1, 1e-4
_TOLERANCE = 1e-2
_MAX_STEPS = 100
_ENERGY = updates.scale_by_code_energy(100, 1e-5, bias_correction=True)


class NestedState(NamedTuple):
    """A nested dictionary during learning.

    Attributes:
      factors: [n_factors, d_model], unit rows, level by level.
      offset: [d_model], subtracted from the rows first.
      l1_penalty: scalar, λ of every level.
      rates: [n_factors], running fraction of rows in which each factor fires.
      energy: running mean of squared codes.
    """

    factors: jax.Array
    offset: jax.Array
    l1_penalty: jax.Array
    rates: jax.Array
    energy: updates.CodeEnergyState


def prefix_sizes(n_factors: int) -> tuple[int, ...]:
    """Returns the number of factors in each prefix, the last being ``n_factors``."""
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
      l0: target for the mean number of active factors per row, to which λ is adjusted.
      num_passes: how often every row is used, except those left over in a pass.
      seed: determines the first factors and the order of rows.
      rows_per_step: maximum number of rows in one step.
      progress: called with (steps done, steps in all).

    Returns:
      The state after the last step.
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
        energy=cast(updates.CodeEnergyState, _ENERGY.init(factors)),
    )
    steps_per_pass = len(x) // rows_per_step
    total = num_passes * steps_per_pass
    done = 0
    for _ in range(num_passes):
        order = rng.permutation(len(x))[: steps_per_pass * rows_per_step]
        for chosen in order.reshape(steps_per_pass, rows_per_step):
            share = done / total
            step_size = _STEP_SIZE + (_LAST_STEP_SIZE - _STEP_SIZE) * share
            state = _step(
                state,
                jnp.asarray(x[chosen]),
                jnp.float32(step_size),
                jnp.float32(l0),
            )
            done += 1
            if done % _SORT_EVERY == 0 and share < _SORT_UNTIL:
                state = sort_by_rate(state)
            progress(done, total)
    return state


@jax.jit
def _step(
    state: NestedState, x: jax.Array, step_size: jax.Array, l0: jax.Array
) -> NestedState:
    codes = infer(x - state.offset[None], state.factors, l1_penalty=state.l1_penalty)
    found = jnp.mean(jnp.sum(codes > 0, axis=1, dtype=jnp.float32))
    state = move(state, x, codes, step_size=step_size)
    return state._replace(
        l1_penalty=target_l0_lib.track(state.l1_penalty, found, target_l0=l0)
    )


def infer(y: jax.Array, factors: jax.Array, *, l1_penalty: jax.Array) -> jax.Array:
    """Returns the nested codes of centred rows, [batch, n_factors] ≥ 0.

    Args:
      y: [batch, d_model], x minus the offset.
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
    """Takes one step of the factors and the offset for fixed codes.

    Args:
      state: the state before the step.
      x: [batch, d_model].
      codes: [batch, n_factors], from `infer`.
      step_size: η.

    Returns:
      The state after the step; λ is unchanged.
    """
    factors = state.factors
    residuals = _residuals(x - state.offset[None], codes, factors)
    gradient = jnp.concatenate(
        [
            -codes[:, level].T @ _weighted_mean(residuals[number:])
            for number, level in enumerate(_levels(factors.shape[0]))
        ]
    ) / len(x)
    # Optax types updates and states as trees of any kind.
    direction, energy = cast(
        tuple[jax.Array, updates.CodeEnergyState],
        _ENERGY.update(gradient, state.energy, energy=jnp.mean(codes**2, axis=0)),
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
      rates: [n_factors], fraction of rows in which each factor fires.
    """
    gram = factors @ factors.T
    gram = gram - jnp.diag(jnp.diagonal(gram))
    squares = (rates + _LEAST_RATE) ** 2
    weights = 2 * squares[None, :] / (squares[None, :] + squares[:, None])
    return (weights * gram) @ factors


def sort_by_rate(state: NestedState) -> NestedState:
    """Returns the state with its factors sorted by firing rate, highest first."""
    order = jnp.argsort(-state.rates)
    return state._replace(
        factors=state.factors[order],
        rates=state.rates[order],
        energy=state.energy._replace(energy=state.energy.energy[order]),
    )


def _levels(n_factors: int) -> list[slice]:
    """Returns which factors each level holds."""
    ends = prefix_sizes(n_factors)
    return [slice(*ends_of) for ends_of in zip((0, *ends[:-1]), ends, strict=True)]


def _weighted_mean(residuals: list[jax.Array]) -> jax.Array:
    """Returns Σ v_m r_m / Σ v_m over prefixes, the last being the whole dictionary."""
    total = sum(residuals[:-1]) + _WHOLE_WEIGHT * residuals[-1]
    return total / (len(residuals) - 1 + _WHOLE_WEIGHT)


def _residuals(y: jax.Array, codes: jax.Array, factors: jax.Array) -> list[jax.Array]:
    """Returns the residual r_l of every level, each [batch, d_model]."""
    found = []
    for level in _levels(factors.shape[0]):
        y = y - codes[:, level] @ factors[level]
        found.append(y)
    return found

"""The entry to sparse coding: codes to a tolerance, with their certificate.

Nothing here talks to the host, so `encode` runs inside a jitted training step and
unchanged under `vmap`, `pmap` and `shard_map`; a mesh may split the rows or the
factors.

The dense solvers take all rows together in blocks of steps. After every block each
row's duality gap is computed, finished rows are frozen, and the loop ends when none is
left or the budget is spent. The working-set solver sorts unfinished rows to the front
instead and works on those alone; where a mesh splits the rows, every device does so
with its own.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config
from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import fista as fista_lib
from tfvis_jax.sparse_coding import ista as ista_lib
from tfvis_jax.sparse_coding import lipschitz as lipschitz_lib
from tfvis_jax.sparse_coding import objective, working_set
from tfvis_jax.sparse_coding import spectral as spectral_lib

SOLVERS = config.SOLVERS

# Below this many factors a dense step costs no more than a working set.
_MIN_FACTORS = 256


class Encoding(NamedTuple):
    """Codes and what is known about them."""

    codes: jax.Array
    """[batch, n_factors]."""
    gap: jax.Array
    """[batch], relative duality gap: the objective is within gap·½‖x‖² of optimal."""
    num_steps: jax.Array
    """[batch] int32, dense steps until the row was finished; a round on a working set
    counts as one."""
    converged: jax.Array
    """[batch] bool, whether the gap is within the tolerance."""


def choose_solver(*, platform: str, n_factors: int, factors_are_split: bool) -> str:
    """Returns the name of the solver that ``solver="auto"`` means.

    Working sets need whole factors on each device and pay off where gathering a few
    factors is cheap against a dense step: measured on CPUs, from a few hundred factors.
    """
    if platform == "cpu" and n_factors >= _MIN_FACTORS and not factors_are_split:
        return "working_set"
    return "spectral"


def encode(
    x: jax.Array,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    solver: str = "auto",
    tolerance: jax.Array | float = 1e-4,
    max_steps: int = 500,
    block_steps: int = 10,
    lipschitz: jax.Array | float | None = None,
    codes0: jax.Array | None = None,
    non_negative: bool = True,
    precision: objective.Precision = None,
) -> Encoding:
    """Infers sparse codes until each row's duality gap is within ``tolerance``.

    Args:
      x: [batch, d_model] rows.
      dictionary: [n_factors, d_model]; unit norm is usual, not required.
      l1_penalty: λ > 0; scalar, [batch], or [1 or batch, n_factors]. Traced: a new
        value does not recompile.
      solver: one of `SOLVERS`; `choose_solver` says what "auto" means.
      tolerance: largest relative duality gap of a finished row; 0 spends ``max_steps``.
        Below about 1e-6 float32 cannot tell.
      max_steps: budget of dense steps.
      block_steps: steps of a dense solver between two looks at the gap.
      lipschitz: largest eigenvalue of DᵀD, or a bound; estimated if None.
      codes0: [batch, n_factors] start, as from a slightly older dictionary.
      non_negative: whether the codes are.
      precision: of the matrix products of dense steps; highest if None. The certificate
        is always computed at the highest.

    Returns:
      Codes with gap, number of steps and whether converged, per row.

    Raises:
      InputError: if shapes do not fit, factors are split and the solver needs them
        whole, or a concrete ``l1_penalty`` is not positive.
    """
    _check(x, dictionary, l1_penalty=l1_penalty, solver=solver, codes0=codes0)
    if max_steps < 1 or block_steps < 1:
        raise InputError(
            "Expected `max_steps` and `block_steps` to be at least 1, got "
            f"{max_steps} and {block_steps}."
        )
    factors_are_split = _num_parts(dictionary) > 1
    if solver == "auto":
        solver = choose_solver(
            platform=jax.default_backend(),
            n_factors=dictionary.shape[0],
            factors_are_split=factors_are_split,
        )
    settings = {
        "l1_penalty": l1_penalty,
        "tolerance": tolerance,
        "max_steps": max_steps,
        "lipschitz": (
            lipschitz_lib.power_iteration(dictionary)
            if lipschitz is None
            else lipschitz
        ),
        "codes0": codes0,
        "non_negative": non_negative,
        "precision": jax.lax.Precision.HIGHEST if precision is None else precision,
    }
    if solver == "working_set":
        if factors_are_split:
            raise InputError(
                'Expected whole factors on every device for solver="working_set", got '
                f"a dictionary laid out as {jax.typeof(dictionary).sharding.spec}; "
                'split the rows only, or use "spectral".'
            )
        codes, gap, num_steps = _by_working_set(x, dictionary, **settings)
    else:
        codes, gap, num_steps = _by_blocks(
            x, dictionary, solver=solver, block_steps=block_steps, **settings
        )
    return Encoding(codes, gap, num_steps, gap <= tolerance)


def _by_blocks(
    x,
    dictionary,
    *,
    solver,
    l1_penalty,
    tolerance,
    max_steps,
    block_steps,
    lipschitz,
    codes0,
    non_negative,
    precision,
):
    """Takes steps on all rows, looking at their gaps after every block of steps."""
    problem = {"l1_penalty": l1_penalty, "non_negative": non_negative}
    step = _step(solver, x, dictionary, lipschitz=lipschitz)

    def certify(codes):
        return objective.duality_gap(x, dictionary, codes, **problem)

    def unfinished(carry):
        _, _, gap, _, spent = carry
        return (spent < max_steps) & jnp.any(gap > tolerance)

    def advance(carry):
        state, codes, gap, num_steps, spent = carry
        active = gap > tolerance
        num_now = jnp.minimum(block_steps, max_steps - spent)
        state = jax.lax.fori_loop(
            0,
            num_now,
            lambda _, state: step(state, precision=precision, **problem),
            state,
        )
        codes = jnp.where(active[:, None], state.codes, codes)
        gap = jnp.where(active, certify(state.codes), gap)
        num_steps = num_steps + jnp.where(active, num_now, 0)
        return state, codes, gap, num_steps, spent + num_now

    if solver == "spectral":
        state = spectral_lib.init(x, dictionary, lipschitz=lipschitz, codes0=codes0)
    elif solver == "ista":
        state = ista_lib.init(x, dictionary, codes0=codes0)
    else:
        state = fista_lib.init(x, dictionary, codes0=codes0)
    gap = certify(state.codes)
    carry = (state, state.codes, gap, jnp.zeros_like(gap, jnp.int32), 0)
    _, codes, gap, num_steps, _ = jax.lax.while_loop(unfinished, advance, carry)
    return codes, gap, num_steps


def _step(solver, x, dictionary, *, lipschitz) -> Callable:
    """Returns one step of a named dense solver as a function of its state."""
    if solver == "spectral":
        return lambda state, **problem: spectral_lib.step(state, dictionary, **problem)
    if solver == "ista":
        return lambda state, **problem: ista_lib.step(
            state, x, dictionary, lipschitz=lipschitz, **problem
        )
    return lambda state, **problem: fista_lib.step(
        state,
        x,
        dictionary,
        lipschitz=lipschitz,
        restart=solver == "fista_restart",
        **problem,
    )


def _by_working_set(x, dictionary, *, l1_penalty, codes0, **settings):
    """Solves on working sets; on each device alone where a mesh splits the rows."""
    layout = jax.typeof(x).sharding
    rows = layout.spec[0]
    if rows is None:
        return working_set.solve(
            x, dictionary, l1_penalty=l1_penalty, codes0=codes0, **settings
        )
    traced = {name: settings.pop(name) for name in ("tolerance", "lipschitz")}
    # Every row carries its own penalty, so that it is split as the rows are.
    penalty = objective.penalty_matrix(l1_penalty) * jnp.ones_like(x[:, :1])
    by_row = (x, penalty) if codes0 is None else (x, penalty, codes0)
    by_row = tuple(jax.reshard(a, jax.P(rows, None)) for a in by_row)
    dictionary = jax.reshard(dictionary, jax.P(None, None))

    def solve(by_row, dictionary, traced):
        x, penalty, *start = by_row
        return working_set.solve(
            x,
            dictionary,
            l1_penalty=penalty,
            codes0=start[0] if start else None,
            **traced,
            **settings,
        )

    return jax.shard_map(
        solve,
        mesh=layout.mesh,
        in_specs=(jax.P(rows), jax.P(), jax.P()),
        out_specs=jax.P(rows),
    )(by_row, dictionary, traced)


def _num_parts(array) -> int:
    """Returns over how many devices the first axis of an array is split."""
    layout = jax.typeof(array).sharding
    axes = layout.spec[0]
    axes = () if axes is None else axes if isinstance(axes, tuple) else (axes,)
    return math.prod(layout.mesh.shape[axis] for axis in axes)


def _check(x, dictionary, *, l1_penalty, solver, codes0):
    if solver not in SOLVERS:
        raise InputError(f"Expected `solver` to be one of {SOLVERS}, got {solver!r}.")
    if x.ndim != 2 or dictionary.ndim != 2 or x.shape[1] != dictionary.shape[1]:
        raise InputError(
            "Expected `x` of shape [batch, d_model] and `dictionary` of shape "
            f"[n_factors, d_model], got {x.shape} and {dictionary.shape}."
        )
    codes_shape = (x.shape[0], dictionary.shape[0])
    if codes0 is not None and codes0.shape != codes_shape:
        raise InputError(
            f"Expected `codes0` of shape {codes_shape}, got {codes0.shape}."
        )
    penalty_shape = np.shape(l1_penalty)
    if len(penalty_shape) > 2 or any(
        size not in (1, full)
        for size, full in zip(penalty_shape, codes_shape, strict=False)
    ):
        raise InputError(
            "Expected `l1_penalty` to be a scalar or of shape [batch] or [1 or batch, "
            f"n_factors] with [batch, n_factors] = {codes_shape}, got {penalty_shape}."
        )
    is_traced = isinstance(l1_penalty, jax.core.Tracer)
    if not is_traced and not np.all(np.asarray(l1_penalty) > 0):
        raise InputError(
            "Expected `l1_penalty` to be positive everywhere, got "
            f"{np.min(l1_penalty)} as its least value; λ = 0 is plain least squares."
        )

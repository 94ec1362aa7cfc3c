"""The entry to sparse coding: codes to a tolerance, with their certificate.

Nothing here talks to the host, so `encode` runs inside a jitted training step and
unchanged under `vmap`, `pmap` and `shard_map`; a mesh may split the rows or the
factors.

The dense solvers (`dense`) take all rows together. The working-set solver sorts
unfinished rows to the front and works on those alone; where a mesh splits the rows,
every device does so with its own.

The greedy solvers (`greedy`) spend a budget of k factors a row instead and minimise
nothing; they are here to be compared with.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax import config
from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import (
    checks,
    dense,
    greedy,
    implicit,
    layout,
    objective,
    working_set,
)
from tfvis_jax.sparse_coding import precision as precision_lib
from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding import refitting as refit

SOLVERS = config.SOLVERS
GREEDY_SOLVERS = {
    "omp": greedy.omp,
    "gradient_pursuit": greedy.gradient_pursuit,
    "top_k": greedy.top_k,
}

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
    """[batch] bool, whether the gap is certainly within the tolerance: never for a
    tolerance below `objective.GAP_FLOOR`, except where the gap is exactly 0."""


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
    l2_penalty: jax.Array | float = 0.0,
    solver: str = "auto",
    tolerance: jax.Array | float = 1e-4,
    max_steps: int = 500,
    block_steps: int = 10,
    lipschitz: jax.Array | float | None = None,
    codes0: jax.Array | None = None,
    non_negative: bool = True,
    k: int | None = None,
    debias: bool = False,
    precision: str | None = None,
) -> Encoding:
    """Infers sparse codes until each row's duality gap is within ``tolerance``.

    With ``k`` or ``debias`` the codes are then refitted by least squares, which no
    longer minimises the objective: gap, steps and convergence are those of the codes
    that were refitted, and certify the support, not its new values.

    Greedy solvers need ``k``. Their gap is that of the problem with λ, which they do
    not minimise: it says what their choice of factors costs there.

    Codes are differentiable with respect to ``x``, ``dictionary`` and both penalties,
    forward and reverse, as `implicit` and `greedy` say; gap and steps are constants.

    Args:
      x: [batch, d_model] rows.
      dictionary: [n_factors, d_model]; unit norm is usual, not required.
      l1_penalty: λ > 0; scalar, [batch], or [1 or batch, n_factors]. Traced: a new
        value does not recompile.
      l2_penalty: μ ≥ 0, a scalar: the elastic net. A plain 0 costs nothing.
      solver: one of `SOLVERS`, where `choose_solver` says what "auto" means, or of
        `GREEDY_SOLVERS`, which use nothing else here but ``k``, ``non_negative`` and
        ``debias``.
      tolerance: largest relative duality gap of a finished row; 0 spends ``max_steps``.
        What float32 can certify ends at 1e-6, `objective.GAP_FLOOR`: below it steps are
        taken all the same, but no row counts as converged.
      max_steps: budget of dense steps; rows that exceed it are not converged.
      block_steps: steps of a dense solver between two looks at the gap.
      lipschitz: largest eigenvalue of DᵀD, or a bound; estimated if None.
      codes0: [batch, n_factors] start, as from a slightly older dictionary; of codes
        that are to be non-negative, the positive part.
      non_negative: whether the codes are.
      k: keep the k codes of largest magnitude of every row, refitted; the number of
        steps of a greedy solver. Static.
      debias: refit all codes in use, which removes the shrinkage by λ.
      precision: in which arithmetic the steps of a dense solver begin, one of
        `precision.NAMES`; they end, and the certificate is computed, in float32. None
        is what the platform does best, TF32 on a GPU and bfloat16 on a TPU; but float32
        for "ista" and "fista", which run as published.

    Returns:
      Codes with gap, number of steps and whether converged, per row.

    Raises:
      InputError: if shapes do not fit, factors are split and the solver needs them
        whole, or values that are not traced make no problem: numbers in ``x``,
        ``dictionary`` or ``codes0`` that are not finite, λ ≤ 0 or infinite, μ < 0, a
        tolerance < 0, or a ``lipschitz`` ≤ 0. Where they are traced, the gap of the
        rows concerned is NaN, they are not converged, and other rows are not affected.
    """
    checks.check_problem(
        x, dictionary, l1_penalty=l1_penalty, l2_penalty=l2_penalty, codes0=codes0
    )
    checks.check_effort(
        tolerance=tolerance,
        max_steps=max_steps,
        block_steps=block_steps,
        k=k,
        lipschitz=lipschitz,
    )
    factors_are_split = layout.num_parts(dictionary) > 1
    solver = _resolve(solver, dictionary, k=k, factors_are_split=factors_are_split)
    problem = problem_lib.lasso(
        *jax.lax.stop_gradient((x, dictionary)),
        l1_penalty=l1_penalty,
        l2_penalty=l2_penalty,
        lipschitz=lipschitz,
        non_negative=non_negative,
        precision=_first_precision(
            precision, solver, platform=layout.platform(dictionary)
        ),
    )
    # What depends on the inputs does so through `implicit`, not through a solver.
    problem, codes0 = jax.lax.stop_gradient((problem, codes0))
    if codes0 is not None:
        codes0 = jnp.asarray(codes0, jnp.float32)
        # The certificate takes for granted that codes are what they may be.
        codes0 = jnp.maximum(codes0, 0) if non_negative else codes0
    is_greedy = solver in GREEDY_SOLVERS
    if is_greedy:
        codes, gap, num_steps = _by_greedy(problem, x, dictionary, solver=solver, k=k)
    elif solver == "working_set":
        codes, gap, num_steps = layout.on_each_device(
            functools.partial(_by_working_set, max_steps=max_steps),
            problem,
            codes0,
            tolerance,
        )
    else:
        codes, gap, num_steps = dense.solve(
            problem,
            solver=solver,
            tolerance=tolerance,
            max_steps=max_steps,
            block_steps=block_steps,
            codes0=codes0,
        )
    is_refitted = debias or (k is not None and not is_greedy)
    if is_refitted:
        codes = jax.lax.stop_gradient(codes)
        l1_penalty = l2_penalty = 0.0
    if debias and factors_are_split:
        codes = refit.on_all_factors(problem, codes)
    elif is_refitted:
        codes = layout.on_each_device(
            functools.partial(_by_refit, k=k), problem, codes, None
        )
    if is_refitted or not is_greedy:
        codes = implicit.differentiable(
            codes, x, dictionary, l1_penalty=l1_penalty, l2_penalty=l2_penalty
        )
    # Below the floor a gap is rounding, unless it is exactly zero.
    certain = (gap == 0) | (tolerance >= objective.GAP_FLOOR)
    return Encoding(codes, gap, num_steps, (gap <= tolerance) & certain)


def _resolve(solver, dictionary, *, k, factors_are_split) -> str:
    """Returns the name of the solver to use, if it can do what is asked for."""
    names = (*SOLVERS, *GREEDY_SOLVERS)
    if solver not in names:
        raise InputError(f"Expected `solver` to be one of {names}, got {solver!r}.")
    if k is None and solver in GREEDY_SOLVERS:
        raise InputError(
            f"Expected `k`, the most codes of a row, with solver={solver!r}; got None."
        )
    if factors_are_split and (solver == "working_set" or k is not None):
        raise InputError(
            'Expected whole factors on every device for solver="working_set" or `k`, '
            f"got a dictionary laid out as {jax.typeof(dictionary).sharding.spec}; "
            'split the rows only, or use "spectral" without `k`.'
        )
    if solver != "auto":
        return solver
    return choose_solver(
        platform=layout.platform(dictionary),
        n_factors=dictionary.shape[0],
        factors_are_split=factors_are_split,
    )


def _first_precision(precision, solver, *, platform) -> str:
    """Returns the arithmetic in which a solver begins."""
    if precision is not None:
        if precision not in precision_lib.NAMES:
            raise InputError(
                f"Expected `precision` to be None or one of {precision_lib.NAMES}, "
                f"got {precision!r}."
            )
        return precision
    # The published recursions run as published, step for step.
    if solver in ("ista", "fista"):
        return "float32"
    return precision_lib.coarse(platform)


def _by_working_set(problem, codes0, tolerance, *, max_steps):
    return working_set.solve(
        problem, tolerance=tolerance, max_steps=max_steps, codes0=codes0
    )


def _by_greedy(problem, x, dictionary, *, solver, k):
    solve = GREEDY_SOLVERS[solver]
    x, dictionary = (jnp.asarray(a, jnp.float32) for a in (x, dictionary))
    codes = layout.on_each_device(
        lambda problem, *_: solve(
            problem.x, problem.dictionary, k=k, non_negative=problem.non_negative
        ),
        dataclasses.replace(problem, x=x, dictionary=dictionary),
        None,
        None,
    )
    held = jax.lax.stop_gradient(codes)
    gap, _ = problem.certify(held, problem.residual(held))
    return codes, gap, jnp.full_like(gap, k, jnp.int32)


def _by_refit(problem, codes, _, *, k):
    return refit.solve(problem, codes, max_active=k)

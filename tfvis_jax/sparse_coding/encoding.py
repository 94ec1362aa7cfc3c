"""The entry to sparse coding: codes to a tolerance, with their certificate.

An eager call checks its arguments and runs one compiled program, the same for every
value of the same shapes. Nothing in that program talks to the host, so `encode` also
runs inside a jitted training step and unchanged under `vmap`, `pmap` and `shard_map`; a
mesh may split the rows or the factors.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from tfvis_jax.sparse_coding import checks, implicit, layout, objective, registry
from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding import solver as solver_lib
from tfvis_jax.sparse_coding.arrays import Codes, Factors, Rows
from tfvis_jax.sparse_coding.compilation import compiled


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


def encode(
    x: Rows,
    dictionary: Factors,
    *,
    l1_penalty: jax.typing.ArrayLike,
    l2_penalty: jax.typing.ArrayLike = 0.0,
    solver: str | solver_lib.Solver = "auto",
    tolerance: jax.typing.ArrayLike = 1e-4,
    max_steps: int = 500,
    lipschitz: jax.typing.ArrayLike | None = None,
    codes0: Codes | None = None,
    non_negative: bool = True,
) -> Encoding:
    """Infers sparse codes until each row's duality gap is within ``tolerance``.

    Codes are differentiable with respect to ``x``, ``dictionary`` and both penalties,
    forward and reverse, as `implicit` says; gap and steps are constants.

    Args:
      x: [batch, d_model] rows.
      dictionary: [n_factors, d_model]; unit norm is usual, not required.
      l1_penalty: λ > 0; scalar, [batch], or [1 or batch, n_factors]. Traced: a new
        value does not recompile.
      l2_penalty: μ ≥ 0, a scalar: the elastic net. A plain 0 costs nothing.
      solver: one of `config.SOLVERS`, where `choose_solver` says what "auto" means, or
        a value such as ``Spectral(block_steps=5)``. Static.
      tolerance: largest relative duality gap of a finished row; 0 spends ``max_steps``.
        What float32 can certify ends at 1e-6, `objective.GAP_FLOOR`: below it steps are
        taken all the same, but no row counts as converged.
      max_steps: budget of dense steps; rows that exceed it are not converged. Static.
      lipschitz: largest eigenvalue of DᵀD, or a bound; estimated if None.
      codes0: [batch, n_factors] start, as from a slightly older dictionary; of codes
        that are to be non-negative, the positive part.
      non_negative: If True, constrain codes to be >= 0.

    Returns:
      Codes with gap, number of steps and whether converged, per row.

    Raises:
      InputError: if shapes do not fit, factors are split and the solver needs them
        whole, or values that are not traced make no problem: numbers in ``x``,
        ``dictionary`` or ``codes0`` that are not finite or too large or small for their
        squares to be float32, λ ≤ 0 or infinite, μ < 0, a
        tolerance < 0, or a ``lipschitz`` ≤ 0. Where they are traced, the gap of the
        rows concerned is NaN, they are not converged, and other rows are not affected.
    """
    numbers = checks.check_lasso(
        x,
        dictionary,
        l1_penalty=l1_penalty,
        l2_penalty=l2_penalty,
        tolerance=tolerance,
        max_steps=max_steps,
        lipschitz=lipschitz,
        codes0=codes0,
    )
    chosen = registry.solver(
        solver,
        platform=layout.platform(dictionary),
        n_factors=dictionary.shape[0],
        factors_are_split=layout.num_parts(dictionary) > 1,
    )
    if chosen.needs_whole_dictionary:
        layout.check_whole(dictionary, needed_by=repr(solver))
    return _encode(
        x,
        dictionary,
        codes0,
        **numbers,
        solver=chosen,
        max_steps=max_steps,
        non_negative=checks.is_true("non_negative", non_negative),
    )


# Inside a caller's trace the program is inlined, as if it had been written there.
@compiled("solver", "max_steps", "non_negative")
def _encode(
    x: Rows,
    dictionary: Factors,
    codes0: Codes | None,
    *,
    l1_penalty: jax.Array,
    l2_penalty: jax.Array | None,
    tolerance: jax.Array,
    lipschitz: jax.Array | None,
    solver: solver_lib.Solver,
    max_steps: int,
    non_negative: bool,
) -> Encoding:
    if lipschitz is None and not solver.needs_curvature:
        lipschitz = jnp.float32(jnp.inf)
    problem = problem_lib.lasso(
        *jax.lax.stop_gradient((x, dictionary)),
        l1_penalty=l1_penalty,
        l2_penalty=l2_penalty,
        lipschitz=lipschitz,
        non_negative=non_negative,
        precision=solver.first_precision(layout.platform(dictionary)),
    )
    # What depends on the inputs does so through `implicit`, not through a solver.
    problem, codes0 = jax.lax.stop_gradient((problem, codes0))
    if codes0 is not None:
        codes0 = jnp.asarray(codes0, jnp.float32)
        # The certificate takes for granted that codes are what they may be.
        codes0 = jnp.maximum(codes0, 0) if non_negative else codes0
    codes, gap, num_steps = solver.solve(
        problem, tolerance=tolerance, max_steps=max_steps, codes0=codes0
    )
    codes = implicit.differentiable(
        codes,
        x,
        dictionary,
        l1_penalty=l1_penalty,
        l2_penalty=0.0 if l2_penalty is None else l2_penalty,
    )
    # Below the floor a gap is rounding, unless it is exactly zero.
    certain = (gap == 0) | (tolerance >= objective.GAP_FLOOR)
    return Encoding(codes, gap, num_steps, (gap <= tolerance) & certain)

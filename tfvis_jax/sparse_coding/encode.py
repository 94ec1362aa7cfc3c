"""The entry to sparse coding: codes to a tolerance, with their certificate.

Rows are solved together in blocks of steps. After every block each row's duality gap is
computed, finished rows are frozen, and the loop ends when none is left or the budget is
spent. Nothing here talks to the host, so `encode` runs inside a jitted training step
and unchanged under `vmap`, `pmap` and `shard_map`; a mesh may split the rows or the
factors.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import fista as fista_lib
from tfvis_jax.sparse_coding import ista as ista_lib
from tfvis_jax.sparse_coding import lipschitz as lipschitz_lib
from tfvis_jax.sparse_coding import objective
from tfvis_jax.sparse_coding import spectral as spectral_lib

SOLVERS = ("auto", "ista", "fista", "fista_restart", "spectral")


class Encoding(NamedTuple):
    """Codes and what is known about them."""

    codes: jax.Array
    """[batch, n_factors]."""
    gap: jax.Array
    """[batch], relative duality gap: the objective is within gap·½‖x‖² of optimal."""
    num_steps: jax.Array
    """[batch] int32, steps spent until the row was finished."""
    converged: jax.Array
    """[batch] bool, whether the gap is within the tolerance."""


def choose_solver(*, platform: str, n_factors: int, d_model: int) -> str:
    """Returns the name of the solver that ``solver="auto"`` means."""
    del platform, n_factors, d_model
    return "spectral"


def encode(
    x: jax.Array,
    dictionary: jax.Array,
    *,
    l1_penalty: jax.Array | float,
    solver: str = "auto",
    tolerance: float = 1e-4,
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
      solver: "auto", "ista", "fista", "fista_restart" or "spectral".
      tolerance: largest relative duality gap of a finished row; 0 spends ``max_steps``.
      max_steps: budget of steps.
      block_steps: steps between two looks at the gap.
      lipschitz: largest eigenvalue of DᵀD, or a bound; estimated if None.
      codes0: [batch, n_factors] start, as from a slightly older dictionary.
      non_negative: whether the codes are.
      precision: of the matrix products of the steps; highest if None. The certificate
        is always computed at the highest.

    Returns:
      Codes with gap, number of steps and whether converged, per row.

    Raises:
      InputError: if shapes do not fit or a concrete ``l1_penalty`` is not positive.
    """
    _check(x, dictionary, l1_penalty=l1_penalty, solver=solver, codes0=codes0)
    if solver == "auto":
        solver = choose_solver(
            platform=jax.default_backend(),
            n_factors=dictionary.shape[0],
            d_model=dictionary.shape[1],
        )
    if precision is None:
        precision = jax.lax.Precision.HIGHEST
    if lipschitz is None:
        lipschitz = lipschitz_lib.power_iteration(dictionary)
    if codes0 is None:
        codes0 = objective.zero_codes(x, dictionary)
    block_steps = min(block_steps, max_steps)
    run_block = _block(solver)

    def unfinished(carry):
        _, gap, _, spent = carry
        return (spent < max_steps) & jnp.any(gap > tolerance)

    def advance(carry):
        codes, gap, num_steps, spent = carry
        active = gap > tolerance
        new_codes = run_block(
            x,
            dictionary,
            l1_penalty=l1_penalty,
            num_steps=block_steps,
            lipschitz=lipschitz,
            codes0=codes,
            non_negative=non_negative,
            precision=precision,
        )
        codes = jnp.where(active[:, None], new_codes, codes)
        gap = certify(codes)
        num_steps = num_steps + jnp.where(active, block_steps, 0)
        return codes, gap, num_steps, spent + block_steps

    def certify(codes):
        return objective.duality_gap(
            x, dictionary, codes, l1_penalty=l1_penalty, non_negative=non_negative
        )

    gap0 = certify(codes0)
    carry = (codes0, gap0, jnp.zeros_like(gap0, jnp.int32), 0)
    codes, gap, num_steps, _ = jax.lax.while_loop(unfinished, advance, carry)
    return Encoding(codes, gap, num_steps, gap <= tolerance)


def _block(solver: str) -> Callable[..., jax.Array]:
    """Returns the function that takes a fixed number of steps of a named solver."""
    if solver == "ista":
        return ista_lib.ista
    if solver == "spectral":
        return spectral_lib.spectral

    def accelerated(x, dictionary, **settings):
        restart = solver == "fista_restart"
        return fista_lib.fista(x, dictionary, restart=restart, **settings)

    return accelerated


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

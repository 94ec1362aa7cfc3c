"""Spectral steps: their time, their share of the device's peaks; and whole solves."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.accelerator import clock, planted
from tfvis_jax import sparse_coding
from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding import spectral

# Blocks of steps, as a solve has them, of the shorter and of the longer run whose
# difference is timed.
_FEW, _MANY = 1, 6
_BLOCK_STEPS = spectral.Spectral().block_steps
TOLERANCE, MAX_STEPS = 1e-3, 500


class Device:
    """What measurements share: peaks of the device, and problems by their sizes.

    Attributes:
      product_rate: FLOP/s by the name of the arithmetic, as far as they are measured.
      memory_rate: bytes/s; None until it is measured.
    """

    def __init__(self) -> None:
        self.product_rate: dict[str, float] = {}
        self.memory_rate: float | None = None
        self._penalties: dict[tuple[int, int], float] = {}

    def problem(
        self, *, n_rows: int, d_model: int, n_factors: int
    ) -> tuple[planted.Planted, float]:
        """Returns rows and factors, and the λ that suits them."""
        found = planted.make(
            jax.random.key(0), n_rows=n_rows, d_model=d_model, n_factors=n_factors
        )
        size = (d_model, n_factors)
        if size not in self._penalties:
            target = min(planted.TARGET_L0, n_factors / 4)
            self._penalties[size] = planted.find_penalty(found, target_l0=target)
        return found, self._penalties[size]

    def shares(
        self, precision: str, *, flops: float, traffic: float | None
    ) -> dict[str, float | None]:
        """Returns rates a second beside the device's peaks.

        Args:
          precision: arithmetic of the products.
          flops: FLOPs a second.
          traffic: bytes a second; None if unknown.
        """
        peak, memory = self.product_rate.get(precision), self.memory_rate
        return {
            "flops": flops,
            "peak_share": flops / peak if peak else None,
            "traffic": traffic,
            "memory_share": traffic / memory if traffic and memory else None,
        }


def steps(
    device: Device,
    *,
    form: str,
    precision: str,
    n_rows: int,
    d_model: int,
    n_factors: int,
) -> dict[str, Any]:
    """Times one spectral step on all rows.

    Args:
      device: its peaks.
      form: "gram" for one product with the Gram matrix, "dictionary" for two with the
        dictionary.
      precision: arithmetic of the products.
      n_rows: rows of a step.
      d_model: numbers in a row.
      n_factors: number of factors.
    """
    # Its cost does not depend on λ, so none is looked for.
    problem = planted.make(
        jax.random.key(0), n_rows=n_rows, d_model=d_model, n_factors=n_factors
    )
    lipschitz = sparse_coding.power_iteration(problem.dictionary)
    arguments = (*problem, jnp.float32(0.1), lipschitz)
    static = {"form": form, "precision": precision}
    program = clock.build(walk, *arguments, jnp.int32(_FEW), **static)
    few, many = (
        clock.fastest(functools.partial(program.run, *arguments, jnp.int32(number)))
        for number in (_FEW, _MANY)
    )
    # What the two have in common, such as the Gram matrix and the start, cancels.
    seconds = max(many - few, 1e-9) / (_MANY - _FEW) / _BLOCK_STEPS
    product = 2 * n_rows * n_factors
    flops = product * (n_factors if form == "gram" else 2 * d_model)
    rates = device.shares(
        precision,
        flops=flops / seconds,
        traffic=None if program.traffic is None else program.traffic / seconds,
    )
    return {
        "step_s": seconds,
        "rows_per_s": n_rows / seconds,
        "compile_s": program.compile_s,
        "temporary": program.temporary,
        **rates,
    }


@functools.partial(jax.jit, static_argnames=("form", "precision"))
def walk(
    x: jax.Array,
    dictionary: jax.Array,
    l1_penalty: jax.Array,
    lipschitz: jax.Array,
    num_blocks: jax.Array,
    *,
    form: str,
    precision: str,
) -> jax.Array:
    """Returns the codes after so many blocks of steps; their number never recompiles.

    XLA knows the steps of a block, as in a solve; its cost counts a loop's body once.
    """
    problem = problem_lib.lasso(
        x,
        dictionary,
        l1_penalty=l1_penalty,
        lipschitz=lipschitz,
        precision=precision,
    )
    recursion = (spectral.by_gram if form == "gram" else spectral.by_dictionary)(
        problem
    )

    def block(_: jax.Array, state: Any) -> Any:
        return jax.lax.fori_loop(
            0, _BLOCK_STEPS, lambda _, state: recursion.step(state, problem), state
        )

    state = recursion.init(problem, codes0=None)
    return jax.lax.fori_loop(0, num_blocks, block, state).codes


def solve(
    device: Device,
    *,
    precision: str,
    block_steps: int,
    n_rows: int,
    d_model: int,
    n_factors: int,
) -> dict[str, Any]:
    """Times whole solves to a gap of 1e-3, as a training step has them.

    Rows that are done wait for the last, so the device takes as many steps for all as
    the slowest row needs: ``steps_most``.

    Args:
      device: its peaks and its problems.
      precision: arithmetic of the first steps.
      block_steps: steps between two looks at the gap.
      n_rows: rows that are solved together.
      d_model: numbers in a row.
      n_factors: number of factors.
    """
    problem, penalty = device.problem(
        n_rows=n_rows, d_model=d_model, n_factors=n_factors
    )
    solver = sparse_coding.Spectral(precision=precision, block_steps=block_steps)

    @jax.jit
    def encode(
        x: jax.Array, dictionary: jax.Array, l1_penalty: jax.Array
    ) -> sparse_coding.Encoding:
        return sparse_coding.encode(
            x,
            dictionary,
            l1_penalty=l1_penalty,
            solver=solver,
            tolerance=TOLERANCE,
            max_steps=MAX_STEPS,
        )

    arguments = (*problem, jnp.float32(penalty))
    program = clock.build(encode, *arguments)
    seconds = clock.fastest(functools.partial(program.run, *arguments))
    found = program.run(*arguments)
    gap, num_steps = np.asarray(found.gap), np.asarray(found.num_steps)
    return {
        "seconds": seconds,
        "rows_per_s": n_rows / seconds,
        "l1_penalty": penalty,
        "l0": float(jnp.sum(found.codes != 0)) / n_rows,
        "gap_mean": float(gap.mean()),
        "gap_max": float(gap.max()),
        "steps_mean": float(num_steps.mean()),
        "steps_most": int(num_steps.max()),
        "compile_s": program.compile_s,
        "temporary": program.temporary,
    }

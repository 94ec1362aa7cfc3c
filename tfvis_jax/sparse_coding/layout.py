"""How a mesh splits rows and factors, and work that each device does on its own."""

import dataclasses
import math
from collections.abc import Callable
from typing import TypeVar

import jax

from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import problem as problem_lib
from tfvis_jax.sparse_coding.arrays import AnyArray

ByRow = TypeVar("ByRow")
Shared = TypeVar("Shared")
Result = TypeVar("Result")


def num_parts(array: AnyArray) -> int:
    """Returns over how many devices the first axis of an array is split."""
    layout = jax.typeof(array).sharding
    axes = layout.spec[0]
    axes = () if axes is None else axes if isinstance(axes, tuple) else (axes,)
    return math.prod(layout.mesh.shape[axis] for axis in axes)


def check_whole(dictionary: AnyArray, *, needed_by: str) -> None:
    """Raises InputError where a mesh splits the factors.

    Args:
      dictionary: [n_factors, d_model].
      needed_by: what the caller asked for that needs whole factors.
    """
    if num_parts(dictionary) > 1:
        raise InputError(
            f"Expected whole factors on every device for {needed_by}, got a dictionary "
            f"laid out as {jax.typeof(dictionary).sharding.spec}; split the rows only, "
            "or choose a dense solver and no `k`."
        )


def platform(array: AnyArray) -> str:
    """Returns the platform that a program with this array is compiled for.

    That of the array's mesh, which may be of devices that are not at hand; where there
    is no mesh, JAX's default.
    """
    device = jax.typeof(array).sharding.mesh.abstract_device
    return jax.default_backend() if device is None else device.platform


def on_each_device(
    solve: Callable[[problem_lib.Problem, ByRow, Shared], Result],
    problem: problem_lib.Problem,
    by_row: ByRow,
    shared: Shared,
) -> Result:
    """Calls ``solve(problem, by_row, shared)`` with the rows of each device alone.

    Where no mesh splits the rows this is a plain call. No device hears of another, so
    that ``solve`` may sort its rows and stop when it likes.

    Args:
      solve: returns arrays of leading size batch.
      problem: whose dictionary is whole on each device, or is made so.
      by_row: [batch, ...] arrays.
      shared: other arrays.
    """
    spec = jax.typeof(problem.x).sharding.spec
    if spec[0] is None:
        return solve(problem, by_row, shared)
    rows = jax.P(spec[0])
    problem = problem.of_rows(jax.reshard(problem.rows(), rows))
    by_row = jax.reshard(by_row, rows)
    dictionary = jax.reshard(problem.dictionary, jax.P())
    problem = dataclasses.replace(problem, dictionary=dictionary)
    everywhere = jax.tree.map(lambda _: jax.P(), problem)
    return jax.shard_map(
        solve,
        mesh=jax.typeof(problem.x).sharding.mesh,
        in_specs=(everywhere.of_rows((rows, rows)), rows, jax.P()),
        out_specs=rows,
    )(problem, by_row, shared)

"""From names to values: solvers, pursuits and updates of the dictionary.

The names and what they stand for are in `config`, which needs no JAX; here they are
looked up. Whatever takes a name takes a value of the same kind as well.
"""

import functools
import pkgutil
from typing import Any

from tfvis_jax import config
from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import greedy, updates
from tfvis_jax.sparse_coding import solver as solver_lib

# Below this many factors a dense step costs no more than a working set.
_MIN_FACTORS = 256


def choose_solver(*, platform: str, n_factors: int, factors_are_split: bool) -> str:
    """Returns the name of the solver that "auto" stands for.

    Working sets need whole factors on each device and pay off where gathering a few
    factors is cheap against a dense step: measured on CPUs, from a few hundred factors.

    Args:
      platform: "cpu", "gpu" or "tpu".
      n_factors: of the whole dictionary.
      factors_are_split: whether devices share them.
    """
    if platform == "cpu" and n_factors >= _MIN_FACTORS and not factors_are_split:
        return "working_set"
    return "spectral"


def solver(
    solver: str | solver_lib.Solver,
    *,
    platform: str,
    n_factors: int,
    factors_are_split: bool,
) -> solver_lib.Solver:
    """Returns the solver of a name, "auto" included; a value is returned as it is.

    Args:
      solver: one of `config.SOLVERS`, or a value.
      platform: "cpu", "gpu" or "tpu".
      n_factors: of the whole dictionary.
      factors_are_split: whether devices share them.

    Raises:
      InputError: the name is unknown.
    """
    if isinstance(solver, solver_lib.Solver):
        return solver
    if solver == "auto":
        solver = choose_solver(
            platform=platform, n_factors=n_factors, factors_are_split=factors_are_split
        )
    if solver not in config.SOLVER_VALUES:
        remedy = "; `pursue` takes that" if solver in config.PURSUIT_VALUES else ""
        raise InputError(
            f"Expected `solver` to be one of {config.SOLVERS} or a value such as "
            f"Spectral(), got {solver!r}{remedy}."
        )
    return _made(config.SOLVER_VALUES[solver])


def pursuit(method: str | greedy.Pursuit) -> greedy.Pursuit:
    """Returns the pursuit of a name; a value is returned as it is.

    Raises:
      InputError: the name is unknown.
    """
    if isinstance(method, greedy.Pursuit):
        return method
    if method not in config.PURSUIT_VALUES:
        raise InputError(
            f"Expected `method` to be one of {config.PURSUITS} or a value such as "
            f"Omp(), got {method!r}."
        )
    return _made(config.PURSUIT_VALUES[method])


def update(settings: config.DictionaryConfig) -> updates.Update:
    """Returns the update of the dictionary that some settings name and describe."""
    return _found(config.UPDATE_VALUES[settings.update]).configured(settings)


@functools.cache
def _found(place: str) -> Any:
    return pkgutil.resolve_name(place)


@functools.cache
def _made(place: str) -> Any:
    return _found(place)()

"""Flags that all benchmarks share: what to measure on, and where to write."""

import os
import pathlib
from collections.abc import Sequence

import jax
import numpy as np
from absl import flags

from benchmarks import problem
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import environment

_RUN = flags.DEFINE_string(
    "run", "runs/demo", "Finished run; gives hidden states, factors and λ."
)
_ACTIVATIONS = flags.DEFINE_string(
    "activations",
    None,
    "Rows of your own instead of a run's: a .npy file of [rows, d_model], not the "
    "folder that `tfvis activations` writes.",
)
_DICTIONARY = flags.DEFINE_string(
    "dictionary", None, "Factors instead of a run's: .npy of [n_factors, d_model]."
)
_OUT = flags.DEFINE_string(
    "out",
    None,
    "JSON to write, with the table (.md) and the plot (.png) beside it; by default in "
    "the folder `benchmarks` of the run.",
)
_REPEATS = flags.DEFINE_integer(
    "repeats", 3, "Timed runs of each setting; the fastest counts.", lower_bound=1
)
_SOLVERS = flags.DEFINE_list("solvers", None, "Solvers of ours to measure.")
_CPU_DEVICES = flags.DEFINE_integer(
    "cpu_devices", None, "Devices that JAX makes of a CPU; one a core by default."
)


def repeats() -> int:
    """Returns how often each setting is timed."""
    return _REPEATS.value


def solvers(default: Sequence[str], *, allowed: Sequence[str]) -> list[str]:
    """Returns the names of the solvers to measure; InputError where one is unknown."""
    names = list(default) if _SOLVERS.value is None else _SOLVERS.value
    if not names or not set(names) <= set(allowed):
        raise InputError(
            f"Expected --solvers of {', '.join(allowed)}, got {','.join(names)!r}."
        )
    return names


def set_cpu_devices() -> None:
    """Makes one JAX device a core, or as many as were asked for."""
    unset = jax.config.jax_num_cpu_devices < 0
    if _CPU_DEVICES.value is not None:
        jax.config.update("jax_num_cpu_devices", _CPU_DEVICES.value)
    elif unset and "device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", environment.num_cores())


def out_path(name: str) -> pathlib.Path:
    """Returns the JSON file to write.

    Raises:
      InputError: files were measured and no place was named, or it is no file's name.
    """
    if _OUT.value is None:
        if _ACTIVATIONS.value is not None:
            raise InputError("Expected --out FILE.json with --activations.")
        path = pathlib.Path(_RUN.value) / "benchmarks" / f"{name}.json"
    else:
        path = pathlib.Path(_OUT.value)
    if path.suffix != ".json":
        raise InputError(f"Expected --out to end in .json, got {path}.")
    return path


def load(*, num_rows: int, num_samples: int = 0) -> problem.Problem:
    """Returns rows and factors from the files that are named, or else from the run.

    Args:
      num_rows: rows to encode, at most.
      num_samples: further rows, that a dictionary may be made of.

    Raises:
      InputError: one file without the other, or what `problem` refuses.
    """
    if (_ACTIVATIONS.value is None) != (_DICTIONARY.value is None):
        raise InputError("Expected --activations and --dictionary together, or none.")
    if _ACTIVATIONS.value is None:
        return problem.from_run(
            pathlib.Path(_RUN.value), num_rows=num_rows, num_samples=num_samples
        )
    return problem.from_files(
        pathlib.Path(_ACTIVATIONS.value),
        pathlib.Path(_DICTIONARY.value),
        num_rows=num_rows,
        num_samples=num_samples,
    )


def numbers(name: str, texts: list[str], *, kind: type = float) -> list:
    """Returns the values of a flag that holds positive numbers.

    Raises:
      InputError: one of them is none.
    """
    try:
        values = [kind(text) for text in texts]
    except ValueError:
        values = []
    if not values or not all(np.isfinite(v) and v > 0 for v in values):
        raise InputError(
            f"Expected --{name} as positive numbers separated by commas, got "
            f"{','.join(texts)!r}."
        )
    return values

"""Flags that benchmarks share: what to measure on, and where to write."""

import os
import pathlib
from collections.abc import Sequence

import jax
import numpy as np
from absl import flags

from benchmarks import problem
from tfvis_jax.cli import cores
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import environment


class Inputs:
    """The flags, and what they name."""

    def __init__(self, flag_values: flags.FlagValues):
        """Defines the flags.

        Args:
          flag_values: of the script.
        """
        self._run = flags.DEFINE_string(
            "run",
            "runs/demo",
            "Finished run; gives hidden states, factors and λ.",
            flag_values=flag_values,
        )
        self._activations = flags.DEFINE_string(
            "activations",
            None,
            "Rows of your own instead of a run's: a .npy file of [rows, d_model], not "
            "the folder that `tfvis hidden_states` writes.",
            flag_values=flag_values,
        )
        self._dictionary = flags.DEFINE_string(
            "dictionary",
            None,
            "Factors instead of a run's: .npy of [n_factors, d_model].",
            flag_values=flag_values,
        )
        self._out = flags.DEFINE_string(
            "out",
            None,
            "JSON to write, with the table (.md) and the plot (.png) beside it; by "
            "default in the folder `benchmarks` of the run.",
            flag_values=flag_values,
        )
        self._repeats = flags.DEFINE_integer(
            "repeats",
            3,
            "Timed runs of each setting; the fastest counts.",
            lower_bound=1,
            flag_values=flag_values,
        )
        self._solvers = flags.DEFINE_list(
            "solvers", None, "Our solvers to measure.", flag_values=flag_values
        )
        self._cpu_devices = flags.DEFINE_integer(
            "cpu_devices",
            None,
            "Devices that JAX makes of a CPU; one a core by default.",
            flag_values=flag_values,
        )

    @property
    def repeats(self) -> int:
        """How often each setting is timed."""
        return self._repeats.value

    def solvers(self, default: Sequence[str], *, allowed: Sequence[str]) -> list[str]:
        """Returns the names of the solvers to measure.

        Raises:
          InputError: one of them is unknown.
        """
        names = list(default) if self._solvers.value is None else self._solvers.value
        if not names or not set(names) <= set(allowed):
            raise InputError(
                f"Expected --solvers of {', '.join(allowed)}, got {','.join(names)!r}."
            )
        return names

    def start(self, name: str) -> pathlib.Path:
        """Makes one JAX device a core, or as many as --cpu_devices says.

        Returns:
          As `out_path`.
        """
        unset = jax.config.jax_num_cpu_devices < 0
        if self._cpu_devices.value is not None:
            jax.config.update("jax_num_cpu_devices", self._cpu_devices.value)
        elif unset and "device_count" not in os.environ.get("XLA_FLAGS", ""):
            jax.config.update("jax_num_cpu_devices", environment.num_cores())
        cores.give_threads(jax.config.jax_num_cpu_devices)
        return self.out_path(name)

    def out_path(self, name: str) -> pathlib.Path:
        """Returns the JSON file to write.

        Raises:
          InputError: files were measured and no --out was given, or it does not end in
            .json.
        """
        if self._out.value is None:
            if self._activations.value is not None:
                raise InputError("Expected --out FILE.json with --activations.")
            path = pathlib.Path(self._run.value) / "benchmarks" / f"{name}.json"
        else:
            path = pathlib.Path(self._out.value)
        if path.suffix != ".json":
            raise InputError(f"Expected --out to end in .json, got {path}.")
        return path

    def load(self, *, num_rows: int, num_samples: int = 0) -> problem.BenchmarkProblem:
        """Returns rows and factors from the files that are named, or else from the run.

        Args:
          num_rows: rows to encode, at most.
          num_samples: further rows, that a dictionary may be made of.

        Raises:
          InputError: one file without the other, or what `problem` refuses.
        """
        if (self._activations.value is None) != (self._dictionary.value is None):
            raise InputError(
                "Expected --activations and --dictionary together, or none."
            )
        if self._activations.value is None:
            return problem.from_run(
                pathlib.Path(self._run.value),
                num_rows=num_rows,
                num_samples=num_samples,
            )
        return problem.from_files(
            pathlib.Path(self._activations.value),
            pathlib.Path(self._dictionary.value),
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

"""What is measured on: rows of hidden states, and factors to write them with."""

import dataclasses
import math
import pathlib

import numpy as np

from tfvis_jax.errors import InputError, command_line
from tfvis_jax.runs import dictionary_file, encoding, setup
from tfvis_jax.runs import directory as directory_lib


@dataclasses.dataclass(frozen=True)
class BenchmarkProblem:
    """Rows and factors.

    Attributes:
      x: [rows, d_model] float32, not trained on where they come from a run.
      dictionary: [n_factors, d_model] float32.
      samples: [samples, d_model] float32, other rows of the same kind.
      source: where they come from, in words.
      l1_penalty: λ that the factors were learnt with; None where it is unknown.
    """

    x: np.ndarray
    dictionary: np.ndarray
    samples: np.ndarray
    source: str
    l1_penalty: float | None = None

    def summary(self) -> dict[str, str | int]:
        """Returns source and sizes, as the JSON of a benchmark has them."""
        return {
            "source": self.source,
            "d_model": self.x.shape[1],
            "n_factors": len(self.dictionary),
        }


def from_run(
    path: pathlib.Path, *, num_rows: int, num_samples: int = 0
) -> BenchmarkProblem:
    """Takes the dictionary of a finished run and hidden states of its text.

    Rows are of all layers of the run, scaled as in training and shuffled with a fixed
    seed: ``x`` from held-out windows, ``samples`` from the others.

    Args:
      path: the run directory.
      num_rows: rows of ``x``, at most.
      num_samples: rows of ``samples``, at most.

    Raises:
      InputError: there is no such run, or it is not trained to its end.
    """
    directory = directory_lib.RunDirectory(path)
    if not directory.config_path.is_file():
        raise InputError(
            f"{path} is not a run. `{command_line('demo', path)}` makes one in "
            "some minutes; or name --run, or --activations with --dictionary."
        )
    trained = dictionary_file.load(directory.dictionary)
    opened = setup.open_model(directory, directory.read_config())
    windows = opened.windows()
    x = encoding.sample_rows(opened, trained, windows, windows.held_out, count=num_rows)
    # A folder's last two names, or the hub's.
    model = "/".join(pathlib.PurePath(trained.model).parts[-2:])
    return BenchmarkProblem(
        x=x,
        dictionary=trained.factors,
        samples=encoding.sample_rows(
            opened, trained, windows, windows.train, count=num_samples
        ),
        source=(
            f"{len(x):,} held-out hidden states of {model}, layers "
            f"{', '.join(map(str, trained.layers))}"
        ),
        l1_penalty=trained.l1_penalty,
    )


def from_files(
    activations: pathlib.Path,
    dictionary: pathlib.Path,
    *,
    num_rows: int,
    num_samples: int = 0,
) -> BenchmarkProblem:
    """Reads rows and factors; the first rows are ``x``, those behind it ``samples``.

    Args:
      activations: .npy of [rows, d_model].
      dictionary: .npy of [n_factors, d_model].
      num_rows: rows of ``x``, at most.
      num_samples: rows of ``samples``, at most.

    Raises:
      InputError: a file is missing or holds something else, or shapes do not fit.
    """
    rows, factors = _read(activations), _read(dictionary)
    if rows.shape[1] != factors.shape[1]:
        raise InputError(
            "Expected rows and factors of one d_model, got "
            f"{rows.shape} in {activations} and {factors.shape} in {dictionary}."
        )
    x = rows[:num_rows]
    return BenchmarkProblem(
        x=x,
        dictionary=factors,
        samples=rows[num_rows : num_rows + num_samples],
        source=f"{len(x):,} rows of {activations.name}, factors {dictionary.name}",
    )


def _read(path: pathlib.Path) -> np.ndarray:
    if not path.is_file():
        raise InputError(f"{path} is not there; expected .npy of [rows, d_model].")
    try:
        array = np.load(path)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} is not a NumPy file (.npy): {error}.") from error
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise InputError(
            f"Expected numbers [rows, d_model] in {path}, got {array.dtype} of shape "
            f"{array.shape}."
        )
    array = array.astype(np.float32)
    if not math.isfinite(float(np.sum(array, dtype=np.float64))):
        raise InputError(f"{path} holds NaN or infinity.")
    return array

"""`tfvis examples`: where in the corpus each factor fires most."""

import contextlib
import shutil
from collections.abc import Sequence

from absl import flags

from tfvis_jax import run_directory
from tfvis_jax.analysis import collection, examples
from tfvis_jax.cli import command, progress
from tfvis_jax.errors import InputError
from tfvis_jax.training import dictionary_file, setup

FLAGS = command.new_flags()
_TOP_N = flags.DEFINE_integer(
    "top_n",
    1000,
    "Activations kept per layer and factor; the importance score is their mean.",
    lower_bound=1,
    flag_values=FLAGS,
)


def run(arguments: Sequence[str]) -> None:
    """Collects the examples of a run."""
    path = command.run_argument(arguments)
    directory = run_directory.RunDirectory(path)
    directory.read_config()
    with directory.lock():
        found = collect(directory, progress.Stages(), top_n=_TOP_N.value)
    print(f"{found.n_tokens:,} tokens encoded at each of {len(found.layers)} layers")
    print(f"\nexamples {directory.examples}\nnext     tfvis export {path}")


def collect(
    directory: run_directory.RunDirectory, stages: progress.Stages, *, top_n: int
):
    """Encodes the corpus of a run and writes `examples/`, unless they are there."""

    trained = dictionary_file.load(directory.dictionary)
    with contextlib.suppress(InputError):
        found = examples.load(directory.examples, trained)
        if found.activation.shape[2] == top_n:
            return found
    with stages.stage("model", "loading the model"):
        opened = setup.open_model(directory, directory.read_config())
    with stages.stage("examples", "examples of every factor") as show:
        found = collection.collect(
            opened,
            trained,
            opened.windows(),
            folder=directory.examples_progress,
            n=top_n,
            progress=show,
        )
        examples.save(directory.examples, found)
        shutil.rmtree(directory.examples_progress)
    return found


COMMAND = command.Command(
    name="examples",
    usage="RUN [--flags]",
    description=(
        "Encodes the whole corpus of a trained run and keeps, for every layer and "
        "factor, the tokens with the largest activations."
    ),
    flags=FLAGS,
    run=run,
)

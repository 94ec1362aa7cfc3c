"""`tfvis examples`: where in the corpus each factor fires most."""

import contextlib
from collections.abc import Sequence

import jax
from absl import flags

from tfvis_jax import sharding
from tfvis_jax.cli import command, devices, progress
from tfvis_jax.errors import InputError
from tfvis_jax.examples import gathering, stored, unfinished
from tfvis_jax.runs import dictionary_file, setup
from tfvis_jax.runs import directory as directory_lib

FLAGS = command.new_flags()
devices.define(FLAGS)
_TOP_N = flags.DEFINE_integer(
    "top_n",
    1000,
    "Activations kept per layer and factor; the importance score is their mean.",
    lower_bound=1,
    flag_values=FLAGS,
)
_RANDOM_N = flags.DEFINE_integer(
    "random_n",
    gathering.N_RANDOM,
    "Tokens drawn at random per layer and factor, of all that fire it.",
    lower_bound=1,
    flag_values=FLAGS,
)


def run(arguments: Sequence[str]) -> None:
    """Collects the examples of a run."""
    path = command.run_argument(arguments)
    directory = directory_lib.RunDirectory(path)
    directory.read_config()
    with devices.joined(FLAGS):
        first = sharding.is_first_process()
        with directory.lock() if first else contextlib.nullcontext():
            found = collect(
                directory,
                progress.Stages(quiet=not first),
                top_n=_TOP_N.value,
                random_n=_RANDOM_N.value,
                encoders=_encoders(),
            )
            # Until all is written, which the others wait for.
            sharding.wait_for_all("examples written")
    if found is not None and first:
        print(
            f"{found.n_tokens:,} tokens encoded at each of {len(found.layers)} layers"
        )
        print(f"\nexamples {directory.examples}\nnext     tfvis levels {path}")


def collect(
    directory: directory_lib.RunDirectory,
    stages: progress.Stages,
    *,
    top_n: int,
    random_n: int = gathering.N_RANDOM,
    encoders: Sequence[jax.Device] | None = None,
) -> stored.Examples | None:
    """Encodes the corpus of a run and writes `examples/`, unless they are there.

    Returns:
      The examples; None in all processes but the first, if they were not there.
    """
    trained = dictionary_file.load(directory.dictionary)
    pass_folder = unfinished.PassFolder(directory.examples_progress)
    with contextlib.suppress(InputError):
        found = stored.load(directory.examples, trained)
        sizes = found.activation.shape[2], found.random_activation.shape[2]
        if sizes == (top_n, random_n):
            if sharding.is_first_process():
                # A pass that was killed when all was written.
                pass_folder.remove_if_for(
                    gathering.settings_of(n=top_n, n_random=random_n, seed=found.seed)
                )
            return found
    with stages.stage("model", "loading the model"):
        opened = setup.open_model(directory, directory.read_config())
    with stages.stage("examples", "examples of every factor") as show:
        found = gathering.collect(
            opened,
            trained,
            opened.windows(),
            n=top_n,
            n_random=random_n,
            progress=show,
            devices=encoders,
        )
        if found is not None:
            stored.save(directory.examples, found)
            pass_folder.remove()
    return found


def _encoders():
    """Returns this process's devices; those of --mesh if it is given."""
    if FLAGS.mesh is None:
        return None
    data, factor = sharding.parse(FLAGS.mesh, num_devices=jax.device_count())
    if factor > 1:
        raise InputError(
            "Expected a --mesh that splits the rows only, such as data=-1: each device "
            f"encodes with the whole dictionary; got {FLAGS.mesh!r}."
        )
    return sharding.make_mesh(data, 1).local_devices


COMMAND = command.Command(
    name="examples",
    usage="RUN [--flags]",
    description=(
        "Encodes the whole corpus of a trained run and keeps, for every layer and "
        "factor, the tokens with the largest activations, a random sample of those "
        "that fire it, its words and the factors that fire with it. Interrupt it at "
        "any time: the same command goes on where it stopped."
    ),
    flags=FLAGS,
    run=run,
)

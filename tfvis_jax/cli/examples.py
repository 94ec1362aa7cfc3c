"""`tfvis examples`: where in the corpus each factor fires most."""

from collections.abc import Sequence

from absl import flags

from tfvis_jax import pipeline, sharding
from tfvis_jax.cli import command, devices, run_argument
from tfvis_jax.errors import command_line
from tfvis_jax.examples import gathering
from tfvis_jax.runs import directory as directory_lib

FLAGS = command.new_flags(compiles=True)
devices.define(FLAGS)
_TOP_N = flags.DEFINE_integer(
    "top_n",
    1000,
    "Largest activations kept per layer and factor; the importance score is their "
    "mean.",
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


def main(arguments: Sequence[str]) -> None:
    """Collects the examples of a run."""
    path = run_argument.one(arguments, writes=True)
    directory = directory_lib.RunDirectory(path)
    directory.read_config()
    with devices.joined(FLAGS):
        first = sharding.is_first_process()
        with pipeline.bars(quiet=not first) as progress:
            found = pipeline.collect_examples(
                directory,
                top_n=_TOP_N.value,
                random_n=_RANDOM_N.value,
                progress=progress,
                mesh=None if FLAGS.mesh is None else devices.mesh(FLAGS),
            )
    if found is not None and first:
        print(
            f"{found.n_tokens:,} tokens encoded at each of {len(found.layers)} layers"
        )
        print(f"\nexamples {directory.examples}")
        print(f"next     {command_line('levels', path)}")


COMMAND = command.Command(
    name="examples",
    usage="RUN [--flags]",
    description=(
        "Encodes the whole corpus of a trained run and keeps, for every layer and "
        "factor, its top-activating tokens, a random sample of those that fire it, its "
        "words and its co-firing factors. Interrupt it at any time: the same command "
        "resumes."
    ),
    flags=FLAGS,
    run=main,
)

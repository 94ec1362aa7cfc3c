"""`tfvis activations`: the hidden states of a run's text, stored for many trainings."""

import contextlib
import pathlib
from collections.abc import Sequence

from absl import flags

from tfvis_jax import sharding
from tfvis_jax.cli import command, devices, progress, settings, train
from tfvis_jax.data import hidden_states_folder
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.runs import stored_hidden_states

FLAGS = command.new_flags()
settings.define(FLAGS)
devices.define(FLAGS)
_STORED_DTYPE = flags.DEFINE_enum(
    "stored_dtype",
    "float32",
    hidden_states_folder.DTYPES,
    "Type to store in; bfloat16 takes half the space and rounds to three digits.",
    flag_values=FLAGS,
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers",
    1,
    "Processes that turn text into tokens.",
    lower_bound=1,
    flag_values=FLAGS,
)


def run(arguments: Sequence[str]) -> None:
    """Stores the hidden states of all windows of a run."""
    path = command.run_argument(arguments)
    directory = directory_lib.RunDirectory(path)
    with devices.joined(FLAGS):
        if directory.config_path.is_file() and not FLAGS.text:
            config = settings.override(directory.read_config(), FLAGS)
        else:
            config = settings.build(FLAGS)
        first = sharding.is_first_process()
        mesh = devices.mesh(FLAGS)
        stages = progress.Stages(quiet=not first)
        with directory.lock() if first else contextlib.nullcontext():
            with sharding.first_process_first("tokens"):
                opened, windows = train.prepare(
                    directory, config, stages, num_workers=_NUM_WORKERS.value
                )
            with stages.stage("activations", "hidden states") as show:
                stored_hidden_states.fill(
                    directory.activations,
                    opened,
                    windows,
                    dtype=_STORED_DTYPE.value,
                    progress=show,
                    mesh=mesh,
                )
    if first:
        size = _gigabytes(directory.activations)
        print(f"stored   {directory.activations} ({size})")
        print(f"next     tfvis train {path} --activations={directory.activations}")


def _gigabytes(folder: pathlib.Path) -> str:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{size / 1e9:.2f} GB"


COMMAND = command.Command(
    name="activations",
    usage="RUN [--model=FOLDER_OR_NAME --text=FILES] [--flags]",
    description=(
        "Runs the BERT over the text of a run once and stores every hidden state, for "
        "those who train several dictionaries on one model. Interrupt it at any time: "
        "the same command goes on where it stopped. `tfvis train` with --activations "
        "then learns the same dictionary as without."
    ),
    flags=FLAGS,
    run=run,
)

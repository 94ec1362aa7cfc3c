"""`tfvis hidden_states`: those of a run's text, stored for more than one training."""

import pathlib
from collections.abc import Sequence

from absl import flags

from tfvis_jax import pipeline, sharding
from tfvis_jax.cli import command, devices, run_argument, settings, shared_flags
from tfvis_jax.data import hidden_states_folder
from tfvis_jax.errors import command_line
from tfvis_jax.runs import directory as directory_lib

FLAGS = command.new_flags(compiles=True)
settings.define(FLAGS)
devices.define(FLAGS)
_STORED_DTYPE = flags.DEFINE_enum(
    "stored_dtype",
    "float32",
    hidden_states_folder.DTYPES,
    "Type to store in. bfloat16 takes half the space and rounds to three digits.",
    flag_values=FLAGS,
)
_NUM_WORKERS = shared_flags.num_workers(FLAGS)


def main(arguments: Sequence[str]) -> None:
    """Stores the hidden states of all windows of a run."""
    path = run_argument.one(arguments, writes=True)
    directory = directory_lib.RunDirectory(path)
    with devices.joined(FLAGS):
        config = settings.of_run(FLAGS, directory)
        first = sharding.is_first_process()
        mesh = devices.mesh(FLAGS)
        with pipeline.bars(quiet=not first) as progress:
            folder = pipeline.store_hidden_states(
                directory,
                config,
                dtype=_STORED_DTYPE.value,
                progress=progress,
                mesh=mesh,
                num_workers=_NUM_WORKERS.value,
            )
    if first:
        print(f"stored   {folder} ({_gigabytes(folder)})")
        onward = command_line("train", path, f"--hidden_states={folder}")
        print(f"next     {onward}")


def _gigabytes(folder: pathlib.Path) -> str:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{size / 1e9:.2f} GB"


COMMAND = command.Command(
    name="hidden_states",
    usage="RUN [--model=FOLDER_OR_NAME --text=FILES] [--flags]",
    description=(
        "Runs the BERT over the text of a run once and stores every hidden state, to "
        "train several dictionaries on one model. Interrupt it at any time: the same "
        "command resumes. `tfvis train` with --hidden_states then learns the same "
        "dictionary as without. Also called `tfvis activations`."
    ),
    flags=FLAGS,
    run=main,
)

"""`tfvis train`: text and a BERT in, a dictionary and a report out; resumable."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tfvis_jax import config as config_lib
from tfvis_jax import pipeline, sharding
from tfvis_jax.cli import (
    command,
    devices,
    settings,
    shared_flags,
    signals,
)
from tfvis_jax.errors import command_line
from tfvis_jax.runs import directory as directory_lib

FLAGS = command.new_flags()
settings.define(FLAGS)
devices.define(FLAGS)
_NUM_WORKERS = shared_flags.num_workers(FLAGS)
_HIDDEN_STATES = flags.DEFINE_string(
    "hidden_states",
    None,
    "Folder that `tfvis hidden_states` filled, of the same model and text (no .npy of "
    "rows, as the experiments take); read instead of running the model again.",
    flag_values=FLAGS,
)
flags.DEFINE_alias("activations", "hidden_states", flag_values=FLAGS)
_PROFILE = flags.DEFINE_integer(
    "profile_batch",
    None,
    "Write a profiler trace of this batch of windows, from 1, into RUN/profile. Choose "
    "one after the first, which compiles.",
    lower_bound=1,
    flag_values=FLAGS,
)


def main(arguments: Sequence[str]) -> None:
    """Trains the run and prints its report."""
    path = command.run_argument(arguments)
    directory = directory_lib.RunDirectory(path)
    with devices.joined(FLAGS):
        config = settings.of_run(FLAGS, directory)
        first = sharding.is_first_process()
        mesh = devices.mesh(FLAGS, config)
        with pipeline.bars(quiet=not first) as progress:
            report = train(
                directory,
                config,
                progress=progress,
                num_workers=_NUM_WORKERS.value,
                mesh=mesh,
                profile_batch=_PROFILE.value,
                hidden_states=_HIDDEN_STATES.value,
            )
    if report is None:
        print(f"Saved; `{command_line('train', path)}` resumes.", file=sys.stderr)
    elif first:
        print(pipeline.summary(report))
        print(f"\nreport   {directory.report}")
        print(f"next     {command_line('examples', path)}")


def train(
    directory: str | os.PathLike[str],
    config: config_lib.RunConfig,
    *,
    progress: pipeline.Progress,
    **how: Any,
) -> dict[str, Any] | None:
    """Trains as `pipeline.train` does, and stops at SIGTERM or Ctrl-C.

    Args:
      directory, config, progress: as there.
      **how: its other arguments.

    Returns:
      The report; None when SIGTERM ended the training early, with all that it had
      learned saved.

    Raises:
      KeyboardInterrupt: Ctrl-C did.
    """
    requests = signals.StopRequests()
    try:
        return pipeline.train(
            directory,
            config,
            progress=progress,
            should_stop=requests,
            while_learning=requests.listening(),
            notify=pipeline.note,
            **how,
        )
    except pipeline.Interrupted:
        if signal.SIGINT in requests.received:
            raise KeyboardInterrupt from None
        return None


COMMAND = command.Command(
    name="train",
    usage="RUN --model=FOLDER_OR_NAME --text=FILES [--flags]",
    description=(
        "Reads text, runs a BERT over it and learns one dictionary of factors for the "
        "chosen layers. RUN is the directory to write. Interrupt it at any time: the "
        "same command resumes, and so does `tfvis train RUN` alone."
    ),
    flags=FLAGS,
    run=main,
)

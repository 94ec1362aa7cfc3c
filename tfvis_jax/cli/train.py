"""`tfvis train`: text and a model in, a dictionary and a report out; resumable."""

import dataclasses
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import jax
from absl import flags

from tfvis_jax import config as config_lib
from tfvis_jax import pipeline, sharding
from tfvis_jax.cli import (
    command,
    devices,
    run_argument,
    settings,
    shared_flags,
    signals,
)
from tfvis_jax.errors import command_line
from tfvis_jax.runs import directory as directory_lib

FLAGS = command.new_flags(compiles=True)
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
_UNTIL = flags.DEFINE_enum(
    "until",
    "page",
    ["train", "examples", "page"],
    "The last step: the dictionary, the examples of its factors, or the page of the "
    "run.",
    flag_values=FLAGS,
)
_MINUTES = flags.DEFINE_float(
    "minutes",
    None,
    "Time for all of it, up to --until: a trial of some seconds measures this machine, "
    "and as much text is read as it can take. An interrupted run keeps what it has.",
    lower_bound=0,
    flag_values=FLAGS,
)
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
    path = run_argument.one(arguments, writes=True)
    directory = directory_lib.RunDirectory(path)
    with devices.joined(FLAGS):
        config = settings.of_run(FLAGS, directory)
        first = sharding.is_first_process()
        mesh = devices.mesh(FLAGS, config)
        with pipeline.bars(quiet=not first) as progress:
            if _MINUTES.value is not None:
                config = _within(_MINUTES.value, directory, config, mesh, progress)
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
            return
        if first:
            print(pipeline.summary(report))
            print(f"\nreport   {directory.report}", flush=True)
        if _UNTIL.value != "train":
            with pipeline.bars(quiet=not first) as progress:
                pipeline.make_examples(directory, progress=progress, mesh=mesh)
    # The other processes have left.
    if not first:
        return
    if _UNTIL.value == "page":
        with pipeline.bars() as progress:
            pipeline.make_page(directory, num_workers=None, progress=progress)
        print(f"page     {directory.site / 'index.html'}")
    onward = {"train": "examples", "examples": "levels", "page": "view"}
    print(f"next     {command_line(onward[_UNTIL.value], path)}")


def _within(
    minutes: float,
    directory: directory_lib.RunDirectory,
    config: config_lib.RunConfig,
    mesh: jax.sharding.Mesh,
    progress: pipeline.Progress,
) -> config_lib.RunConfig:
    """Returns settings with as much text as fits the time."""
    if jax.process_count() > 1:
        raise command.UsageError(
            f"Expected --minutes in one process, got {jax.process_count()}. Limit the "
            "text with --max_tokens."
        )
    if FLAGS["max_tokens"].present:
        raise command.UsageError(
            "Expected --minutes or --max_tokens, got both: --minutes decides how much "
            "text is read."
        )
    if directory.config_path.is_file():
        max_tokens = directory.read_config().corpus.max_tokens
    else:
        directory.check()
        if _HIDDEN_STATES.value is not None:
            raise command.UsageError(
                "Expected --minutes without --hidden_states, which are of all of the "
                "text. Limit it with --max_tokens, as when they were stored."
            )
        found = pipeline.run_trial(config, mesh=mesh, progress=progress)
        budget = pipeline.text_within(
            config,
            found,
            seconds=60 * minutes,
            examples=_UNTIL.value != "train",
        )
        max_tokens = budget.max_tokens
        n_factors = config.dictionary.n_factors
        pipeline.note(
            f"{minutes:g} minutes are enough for {max_tokens:,} tokens of text, "
            f"{budget.n_rows:,} hidden states to train on "
            f"({budget.n_rows / n_factors:,.0f} a factor), at "
            f"{budget.rows_per_second:,.0f} a second as measured."
        )
    corpus = dataclasses.replace(config.corpus, max_tokens=max_tokens)
    return dataclasses.replace(config, corpus=corpus)


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
        "Reads text, runs a model over it and learns one dictionary of factors for the "
        "chosen layers. Then finds what fires each factor, and writes the page of the "
        "run. RUN is the directory to write. Interrupt it at any time: the "
        "same command resumes, and so does `tfvis train RUN` alone."
    ),
    flags=FLAGS,
    run=main,
)

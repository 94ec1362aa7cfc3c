"""From text to a dictionary and a report of how good it is."""

import contextlib
import dataclasses
import os
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import jax

from tfvis_jax import config as config_lib
from tfvis_jax import files, sharding, sites
from tfvis_jax.data import build_windows
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import reconstruction
from tfvis_jax.learning import state as state_lib
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline import report as report_lib
from tfvis_jax.pipeline.writing import writing
from tfvis_jax.planning import plan
from tfvis_jax.runs import (
    dictionary_file,
    report_file,
    setup,
    stored_hidden_states,
    trained_dictionary,
)
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.sparse_coding import checks
from tfvis_jax.training import calibration, checkpoint_storage, loop

Interrupted = loop.Interrupted


def train(
    directory: str | os.PathLike[str],
    config: config_lib.RunConfig,
    *,
    progress: progress_lib.Progress = progress_lib.silent,
    mesh: jax.sharding.Mesh | None = None,
    num_workers: int = 1,
    hidden_states: str | os.PathLike[str] | None = None,
    profile_batch: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    while_learning: contextlib.AbstractContextManager[Any] | None = None,
    notify: Callable[[str], None] = warnings.warn,
) -> dict[str, Any]:
    """Learns the dictionary of a run and measures it on held-out text.

    Writes the token windows, checkpoints, `dictionary.safetensors` and `report.json`.
    A call with the same settings resumes where an earlier one stopped.

    Args:
      directory: of the run; made if it does not exist.
      config: the settings.
      progress: hears of the stages "model", "tokens", "train" and "evaluate".
      mesh: devices to use, of all processes; this process's first one if None.
      num_workers: processes that turn text into tokens.
      hidden_states: folder that `store_hidden_states` filled, to read instead of
        running the model again.
      profile_batch: batch of windows, from 1, to write a profiler trace of.
      should_stop: asked after every batch; if True, the state is saved and the call
        ends.
      while_learning: entered for the stage "train" alone, such as for the handling of
        signals: before and after it, an interruption loses nothing.
      notify: told in a sentence what stops nothing, such as a damaged checkpoint.

    Returns:
      The content of `report.json`; empty in all processes but the first.

    Raises:
      Interrupted: ``should_stop`` said so; all that was learned is saved.
      InputError: the settings, the model or the text cannot be used, or the directory
        was made with other settings.
    """
    first = sharding.is_first_process()
    mesh = sharding.one_device() if mesh is None else mesh
    stages = progress_lib.Stages(progress)
    with writing(directory, new=True) as run:
        if run.imported.exists():
            raise InputError(
                f"The dictionary of {run.path} was imported: training would replace "
                "it. Name another directory."
            )
        # What the last step adds to is read first: it may be damaged.
        report_file.read_if_any(run.report)
        opened, windows = prepare_locked(
            run,
            config,
            stages,
            num_workers=num_workers,
            mesh=mesh,
            notify=notify if first else _ignore,
        )
        if first:
            _note_few_rows(opened, windows, notify)
        stored = None
        if hidden_states is not None:
            folder = pathlib.Path(hidden_states)
            stored = stored_hidden_states.open_for(folder, opened, windows)
        with while_learning or contextlib.nullcontext(), stages.stage("train") as show:
            state = loop.fit(
                opened,
                windows,
                progress=show,
                should_stop=should_stop,
                mesh=mesh,
                notify=notify if first else _ignore,
                profile_batch=profile_batch,
                stored=stored,
            )
        report = {}
        if first:
            report = _measure(opened, windows, state, stages, mesh=mesh)
        sharding.wait_for_all("report")
    return report


def prepare(
    directory: str | os.PathLike[str],
    config: config_lib.RunConfig,
    *,
    progress: progress_lib.Progress = progress_lib.silent,
    mesh: jax.sharding.Mesh | None = None,
    num_workers: int = 1,
) -> tuple[setup.Setup, windows_lib.Windows]:
    """Opens the model and the token windows of a run; makes what does not exist.

    Args:
      directory: of the run; made if it does not exist.
      config: the settings.
      progress: hears of the stages "model" and "tokens".
      mesh: devices that are to train the run. If given, a run that they cannot hold is
        refused before anything is written.
      num_workers: processes that turn text into tokens.

    Raises:
      InputError: the settings, the model or the text cannot be used, or the directory
        was made with other settings.
    """
    with writing(directory, new=True) as run:
        return prepare_locked(
            run,
            config,
            progress_lib.Stages(progress),
            num_workers=num_workers,
            mesh=mesh,
        )


def prepare_locked(
    run: directory_lib.RunDirectory,
    config: config_lib.RunConfig,
    stages: progress_lib.Stages,
    *,
    num_workers: int,
    mesh: jax.sharding.Mesh | None,
    notify: Callable[[str], None] = warnings.warn,
) -> tuple[setup.Setup, windows_lib.Windows]:
    """Prepares a run whose lock is held; the first process does what is written."""
    if not isinstance(config, config_lib.RunConfig):
        raise InputError(f"Expected a RunConfig, got {type(config).__name__}.")
    checks.check_count("num_workers", num_workers)
    with sharding.first_process_first("tokens"):
        with stages.stage("model"):
            opened = setup.open_model(run, config)
        if mesh is not None:
            plan.check(config, opened.pretrained.config, mesh=mesh)
            if config.checkpoints is not None:
                checkpoint_storage.check(config.checkpoints)
        run.open_or_create(config)
        if sharding.is_first_process():
            setup.keep_model_identity(opened)
        with stages.stage("tokens") as show:
            windows = build_windows.build(
                run.tokens,
                config.corpus,
                tokenizer=opened.tokenizer,
                num_workers=num_workers,
                progress=show,
                notify=notify,
            )
    return opened, windows


def _note_few_rows(
    opened: setup.Setup, windows: windows_lib.Windows, notify: Callable[[str], None]
) -> None:
    """Says where a text has fewer rows than the dictionary shall have factors."""
    config = opened.config
    n_factors = config.dictionary.n_factors
    tokens = int(windows.num_rows(windows.train).sum()) * len(opened.layers)
    rows = int(tokens * min(1.0, config.row_fraction * config.num_epochs))
    if rows < n_factors:
        notify(
            f"The text has {rows:,} {sites.WORDS[config.site]} to train on, fewer than "
            f"the {n_factors:,} factors: most of these will be copies of single rows, "
            "or stay unused. Give more text, or ask for fewer factors "
            "(--n_factors)."
        )


def _measure(
    opened: setup.Setup,
    windows: windows_lib.Windows,
    state: state_lib.TrainState,
    stages: progress_lib.Stages,
    *,
    mesh: jax.sharding.Mesh,
) -> dict[str, Any]:
    """Saves what was learned, and how good it is, unless that is done."""
    trained = trained_dictionary.from_state(state, opened)
    if (report := _earlier_report(opened.run, trained)) is not None:
        return report
    target_l0 = opened.config.sparsity.target_l0
    if target_l0 is not None:
        found = calibration.l1_penalty(opened, trained, windows, target_l0=target_l0)
        trained = dataclasses.replace(trained, l1_penalty=found)
    dictionary_file.save(opened.run.dictionary, trained)
    with stages.stage("evaluate") as show:
        result = reconstruction.evaluate(
            opened, trained, windows, devices=mesh.local_devices, progress=show
        )
    report = report_lib.of_training(
        opened, trained, windows, result, mesh=mesh, seconds=stages.seconds
    )
    files.write_json(opened.run.report, report)
    return report


def _earlier_report(
    run: directory_lib.RunDirectory, trained: trained_dictionary.TrainedDictionary
) -> dict[str, Any] | None:
    """Returns the report on what was learned; None if these versions wrote none."""
    if not (run.report.is_file() and run.dictionary.is_file()):
        return None
    report = report_file.read(run.report, layers=trained.layers)
    if (
        report.get("dictionary_hash") != trained.content_hash
        or report.get("versions") != report_lib.versions()
    ):
        return None
    # Written again where it is damaged.
    with contextlib.suppress(InputError):
        if dictionary_file.load(run.dictionary).content_hash == trained.content_hash:
            return report
    return None


def _ignore(notice: str) -> None:
    del notice

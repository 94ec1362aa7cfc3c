"""The hidden states of a run's text, stored for more than one training."""

import os
import pathlib

import jax

from tfvis_jax import config as config_lib
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline import training
from tfvis_jax.pipeline.writing import writing
from tfvis_jax.runs import stored_hidden_states


def store_hidden_states(
    directory: str | os.PathLike[str],
    config: config_lib.RunConfig,
    *,
    dtype: str = "float32",
    progress: progress_lib.Progress = progress_lib.silent,
    mesh: jax.sharding.Mesh | None = None,
    num_workers: int = 1,
) -> pathlib.Path:
    """Stores the hidden states of all windows of a run; resumes if interrupted.

    Args:
      directory: of the run; made if it does not exist.
      config: its settings.
      dtype: "float32", or "bfloat16", which takes half the space and rounds to three
        digits.
      progress: hears of the stages "model", "tokens" and "hidden_states".
      mesh: devices to use, of all processes; this process's first one if None.
      num_workers: processes that turn text into tokens.

    Returns:
      The folder, for ``hidden_states`` of `train`.

    Raises:
      InputError: the settings, the model or the text cannot be used, or the folder
        holds hidden states of something else.
    """
    stages = progress_lib.Stages(progress)
    with writing(directory, new=True) as run:
        opened, windows = training.prepare_locked(
            run, config, stages, num_workers=num_workers, mesh=None
        )
        with stages.stage("hidden_states") as show:
            stored_hidden_states.fill(
                run.hidden_states,
                opened,
                windows,
                dtype=dtype,
                progress=show,
                mesh=mesh,
            )
    return run.hidden_states

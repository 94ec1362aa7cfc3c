"""`levels.json`: what factors owe to word and context, and the levels that follow."""

import contextlib
import os

from tfvis_jax.errors import InputError
from tfvis_jax.levels import gathering, level_file, rule
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline.writing import writing
from tfvis_jax.sparse_coding import checks


def measure_levels(
    directory: str | os.PathLike[str],
    *,
    per_factor: int = 6,
    progress: progress_lib.Progress = progress_lib.silent,
) -> list[rule.Level]:
    """Measures how much context factors need, unless it is known for these examples.

    Args:
      directory: of the run, with its examples.
      per_factor: firings of each factor to measure on, if fewer leave a doubt.
      progress: hears of the stages "model" and "levels".

    Returns:
      The level of every factor.

    Raises:
      InputError: the training of the run has not finished, or has no examples.
    """
    checks.check_count("per_factor", per_factor)
    with writing(directory):
        _measure(
            run_lib.load_run(directory),
            progress_lib.Stages(progress),
            per_factor=per_factor,
        )
    # A run reads its levels once.
    return run_lib.load_run(directory).levels


def _measure(run: run_lib.Run, stages: progress_lib.Stages, *, per_factor: int) -> None:
    path, examples = run.directory.levels, run.examples
    with contextlib.suppress(InputError):
        if level_file.load(path, examples).per_factor == per_factor:
            return
    with stages.stage("model"):
        # Loaded on first use, which belongs to this stage.
        _ = run.opened
    with stages.stage("levels") as show:
        evidence = gathering.measure(run, per_factor=per_factor, progress=show)
    level_file.save(path, level_file.Measured(evidence, per_factor), examples)

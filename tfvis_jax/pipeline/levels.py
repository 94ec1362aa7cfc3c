"""`levels.json`: what factors owe to word and context, and the levels that follow."""

import contextlib
import os

from tfvis_jax.errors import InputError
from tfvis_jax.levels import gathering, level_file, rule, sampling
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline.writing import writing
from tfvis_jax.sparse_coding import checks


def measure_levels(
    directory: str | os.PathLike[str],
    *,
    per_factor: int = 6,
    at_most: int | None = None,
    progress: progress_lib.Progress = progress_lib.silent,
) -> list[rule.Level]:
    """Measures how much context factors need, unless it is known for these examples.

    Factors that were measured on as many firings are kept as they are, and so are more
    factors than a sample would have, on any number of firings.

    Args:
      directory: of the run, with its examples.
      per_factor: firings of each factor to measure on, if fewer leave a doubt.
      at_most: number of factors to measure, those for which the examples alone give
        context most (`sampling.by_context`); the others stay guesses. All if None.
      progress: hears of the stages "model" and "levels".

    Returns:
      The level of every factor.

    Raises:
      InputError: the training of the run has not finished, or has no examples.
    """
    checks.check_count("per_factor", per_factor)
    if at_most is not None:
        checks.check_count("at_most", at_most)
    with writing(directory):
        _measure(
            run_lib.load_run(directory),
            progress_lib.Stages(progress),
            per_factor=per_factor,
            at_most=at_most,
        )
    # A run reads its levels once.
    return run_lib.load_run(directory).levels


def _measure(
    run: run_lib.Run,
    stages: progress_lib.Stages,
    *,
    per_factor: int,
    at_most: int | None,
) -> None:
    path, examples = run.directory.levels, run.examples
    known = None
    with contextlib.suppress(InputError):
        known = level_file.load(path, examples)
    if known is not None:
        # A smaller sample is the beginning of a larger one.
        enough = known.n_alive if at_most is None else min(at_most, known.n_alive)
        is_same = known.per_factor == per_factor
        # Nor does a sample on other firings replace what is more than it.
        if known.n_measured >= enough and (is_same or known.n_measured > enough):
            return
        known = known if is_same else None
    with stages.stage("model"):
        # Loaded on first use, which belongs to this stage.
        _ = run.opened
    with stages.stage("levels") as show:
        guesses = None if at_most is None else gathering.of_examples(run)
        before = guesses if known is None else known.evidence
        factors = None
        if before is not None:
            wanted = range(len(before))
            if guesses is not None and at_most is not None:
                wanted = sampling.by_context(guesses, n=at_most)
            factors = [f for f in wanted if (each := before[f]) and not each.context]
            if known is not None and not factors:
                return
        evidence = gathering.measure(
            run, per_factor=per_factor, progress=show, factors=factors
        )
    if before is not None:
        evidence = [new or old for new, old in zip(evidence, before, strict=True)]
    level_file.save(path, level_file.Measured(evidence, per_factor), examples)

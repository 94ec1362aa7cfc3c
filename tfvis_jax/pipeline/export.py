"""The page of a run, as files."""

import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from tfvis_jax.description import featured
from tfvis_jax.errors import InputError
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import live
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline import report as report_lib
from tfvis_jax.pipeline.writing import writing
from tfvis_jax.sparse_coding import checks
from tfvis_jax.viewer import bundle, site


def export_site(
    directory: str | os.PathLike[str],
    *,
    contexts: int = 20,
    sentences: Sequence[str] = (),
    progress: progress_lib.Progress = progress_lib.silent,
) -> pathlib.Path:
    """Writes `site/` from the dictionary, the examples and the report of a run.

    Args:
      directory: of the run, with its examples.
      contexts: contexts to show per layer and factor.
      sentences: sentences to encode now, so that the page shows them without a server.
      progress: hears of the stage "export".

    Returns:
      The folder of the page; it opens at `index.html`.

    Raises:
      InputError: the training of the run has not finished, or has no examples, or a
        sentence cannot be encoded.
    """
    checks.check_count("contexts", contexts, at_least=0)
    stages = progress_lib.Stages(progress)
    with writing(directory) as run, stages.stage("export") as show:
        data = site_data(
            run_lib.load_run(directory), contexts=contexts, sentences=sentences
        )
        bundle.write(run.site, data, progress=show)
    return run.site


def site_data(
    run: run_lib.Run, *, contexts: int, sentences: Sequence[str] = ()
) -> site.SiteData:
    """Returns what the page of a run shows.

    Args:
      run: trained, with its examples.
      contexts: contexts to show per layer and factor.
      sentences: sentences to encode.

    Raises:
      InputError: a sentence cannot be encoded.
    """
    report, trained, examples = run.report, run.trained, run.examples

    def contexts_of(number: int) -> list[list[site.Context]]:
        factor = run.factor(number)
        return [
            [
                site.Context(
                    before=example.before,
                    word=example.word,
                    after=example.after,
                    activation=example.activation,
                    document=example.document,
                )
                for example in factor.examples(layer=layer, n=contexts)
            ]
            for layer in trained.layers
        ]

    return site.SiteData(
        title=run.directory.path.name,
        model=report_lib.model_name(report["model"]),
        corpus=", ".join(pathlib.Path(p).name for p in report["corpus"]),
        layers=trained.layers,
        n_factors=len(trained.factors),
        l1_penalty=trained.l1_penalty,
        report={
            "tokens": report["n_tokens"],
            "fvu": _number(report["fvu"]["all"]),
            "FVU per layer": [_number(value) for value in report["fvu"]["per_layer"]],
            "l0": _number(report["l0"]["all"]),
            "L0 per layer": [_number(value) for value in report["l0"]["per_layer"]],
            "factors alive on held-out text": _number(report["alive"]),
            "mean duality gap": _number(report["gap"]["mean"]),
            "activations in an importance score": examples.activation.shape[2],
            "held-out hidden states": report["n_held_out_rows"],
        },
        importance=run.importance(),
        density=examples.density,
        max_activation=examples.max_activation,
        levels=[level.name for level in run.levels],
        level_reasons=[level.reason for level in run.levels],
        featured=featured.choose(run, run.levels),
        contexts=contexts_of,
        labels={
            number: site.Label(text=label.text, remarks=" ".join(label.remarks))
            for number, label in run.labels.items()
        },
        sentences=_recorded(run, sentences),
    )


def _recorded(run: run_lib.Run, sentences: Sequence[str]) -> list[Any]:
    """Returns the records of each sentence; one given twice is recorded once."""
    if not sentences:
        return []
    encoder, recorded = live.RunEncoder(run), []
    for text in dict.fromkeys(sentences):
        try:
            recorded.append(list(encoder.encode(text)))
        except InputError as error:
            raise InputError(f"{text[:60]!r} cannot be recorded. {error}") from error
    return recorded


def _number(value: float | None) -> float:
    return math.nan if value is None else value

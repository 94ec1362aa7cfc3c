"""Compares the factors of two runs for the page of the first."""

import os
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from tfvis_jax import schema, sites
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import matching
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import report as report_lib
from tfvis_jax.viewer import beside as beside_lib

_WORDS = 4
_Value = TypeVar("_Value")


def of_runs(run: run_lib.Run, other: run_lib.Run) -> beside_lib.Beside:
    """Returns a second run beside a first; factors are compared as directions.

    Args:
      run: the run that is shown, trained.
      other: the second run, trained.

    Raises:
      InputError: they are of different models, layers or sites, or one run twice.
    """
    _check_comparable(run, other)
    first, second = run.trained.directions, other.trained.directions
    near, pairs = matching.nearest(first, second), matching.assign(first, second)
    random = np.random.default_rng(0).normal(size=second.shape)
    n_first = len(first)
    return beside_lib.Beside(
        title=other.directory.name,
        corpus=report_lib.corpus_name(other.report["corpus"]),
        l1_penalty=other.trained.l1_penalty,
        words=[
            ()
            if other.unnamed
            else tuple(word.text for word in other.words.of(factor, n=_WORDS))
            for factor in range(len(second))
        ],
        labels=[
            other.labels[factor].text if factor in other.labels else ""
            for factor in range(len(second))
        ],
        nearest=near.second.tolist(),
        cosine=near.cosine.tolist(),
        partner=_by_first(pairs.first, pairs.second.tolist(), n=n_first),
        partner_cosine=_by_first(pairs.first, pairs.cosine.tolist(), n=n_first),
        by_chance=float(np.median(matching.nearest(first, random).cosine)),
    )


def _by_first(
    first: np.ndarray, values: Sequence[_Value], *, n: int
) -> list[_Value | None]:
    found: list[_Value | None] = [None] * n
    for factor, value in zip(first.tolist(), values, strict=True):
        found[factor] = value
    return found


def _check_comparable(run: run_lib.Run, other: run_lib.Run) -> None:
    if os.path.realpath(run.directory) == os.path.realpath(other.directory):
        raise InputError(
            f"Expected another run beside {run.directory.path}, got the same one."
        )
    models = [_model(each) for each in (run, other)]
    if models[0] != models[1]:
        raise InputError(
            f"Expected two runs of one model, got {run.trained.model} in "
            f"{run.directory.path} and {other.trained.model} in "
            f"{other.directory.path}, whose weights differ: the directions of one mean "
            "nothing in the other."
        )
    layers = [list(each.trained.layers) for each in (run, other)]
    if layers[0] != layers[1]:
        raise InputError(
            f"Expected two runs of the same layers, got {layers[0]} in "
            f"{run.directory.path} and {layers[1]} in {other.directory.path}. Train "
            f"the second with --layers={','.join(map(str, layers[0]))}."
        )
    if run.trained.site != other.trained.site:
        raise InputError(
            f"Expected two runs of one site, got {sites.WORDS[run.trained.site]} in "
            f"{run.directory.path} and {sites.WORDS[other.trained.site]} in "
            f"{other.directory.path}. Train the second with --site={run.trained.site}."
        )


def _model(run: run_lib.Run) -> str:
    """Returns what identifies the weights of a run's model."""
    path = run.directory.model_identity
    if not path.is_file():
        return run.trained.model
    remedy = "Remove it; the next command writes it again."
    return schema.read(path, dict[str, str], remedy=remedy)["sha256"]

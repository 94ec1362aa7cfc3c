"""What the codes of dictionaries tell of labelled text, beside their FVU.

A dictionary that leaves less variance may still tell less. Codes are inferred with the
λ that a dictionary has the wanted L0 with on other text, and probed with a few factors
and with all of them.
"""

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import probing
from tfvis_jax.evaluation import labelled_rows, parts
from tfvis_jax.probing import scores
from tfvis_jax.reporting import claims as claims_lib
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.studies import equal_l0, verdicts

# Factors of the sparse probes; "all" stands for the whole code.
KS = (1, 5)
ALL = "all"


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """Rows with labels.

    Attributes:
      x: [n_layers, n, d_model] float32, scaled as the run does.
      layers: the layers.
      task: the classes, and folds by document.
      source: what was labelled.
    """

    x: np.ndarray
    layers: tuple[int, ...]
    task: probing.Task
    source: str


def labelled(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    path: str | os.PathLike[str] | None = None,
    *,
    notify: Callable[[str], None] = warnings.warn,
) -> Labelled | None:
    """Computes the rows of labelled text.

    Args:
      opened: model and settings of the run.
      trained: whose layers and scales are used.
      path: a file or folder that `probing.read` reads; the sentences that come with
        this package if None.
      notify: told in a sentence if the model does not know the words of those.

    Returns:
      The rows; None if the model does not know the words of the package's sentences.

    Raises:
      InputError: the file cannot be read, or has too few labels of known words.
    """
    if path is None:
        labels = parts.own_sentences(opened, notify)
    else:
        labels = parts.prepare(probing.read(path), opened)
    if labels is None:
        return None
    rows = labelled_rows.scaled_rows(
        opened, trained, labels.labelled, labels.tokens, labels.rows
    )
    return Labelled(rows, trained.layers, labels.task, labels.labelled.source)


def accuracy(
    rows: Labelled,
    dictionaries: Sequence[np.ndarray],
    penalties: Sequence[float],
    *,
    solver: config_lib.SolverConfig,
    n_factors: int | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, scores.Estimate]:
    """Probes codes, each layer by itself.

    Args:
      rows: with labels.
      dictionaries: that of each layer, [n_factors of it, d_model].
      penalties: λ of each layer.
      solver: how codes are inferred; its λ is not used.
      n_factors: as in `equal_l0.encode`.
      n_resamples: bootstrap resamples, of documents.
      seed: of the resamples: figures of one seed are paired.

    Returns:
      Accuracy, mean over the layers, of probes of one and of five factors and of the
      whole code ("1", "5", "all").
    """
    found: dict[str, list[scores.Estimate]] = {}
    for x, factors, l1_penalty in zip(rows.x, dictionaries, penalties, strict=True):
        codes = equal_l0.codes(
            x, factors, l1_penalty=l1_penalty, solver=solver, n_factors=n_factors
        )
        predicted: dict[Any, probing.Predictions] = {
            **probing.cross_validate_path(codes, rows.task, ks=KS),
            ALL: probing.cross_validate(codes, rows.task, probing.FullProbe()),
        }
        for k, predictions in predicted.items():
            found.setdefault(str(k), []).append(
                probing.accuracy(
                    predictions, rows.task, n_resamples=n_resamples, seed=seed
                )
            )
    return {k: scores.mean(estimates) for k, estimates in found.items()}


def majority(rows: Labelled) -> float:
    """Returns the accuracy of the most frequent class of the training folds."""
    x = np.zeros((len(rows.task.y), 1))
    predictions = probing.cross_validate(x, rows.task, probing.Majority())
    return probing.accuracy(predictions, rows.task, n_resamples=1).value


def claim(
    ours: Mapping[str, scores.Estimate],
    controls: Mapping[str, Mapping[str, scores.Estimate]],
    rows: Labelled,
    *,
    claim: str,
) -> claims_lib.Claim:
    """Returns what whole codes say of a claim.

    Args:
      ours: of `accuracy`.
      controls: the same by name.
      rows: that were probed.
      claim: that ours tell more.
    """
    margins = {
        name: scores.difference(ours[ALL], control[ALL])
        for name, control in controls.items()
    }
    n_documents = len(np.unique(rows.task.documents))
    few = {
        name: scores.difference(ours["1"], control["1"])
        for name, control in controls.items()
    }
    return claims_lib.Claim(
        claim=claim,
        measure="accuracy of a probe of all codes, mean over layers "
        f"{', '.join(map(str, rows.layers))}",
        ours=ours[ALL].value,
        interval=(ours[ALL].low, ours[ALL].high),
        controls={
            **{name: control[ALL].value for name, control in controls.items()},
            "majority": majority(rows),
        },
        verdict=verdicts.from_margins(margins, n_documents=n_documents),
        reason=f"{rows.source}, {n_documents} documents; {verdicts.in_words(margins)}. "
        f"With one factor: {verdicts.in_words(few)}.",
    )


def heads(rows: Labelled | None) -> tuple[str, ...]:
    """Returns the heads of `cells` in a table; none without labels."""
    if rows is None:
        return ()
    return (*(f"probe, k = {k}" for k in KS), "probe, all codes")


def cells(found: Mapping[str, scores.Estimate]) -> tuple[str, ...]:
    """Returns the accuracies of a dictionary as cells of a table."""
    return tuple(
        f"{each.value:.3f} [{each.low:.3f}, {each.high:.3f}]" for each in found.values()
    )


def caption(rows: Labelled | None) -> str:
    """Returns a sentence on what was probed, to stand behind others; or nothing."""
    if rows is None:
        return ""
    return (
        f" Probes: accuracy on {rows.source} ({len(rows.task.y):,} labels, majority "
        f"{majority(rows):.3f}), mean over layers {', '.join(map(str, rows.layers))}."
    )


def to_json(rows: Labelled | None) -> dict[str, Any]:
    """Returns what was probed, beside the figures."""
    if rows is None:
        return {}
    return {
        "labelled": {
            "source": rows.source,
            "n_labels": len(rows.task.y),
            "n_documents": len(np.unique(rows.task.documents)),
            "majority": majority(rows),
        }
    }

"""What x, its reconstruction, the codes and the residual tell, each alone.

FVU says how much of the variance a dictionary leaves out, not what is in it. A probe of
the residual does: if it predicts a label as well as a probe of x, the factors left out
part of what they should tell.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import threadpoolctl

from tfvis_jax import probing
from tfvis_jax.codes import rows as rows_lib
from tfvis_jax.data import unknown_tokens
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import labelled_rows
from tfvis_jax.probing import probes
from tfvis_jax.runs import setup, trained_dictionary

X, RECONSTRUCTION, CODES, RESIDUAL = "x", "reconstruction", "codes", "residual"
PARTS = (X, RECONSTRUCTION, CODES, RESIDUAL)
# Probed with a few features as well: a factor, or a dimension.
_SPARSE = (CODES, X)
_MAX_ROWS = 1000
_LEAST_ROWS = 20
_FOLDS = 5
_DIGITS = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """Rows to probe.

    Attributes:
      labelled: their texts.
      tokens: all tokens of the texts.
      rows: [n] the token of each row.
      task: the classes, and folds by document.
      note: what was left out, as a sentence; empty if nothing was.
    """

    labelled: probing.LabelledText
    tokens: probing.Tokens
    rows: np.ndarray
    task: probing.Task
    note: str


def prepare(
    labelled: probing.LabelledText, opened: setup.Setup, *, seed: int = 0
) -> Labels:
    """Chooses the labels that are probed: at most a thousand, of frequent classes.

    Args:
      labelled: texts with labels.
      opened: whose tokenizer is used.
      seed: of the sample.

    Raises:
      InputError: no label aligns with tokens the model knows, or fewer than two classes
        have enough rows in enough documents; says how many.
    """
    counts = {
        label: (
            int(np.sum(labelled.labels == label)),
            len(np.unique(labelled.span_documents[labelled.labels == label])),
        )
        for label in np.unique(labelled.labels).tolist()
    }
    kept = [
        label
        for label, (rows, documents) in counts.items()
        if rows >= _LEAST_ROWS and documents >= _FOLDS
    ]
    if len(kept) < 2:
        has = "; ".join(
            f"{label}: {rows} rows in {documents} documents"
            for label, (rows, documents) in sorted(counts.items())[:10]
        )
        raise InputError(
            f"Expected two classes with at least {_LEAST_ROWS} rows in {_FOLDS} "
            f"documents each in {labelled.source}, got {has}. Label more text, or name "
            "the documents."
        )
    notes = []
    if rare := sorted(set(counts) - set(kept)):
        notes.append(f"rare classes left out: {', '.join(rare[:10])}")
    chosen = np.flatnonzero(np.isin(labelled.labels, kept))
    if len(chosen) > _MAX_ROWS:
        notes.append(f"a random {_MAX_ROWS:,} of {len(chosen):,} labels")
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.permutation(chosen)[:_MAX_ROWS])
    labelled = labelled.select(chosen)
    tokens = probing.tokenize(labelled, opened.tokenizer)
    aligned = probing.align(labelled, tokens)
    rows = aligned.first[aligned.aligned]
    ids, unk_id = tokens.ids[rows], opened.tokenizer.unk_id
    known = np.sum(~unknown_tokens.are_unknown(ids, unk_id))
    if 2 * known < len(labelled.spans):
        raise InputError(
            f"Expected labels of {labelled.source} that are tokens of the model, got "
            f"{known:,} of {len(labelled.spans):,}."
        )
    if not aligned.aligned.all():
        notes.append(str(aligned))
    task = probing.make_task(
        labelled.labels[aligned.aligned],
        labelled.span_documents[aligned.aligned],
        n_folds=_FOLDS,
        seed=seed,
    )
    return Labels(labelled, tokens, rows, task, "; ".join(notes))


def own_sentences(opened: setup.Setup, notify: Callable[[str], None]) -> Labels | None:
    """Chooses the labels that come with this package, if the model knows the words.

    Args:
      opened: whose tokenizer is used.
      notify: told in a sentence why there are none.
    """
    try:
        return prepare(probing.verbs(), opened)
    except InputError as error:
        notify(
            f"Nothing is probed: {error} The sentences are English; --labels names "
            "others."
        )
        return None


def measure(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
    labels: Labels,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Probes the parts of hidden states at every layer.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      labels: what is predicted.
      progress: called with (layers done, layers in all).

    Returns:
      Plain values: "accuracy" of each part, a list over layers of [value, low, high];
      the same of "sparse" probes by part and number of features; "majority"; and
      "residual_share", the way from the majority class to x that the residual goes
      alone, for each layer (None where x tells nothing).
    """
    task = labels.task
    scaled = labelled_rows.scaled_rows(
        opened, trained, labels.labelled, labels.tokens, labels.rows
    )
    majority = _accuracy(
        probing.cross_validate(np.zeros((len(task.y), 1)), task, probing.Majority()),
        task,
    )
    accuracy: dict[str, list[list[float]]] = {part: [] for part in PARTS}
    sparse: dict[str, dict[str, list[list[float]]]] = {
        part: {str(k): [] for k in probes.KS} for part in _SPARSE
    }
    for number, (layer, rows) in enumerate(zip(trained.layers, scaled, strict=True)):
        progress(number, len(trained.layers))
        coded = rows_lib.encode_rows(opened, trained, rows, layer=layer)
        found = {
            X: coded.x,
            RECONSTRUCTION: coded.reconstruction,
            CODES: coded.codes,
            RESIDUAL: coded.residual,
        }
        # Products of a few hundred rows: threads wait for each other longer than they
        # work, many times so where other processes want the cores.
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            for part, matrix in found.items():
                predictions = probing.cross_validate(matrix, task, probing.FullProbe())
                accuracy[part].append(_accuracy(predictions, task))
            for part in _SPARSE:
                for k, predictions in probing.cross_validate_path(
                    found[part], task
                ).items():
                    sparse[part][str(k)].append(_accuracy(predictions, task))
    progress(len(trained.layers), len(trained.layers))
    return {
        "source": labels.labelled.source,
        "classes": {
            name: int(np.sum(task.y == number))
            for number, name in enumerate(task.classes)
        },
        "n_documents": len(np.unique(task.documents)),
        "note": labels.note,
        "layers": list(trained.layers),
        "majority": majority,
        "accuracy": accuracy,
        "sparse": sparse,
        "residual_share": [
            share(whole[0], alone[0], majority[0])
            for whole, alone in zip(accuracy[X], accuracy[RESIDUAL], strict=True)
        ],
    }


def share(whole: float, part: float, majority: float) -> float | None:
    """Returns how much of the way from the majority class to x a part goes alone."""
    if whole <= majority:
        return None
    return round((part - majority) / (whole - majority), _DIGITS)


def _accuracy(predictions: probing.Predictions, task: probing.Task) -> list[float]:
    found = probing.accuracy(predictions, task)
    return [round(each, _DIGITS) for each in (found.value, found.low, found.high)]

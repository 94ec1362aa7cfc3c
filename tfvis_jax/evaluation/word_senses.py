"""Do factors tell the senses of a word? Probes of labelled occurrences, with controls.

The paper (Yun et al., 2021) shows that one factor tells whether "left" is a verb. Two
questions are asked of each representation of a layer:

    occurrences   which class has this occurrence of the word?
    all tokens    which of all tokens of the same sentences are the word in this class?

Among occurrences alone, the best of a thousand random directions does about as well as
a factor. The second question is the harder and fairer one.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tfvis_jax import probing
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import (
    labelled_rows,
    representations,
    word_probes,
    word_sets,
)
from tfvis_jax.runs import dictionary_file, setup

# Occurrences that are listed where probe and label differ.
_SHOWN = 20
_SHOWN_CHARACTERS = 60


@dataclasses.dataclass(frozen=True, eq=False)
class WordStudy:
    """What was found about one word.

    Attributes:
      word: the word.
      source: where its labels come from.
      support: rows of each class.
      n_documents: documents that hold them.
      n_tokens: tokens of all sentences.
      fvu: for each layer the variance of the occurrences' hidden states around their
        mean that the factors leave unexplained, as a share; above 1 where the factors
        do not tell the occurrences apart.
      fvu_of_text: the same of all tokens; empty without a positive class.
      alignment: how the occurrences align with tokens, in words.
      figures: of every probe.
      activations: for each layer the codes of the best factor by class, as the first
        fold chose it; empty without a positive class.
      disagreements: occurrences whose label the probe of all hidden dimensions doubts
        most, to check the labels.
    """

    word: str
    source: str
    support: dict[str, int]
    n_documents: int
    n_tokens: int
    fvu: dict[int, float]
    fvu_of_text: dict[int, float]
    alignment: str
    figures: word_probes.Figures
    activations: dict[int, dict[str, list[float]]]
    disagreements: list[dict[str, Any]]


def study_word(
    opened: setup.Setup,
    trained: dictionary_file.TrainedDictionary,
    probed: representations.Probed,
    word: word_sets.Word,
    config: word_probes.StudyConfig,
    *,
    progress: Callable[[str], None] = lambda what: None,
) -> WordStudy:
    """Probes one word at every layer.

    Args:
      opened: model and settings of the run.
      trained: its dictionary.
      probed: the dictionary with its controls.
      word: labelled occurrences.
      config: how to probe.
      progress: called with lines of text.

    Raises:
      InputError: there is no such layer, no occurrence aligns with tokens, or a class
        is in too few documents.
    """
    layers = _layers(trained, config)
    labelled = word.labelled
    tokens = probing.tokenize(labelled, opened.tokenizer)
    aligned = probing.align(labelled, tokens)
    rows = aligned.first[aligned.aligned]
    if not len(rows):
        raise InputError(f"No occurrence of {word.name} aligns with tokens: {aligned}.")
    hidden = labelled_rows.hidden_states(opened, trained, tokens)
    task = probing.make_task(
        labelled.labels[aligned.aligned],
        labelled.span_documents[aligned.aligned],
        seed=config.seed,
    )
    asked = word_probes.Question(word.name, "occurrences", task, config)
    asked.add_baselines(
        len(rows), None if word.tagged is None else word.tagged[aligned.aligned]
    )
    fvu = {}
    for layer in layers:
        progress(f"{word.name}: occurrences, layer {layer}")
        x = hidden[trained.layers.index(layer), rows]
        names = tuple(
            dict.fromkeys((*word_probes.ONE_FEATURE, *word_probes.APART, *probed.codes))
        )
        found = probed.represent(x, names)
        residual = found[representations.RESIDUAL]
        fvu[layer] = float(
            np.sum(residual**2) / np.sum((x - x.mean(axis=0)[None]) ** 2)
        )
        asked.probe_occurrences(layer, found, word.positive)
    figures = asked.figures()
    activations: dict[int, dict[str, list[float]]] = {}
    fvu_of_text: dict[int, float] = {}
    if word.positive is not None:
        everywhere, activations, fvu_of_text = _all_tokens(
            trained,
            probed,
            word,
            config,
            hidden,
            rows=rows,
            is_positive=labelled.labels[aligned.aligned] == word.positive,
            documents=labelled.document_of[tokens.text_of],
            progress=progress,
        )
        figures.extend(everywhere)
    return WordStudy(
        word=word.name,
        source=labelled.source,
        support={n: int(np.sum(task.y == i)) for i, n in enumerate(task.classes)},
        n_documents=len(np.unique(task.documents)),
        n_tokens=len(tokens.ids),
        fvu=fvu,
        fvu_of_text=fvu_of_text,
        alignment=str(aligned),
        figures=figures,
        activations=activations,
        disagreements=_disagreements(
            labelled.select(aligned.aligned),
            task,
            asked.predictions[representations.HIDDEN, word_probes.ALL],
        ),
    )


def _all_tokens(
    trained: dictionary_file.TrainedDictionary,
    probed: representations.Probed,
    word: word_sets.Word,
    config: word_probes.StudyConfig,
    hidden: np.ndarray,
    *,
    rows: np.ndarray,
    is_positive: np.ndarray,
    documents: np.ndarray,
    progress: Callable[[str], None],
) -> tuple[word_probes.Figures, dict[int, dict[str, list[float]]], dict[int, float]]:
    positive = f"{word.name} as {word.positive}"
    labels = np.full(hidden.shape[1], "other token", f"<U{max(len(positive), 11)}")
    labels[rows[is_positive]] = positive
    task = probing.make_task(labels, documents, seed=config.seed)
    asked = word_probes.Question(word.name, "all tokens", task, config)
    activations, fvu = {}, {}
    for layer in _layers(trained, config):
        progress(f"{word.name}: all tokens, layer {layer}")
        x = hidden[trained.layers.index(layer)]
        names = (*word_probes.names(probed, apart=False), representations.RESIDUAL)
        found = probed.represent(x, names)
        fvu[layer] = _unexplained(x, found.pop(representations.RESIDUAL))
        asked.probe_all_tokens(layer, found, positive)
        best = asked.best_feature(representations.FACTORS, layer)
        codes = found[representations.FACTORS][:, [best]].toarray()[:, 0]
        others = np.setdiff1d(np.arange(len(codes)), rows)
        activations[layer] = {
            word.positive or "": codes[rows[is_positive]].tolist(),
            "other occurrences": codes[rows[~is_positive]].tolist(),
            "other tokens where it fires": codes[others][codes[others] > 0].tolist(),
        }
    return asked.figures(), activations, fvu


def _unexplained(x: np.ndarray, residual: np.ndarray) -> float:
    """Returns Σ ‖residual‖² / Σ ‖x − mean‖²."""
    spread = x - x.mean(axis=0)[None]
    return float(np.sum(residual**2) / np.sum(spread**2))


def _layers(
    trained: dictionary_file.TrainedDictionary, config: word_probes.StudyConfig
) -> tuple[int, ...]:
    layers = trained.layers if config.layers is None else config.layers
    unknown = [layer for layer in layers if layer not in trained.layers]
    if unknown or not layers:
        raise InputError(f"Expected layers of {trained.layers}, got {layers}.")
    return layers


def _disagreements(
    labelled: probing.LabelledText, task: probing.Task, found: probing.Predictions
) -> list[dict[str, Any]]:
    wrong = np.flatnonzero(found.predicted != task.y)
    doubt = found.scores[wrong, found.predicted[wrong]]
    listed = []
    for row in wrong[np.argsort(-doubt, kind="stable")][:_SHOWN].tolist():
        text = labelled.texts[labelled.text_of[row]]
        start, end = labelled.spans[row].tolist()
        listed.append(
            {
                "label": task.classes[task.y[row]],
                "predicted": task.classes[found.predicted[row]],
                "probability": round(float(found.scores[row, found.predicted[row]]), 3),
                "document": labelled.document_names[labelled.span_documents[row]],
                "before": text[max(start - _SHOWN_CHARACTERS, 0) : start],
                "word": text[start:end],
                "after": text[end : end + _SHOWN_CHARACTERS],
            }
        )
    return listed

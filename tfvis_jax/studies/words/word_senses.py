"""Do factors tell the senses of a word? Probes of labelled occurrences, with controls.

The paper (Yun et al., 2021) shows that one factor tells whether "left" is a verb. Two
questions are asked of each representation of a layer:

    occurrences   which class has this occurrence of the word?
    all tokens    which of all tokens of the same sentences are the word in this class?

Among occurrences alone, the best of a thousand random directions does about as well as
a factor. The second question is the harder and fairer one.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from typing import Any

import numpy as np

from tfvis_jax import probing
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import labelled_rows, representations
from tfvis_jax.runs import setup, trained_dictionary
from tfvis_jax.studies.words import word_probes, word_sets, word_splits

# Occurrences that are listed where probe and label differ.
_SHOWN = 20
_SHOWN_CHARACTERS = 60
# Layers that are probed at once.
_THREADS = 2


@dataclasses.dataclass(frozen=True)
class Unexplained:
    """Variance of hidden states around their mean that factors leave, as a share.

    Attributes:
      raw: Σ ‖residual‖² / Σ ‖x − mean‖². Above 1 for many a word, because the residuals
        of all its occurrences have a part in common: an offset that is no variance.
      centred: Σ ‖residual − mean residual‖² / Σ ‖x − mean‖², the share of what differs
        from one occurrence to the next.
    """

    raw: float
    centred: float


@dataclasses.dataclass(frozen=True, eq=False)
class WordStudy:
    """What was found about one word.

    Attributes:
      word: the word.
      source: where its labels come from.
      support: rows of each class.
      n_documents: documents that hold them.
      n_tokens: tokens of all sentences.
      fvu: for each layer that of the occurrences.
      fvu_of_text: the same of all tokens; empty without a positive class.
      alignment: how the occurrences align with tokens, in words.
      figures: of every probe.
      positive: the class that is looked for among all tokens, if any.
      group: words whose figures are averaged.
      activations: for each layer the codes of the best factor by class, as most folds
        chose it; empty without a positive class.
      best_layer: the layer that most folds choose for one factor among all tokens.
      splits: what fires at that layer where the best factor does not.
      gold: how often labels that were read are wrong; None if none was.
      disagreements: occurrences whose label the probe of all hidden dimensions doubts
        most, to check the labels.
    """

    word: str
    source: str
    support: dict[str, int]
    n_documents: int
    n_tokens: int
    fvu: dict[int, Unexplained]
    fvu_of_text: dict[int, Unexplained]
    alignment: str
    figures: word_probes.Figures
    positive: str | None
    group: str
    activations: dict[int, dict[str, list[float]]]
    best_layer: int | None
    splits: dict[str, Any] | None
    gold: dict[str, Any] | None
    disagreements: list[dict[str, Any]]


def study_word(
    opened: setup.Setup,
    trained: trained_dictionary.TrainedDictionary,
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
    trained = _of_layers(trained, config)
    labelled = word.labelled
    tokens = probing.tokenize(labelled, opened.tokenizer)
    aligned = probing.align(labelled, tokens)
    rows = aligned.first[aligned.aligned]
    if not len(rows):
        raise InputError(f"No occurrence of {word.name} aligns with tokens: {aligned}.")
    labels = labelled.labels[aligned.aligned]
    task = probing.make_task(
        labels, labelled.span_documents[aligned.aligned], seed=config.seed
    )
    progress(f"{word.name}: {len(rows):,} occurrences in {labelled.source}")
    everything = word.positive is not None
    scaled = labelled_rows.scaled_rows(
        opened, trained, labelled, tokens, None if everything else rows
    )
    tagged = None if word.tagged is None else word.tagged[aligned.aligned]
    asked = word_probes.Question(
        word.name, word_probes.OCCURRENCES, task, config, positive=word.positive
    )
    asked.add_baselines(tagged)
    everywhere = None
    if everything:
        everywhere = _AllTokens(
            word,
            config,
            rows=rows,
            is_positive=labels == word.positive,
            documents=labelled.document_of[tokens.text_of],
            tagged=tagged,
        )
    fvu = {}
    names = tuple(
        dict.fromkeys((*word_probes.ONE_FEATURE, *word_probes.APART, *probed.codes))
    )

    def study_layer(layer: int, of_layer: np.ndarray) -> None:
        found = probed.represent(of_layer, names, layer=layer)
        if everywhere is not None:
            everywhere.add(layer, of_layer, found)
            found = {name: matrix[rows] for name, matrix in found.items()}
        fvu[layer] = _unexplained(found)
        asked.probe_occurrences(layer, found)
        progress(f"{word.name}: layer {layer}")

    # NumPy and JAX compute without the interpreter's lock. Two layers of all tokens
    # would take gigabytes.
    with futures.ThreadPoolExecutor(1 if everything else _THREADS) as pool:
        list(pool.map(study_layer, trained.layers, scaled))
    best_layer, splits = None, None
    if everywhere is not None:
        # Ten thousand rows of all dimensions take long: at one layer, that of the probe
        # of the occurrences.
        layer = asked.chosen_layer(representations.HIDDEN, word_probes.ALL)
        progress(f"{word.name}: all tokens, hidden state of layer {layer}")
        everywhere.asked.probe_fully(
            layer, representations.HIDDEN, scaled[trained.layers.index(layer)]
        )
        best_layer = everywhere.asked.chosen_layer(
            representations.FACTORS, word_probes.ONE
        )
        splits = everywhere.splits(probed, best_layer, _texts(labelled, tokens))
    figures = asked.figures()
    if everywhere is not None:
        figures.extend(everywhere.asked.figures())
    return WordStudy(
        word=word.name,
        source=labelled.source,
        support={n: int(np.sum(task.y == i)) for i, n in enumerate(task.classes)},
        n_documents=len(np.unique(task.documents)),
        n_tokens=len(tokens.ids),
        fvu=fvu,
        fvu_of_text={} if everywhere is None else everywhere.fvu,
        alignment=str(aligned),
        figures=figures,
        positive=word.positive,
        group=word.group,
        activations={} if everywhere is None else everywhere.activations,
        best_layer=best_layer,
        splits=splits,
        gold=word.gold,
        disagreements=_disagreements(
            labelled.select(aligned.aligned),
            task,
            asked.predictions[representations.HIDDEN, word_probes.ALL],
        ),
    )


class _AllTokens:
    """Which of all tokens are the word in its class? Asked layer by layer."""

    def __init__(
        self,
        word: word_sets.Word,
        config: word_probes.StudyConfig,
        *,
        rows: np.ndarray,
        is_positive: np.ndarray,
        documents: np.ndarray,
        tagged: np.ndarray | None,
    ) -> None:
        self.rows, self.is_positive = rows, is_positive
        self.others = np.setdiff1d(np.arange(len(documents)), rows)
        self.positive = f"{word.name} as {word.positive}"
        self._class = word.positive or ""
        labels = np.full(len(documents), "other token", f"<U{len(self.positive) + 11}")
        labels[rows[is_positive]] = self.positive
        task = probing.make_task(labels, documents, seed=config.seed)
        self.asked = word_probes.Question(
            word.name, word_probes.ALL_TOKENS, task, config, positive=self.positive
        )
        if tagged is not None:
            # It knows the word, and finds the verbs.
            found = np.full(len(documents), "other token", labels.dtype)
            found[rows[tagged == word.positive]] = self.positive
            self.asked.add_tagger(found)
        self.activations: dict[int, dict[str, list[float]]] = {}
        self.fvu: dict[int, Unexplained] = {}
        # Of the occurrences, and of the other tokens' codes.
        self._kept: dict[int, tuple[np.ndarray, Any, Any]] = {}

    def add(self, layer: int, scaled: np.ndarray, found: Mapping[str, Any]) -> None:
        apart = (representations.RECONSTRUCTION, representations.RESIDUAL)
        self.fvu[layer] = _unexplained(found)
        self.asked.probe_all_tokens(
            layer, {name: rows for name, rows in found.items() if name not in apart}
        )
        best = self.asked.best_feature(representations.FACTORS, layer)
        every = found[representations.FACTORS]
        codes = every[:, [best]].toarray()[:, 0]
        self.activations[layer] = {
            self._class: codes[self.rows[self.is_positive]].tolist(),
            "other occurrences": codes[self.rows[~self.is_positive]].tolist(),
            "other tokens where it fires": codes[self.others][
                codes[self.others] > 0
            ].tolist(),
        }
        self._kept[layer] = scaled[self.rows], every[self.rows], every[self.others]

    def splits(
        self, probed: representations.Probed, layer: int, texts: Sequence[str]
    ) -> dict[str, Any]:
        x, codes, others = self._kept[layer]
        best = self.asked.best_feature(representations.FACTORS, layer)
        chosen = self.asked.of_layer(representations.FACTORS, word_probes.ONE, layer)
        thresholds = [
            each["threshold"] for each in chosen.chosen if each["feature"] == best
        ]
        return {
            "layer": layer,
            **word_splits.describe(
                x,
                codes,
                probed.factors,
                self.is_positive,
                others,
                [texts[int(row)] for row in self.others],
                best=best,
                threshold=float(np.median(thresholds)),
            ),
        }


def _unexplained(found: Mapping[str, Any]) -> Unexplained:
    x, residual = found[representations.HIDDEN], found[representations.RESIDUAL]
    spread = np.sum((x - x.mean(axis=0)[None]) ** 2)
    centred = residual - residual.mean(axis=0)[None]
    return Unexplained(
        raw=float(np.sum(residual**2) / spread),
        centred=float(np.sum(centred**2) / spread),
    )


def _texts(labelled: probing.LabelledText, tokens: probing.Tokens) -> list[str]:
    """Returns every token as it is written, its case folded."""
    return [
        labelled.texts[text][start:end].casefold()
        for text, start, end in zip(
            tokens.text_of.tolist(),
            tokens.starts.tolist(),
            tokens.ends.tolist(),
            strict=True,
        )
    ]


def _of_layers(
    trained: trained_dictionary.TrainedDictionary, config: word_probes.StudyConfig
) -> trained_dictionary.TrainedDictionary:
    unknown = [n for n in config.layers or () if n not in trained.layers]
    if unknown or config.layers == ():
        raise InputError(f"Expected layers of {trained.layers}, got {config.layers}.")
    return trained.of_layers(config.layers)


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

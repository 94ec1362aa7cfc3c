"""One question to the representations of a layer, and the figures that answer it."""

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfvis_jax import probing
from tfvis_jax.evaluation import representations
from tfvis_jax.probing import cross_validation, probes

# Where each fold chooses its layer by its training rows.
CHOSEN = "chosen"
TAGGER, MAJORITY = "tagger", "majority"
ONE, ALL = "one", "all"
OCCURRENCES, ALL_TOKENS = "occurrences", "all tokens"
ONE_FEATURE = (
    representations.FACTORS,
    representations.PROJECTIONS,
    representations.RANDOM,
    representations.SAMPLES,
    representations.HIDDEN,
)
APART = (
    representations.FACTORS,
    representations.HIDDEN,
    representations.RECONSTRUCTION,
    representations.RESIDUAL,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """How words are probed.

    Attributes:
      layers: layers of the run; None for all.
      ks: numbers of features of sparse probes.
      n_resamples: resamples of the intervals.
      seed: of folds and resamples.
    """

    layers: tuple[int, ...] | None = None
    ks: tuple[int, ...] = probes.KS
    n_resamples: int = 1000
    seed: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Figure:
    """Scores of one probe on one representation.

    Attributes:
      word: the word.
      question: "occurrences" or "all tokens".
      representation: a name of `representations`, or "tagger" or "majority".
      features: number of features: "one" with a threshold, 1, 2, 5, 16, or "all".
      layer: number of the layer, "chosen" by training rows, or None without one.
      accuracy: of occurrences; None for all tokens, of which nearly all are negatives.
      average_precision: of the class that is looked for, in the ranking of all tokens;
        None for occurrences.
      of_class: figures of each class; of occurrences with the chosen layer alone.
      chosen: what each fold has selected.
    """

    word: str
    question: str
    representation: str
    features: int | str
    layer: int | str | None
    accuracy: probing.Estimate | None
    average_precision: probing.Estimate | None
    of_class: dict[str, probing.ClassScores]
    chosen: tuple[dict[str, Any], ...]


class Figures(list[Figure]):
    """All figures of a study."""

    def find(self, **wanted: Any) -> Figure | None:
        """Returns the first figure with these attributes; None if there is none."""
        for figure in self:
            if all(getattr(figure, name) == value for name, value in wanted.items()):
                return figure
        return None


def names(probed: representations.Probed, *, apart: bool = True) -> tuple[str, ...]:
    """Returns the representations that are probed.

    Args:
      probed: decides whether a sparse autoencoder is among them.
      apart: If True, add reconstruction and residual.
    """
    wanted = (*ONE_FEATURE, *(APART if apart else ()), *probed.codes)
    return tuple(dict.fromkeys(wanted))


class Question:
    """One question, its predictions so far, and what becomes of them."""

    def __init__(
        self,
        word: str,
        question: str,
        task: probing.Task,
        config: StudyConfig,
        *,
        positive: str | None = None,
    ) -> None:
        self.word, self.question, self.task, self.config = word, question, task, config
        self.positive = positive
        # Layers are added by several threads.
        self._lock = threading.Lock()
        # By (representation, features); then by layer.
        self._found: dict[
            tuple[str, int | str], dict[int | None, probing.Predictions]
        ] = {}

    @property
    def predictions(self) -> Mapping[tuple[str, int | str], probing.Predictions]:
        """Predictions with the layer chosen by training rows."""
        return {
            key: cross_validation.choose(
                {layer: found[layer] for layer in _in_order(found)}, self.task
            )
            for key, found in self._found.items()
            if None not in found
        }

    def add_baselines(self, tagged: np.ndarray | None) -> None:
        x = np.zeros((len(self.task.y), 1), np.float32)
        self._add(MAJORITY, ALL, None, self._validated(x, probing.Majority()))
        if tagged is not None:
            self.add_tagger(tagged)

    def add_tagger(self, tagged: np.ndarray) -> None:
        self._add(TAGGER, ALL, None, probing.from_labels(tagged, self.task))

    def probe_occurrences(self, layer: int, found: Mapping[str, Any]) -> None:
        for name, x in found.items():
            if name in APART or name == representations.SAE:
                self._add(name, ALL, layer, self._validated(x, probing.FullProbe()))
            if name in (representations.RECONSTRUCTION, representations.RESIDUAL):
                continue
            paths = probing.cross_validate_path(x, self.task, ks=self.config.ks)
            for k, predictions in paths.items():
                self._add(name, k, layer, predictions)
            if self.positive is not None and len(self.task.classes) == 2:
                best = probing.SingleFeature(self.task.index(self.positive), "f1")
                self._add(name, ONE, layer, self._validated(x, best))

    def probe_all_tokens(self, layer: int, found: Mapping[str, Any]) -> None:
        for name, x in found.items():
            best = probing.SingleFeature(self.task.index(self.positive or ""))
            self._add(name, ONE, layer, self._validated(x, best))

    def probe_fully(self, layer: int, name: str, x: Any) -> None:
        """Probes all features of one representation."""
        self._add(name, ALL, layer, self._validated(x, probing.FullProbe()))

    def chosen_layer(self, name: str, features: int | str) -> int:
        """Returns the layer that the training rows of most folds choose."""
        predictions = cross_validation.choose(self._found[name, features], self.task)
        layers = [chosen["of"] for chosen in predictions.chosen]
        return max(set(layers), key=lambda layer: (layers.count(layer), -layer))

    def of_layer(
        self, name: str, features: int | str, layer: int | None
    ) -> probing.Predictions:
        """Returns the predictions of one layer."""
        return self._found[name, features][layer]

    def best_feature(self, name: str, layer: int) -> int:
        """Returns the feature that the training rows of most folds choose."""
        found = [each["feature"] for each in self._found[name, ONE][layer].chosen]
        return max(set(found), key=lambda feature: (found.count(feature), -feature))

    def figures(self) -> Figures:
        """Scores all predictions, and those with the layer chosen by training rows."""
        figures = Figures()
        for (name, features), by_layer in self._found.items():
            candidates: dict[Any, probing.Predictions] = {
                layer: by_layer[layer] for layer in _in_order(by_layer)
            }
            if None not in by_layer:
                candidates[CHOSEN] = cross_validation.choose(candidates, self.task)
            for layer, predictions in candidates.items():
                figures.append(self._figure(name, features, layer, predictions))
        return figures

    def _figure(
        self,
        name: str,
        features: int | str,
        layer: int | str | None,
        predictions: probing.Predictions,
    ) -> Figure:
        settings = {"n_resamples": self.config.n_resamples, "seed": self.config.seed}
        accuracy, average_precision, of_class = None, None, {}
        if self.question == ALL_TOKENS:
            average_precision = probing.average_precision(
                predictions, self.task, self.positive or "", **settings
            )
        elif layer in (CHOSEN, None) and self.positive is not None:
            scores = probing.score(predictions, self.task, **settings)
            accuracy, of_class = scores.accuracy, scores.of_class
        else:
            accuracy = probing.accuracy(predictions, self.task, **settings)
        return Figure(
            word=self.word,
            question=self.question,
            representation=name,
            features=features,
            layer=layer,
            accuracy=accuracy,
            average_precision=average_precision,
            of_class=of_class,
            chosen=predictions.chosen,
        )

    def _validated(self, x: Any, probe: cross_validation.Probe) -> probing.Predictions:
        return probing.cross_validate(x, self.task, probe)

    def _add(
        self,
        name: str,
        features: int | str,
        layer: int | None,
        predictions: probing.Predictions,
    ) -> None:
        with self._lock:
            self._found.setdefault((name, features), {})[layer] = predictions


def _in_order(by_layer: Mapping[Any, Any]) -> list[Any]:
    """Returns the layers in order, whatever the order in which they were done."""
    return sorted(by_layer, key=lambda layer: -1 if layer is None else layer)

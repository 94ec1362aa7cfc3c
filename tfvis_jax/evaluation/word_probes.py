"""One question to the representations of a layer, and the figures that answer it."""

import dataclasses
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
      scores: with intervals.
      chosen: what each fold has selected.
    """

    word: str
    question: str
    representation: str
    features: int | str
    layer: int | str | None
    scores: probing.Scores
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
        self, word: str, question: str, task: probing.Task, config: StudyConfig
    ) -> None:
        self.word, self.question, self.task, self.config = word, question, task, config
        # By (representation, features); then by layer.
        self._found: dict[
            tuple[str, int | str], dict[int | str | None, probing.Predictions]
        ] = {}

    @property
    def predictions(self) -> Mapping[tuple[str, int | str], probing.Predictions]:
        """Predictions with the layer chosen by training rows."""
        return {
            key: cross_validation.choose(found, self.task)
            for key, found in self._found.items()
            if None not in found
        }

    def add_baselines(self, n_rows: int, tagged: np.ndarray | None) -> None:
        x = np.zeros((n_rows, 1), np.float32)
        self._add(MAJORITY, ALL, None, self._validated(x, probing.Majority()))
        if tagged is not None:
            self._add(TAGGER, ALL, None, probing.from_labels(tagged, self.task))

    def probe_occurrences(
        self, layer: int, found: Mapping[str, Any], positive: str | None
    ) -> None:
        for name, x in found.items():
            if name in APART or name == representations.SAE:
                self._add(name, ALL, layer, self._validated(x, probing.FullProbe()))
            if name in (representations.RECONSTRUCTION, representations.RESIDUAL):
                continue
            paths = probing.cross_validate_path(x, self.task, ks=self.config.ks)
            for k, predictions in paths.items():
                self._add(name, k, layer, predictions)
            if positive is not None and len(self.task.classes) == 2:
                best = probing.SingleFeature(self.task.index(positive), "f1")
                self._add(name, ONE, layer, self._validated(x, best))

    def probe_all_tokens(
        self, layer: int, found: Mapping[str, Any], positive: str
    ) -> None:
        for name, x in found.items():
            best = probing.SingleFeature(self.task.index(positive))
            self._add(name, ONE, layer, self._validated(x, best))
            if name == representations.HIDDEN:
                self._add(name, ALL, layer, self._validated(x, probing.FullProbe()))

    def best_feature(self, name: str, layer: int) -> int:
        """Returns the feature that the first fold chose."""
        return self._found[name, ONE][layer].chosen[0]["feature"]

    def figures(self) -> Figures:
        """Scores all predictions, and those with the layer chosen by training rows."""
        figures = Figures()
        for (name, features), by_layer in self._found.items():
            candidates = dict(by_layer)
            if None not in by_layer:
                candidates[CHOSEN] = cross_validation.choose(by_layer, self.task)
            for layer, predictions in candidates.items():
                scores = probing.score(
                    predictions,
                    self.task,
                    n_resamples=self.config.n_resamples,
                    seed=self.config.seed,
                )
                figures.append(
                    Figure(
                        self.word,
                        self.question,
                        name,
                        features,
                        layer,
                        scores,
                        predictions.chosen,
                    )
                )
        return figures

    def _validated(self, x: Any, probe: cross_validation.Probe) -> probing.Predictions:
        return probing.cross_validate(x, self.task, probe)

    def _add(
        self,
        name: str,
        features: int | str,
        layer: int | None,
        predictions: probing.Predictions,
    ) -> None:
        self._found.setdefault((name, features), {})[layer] = predictions

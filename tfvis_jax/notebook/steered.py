"""A text and what steering one factor in it changed; `steering` computes it."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from tfvis_jax.models import heads
from tfvis_jax.notebook import html

_SHOWN_WORDS = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """What the language model head predicts at each token.

    Attributes:
      objective: `heads.MASKED_LM`, the word at the token; `heads.CAUSAL_LM`, the next.
      before, after: [n_tokens] the most probable word pieces with their probability.
      kl: [n_tokens] float32, nats.
      control_kl: [n_controls, n_tokens] float32, of the controls.
    """

    objective: str
    before: list[list[tuple[str, float]]]
    after: list[list[tuple[str, float]]]
    kl: np.ndarray
    control_kl: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Similarity:
    """Cosines of the text's embedding with those of sentences.

    Attributes:
      sentences: the sentences; the text itself is the first.
      before, after: [n_sentences] float32.
      control: [n_controls, n_sentences] float32, after the change of each control.
    """

    sentences: tuple[str, ...]
    before: np.ndarray
    after: np.ndarray
    control: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class SteeredText:
    """A text, and what steering one factor in it changed.

    Attributes:
      text: the text.
      tokens: [n_tokens] word pieces, without special tokens.
      factor: which factor.
      layer: at which layer.
      activation: [n_tokens] float32, α before the change.
      added: [n_tokens] float32, c; 0 where nothing was changed.
      relative_size: [n_tokens] float32, ‖h' − h‖ / ‖h‖.
      controls: [n_controls] int64, the factors that stand beside it.
      predictions: None if the model has no language model head.
      similarity: None if it has one.
    """

    text: str
    tokens: list[str]
    factor: int
    layer: int
    activation: np.ndarray
    added: np.ndarray
    relative_size: np.ndarray
    controls: np.ndarray
    predictions: Predictions | None
    similarity: Similarity | None

    def with_controls(self, controls: np.ndarray, figures: np.ndarray) -> "SteeredText":
        """Returns the same with other factors beside it.

        Args:
          controls: [n_controls] int64, the factors.
          figures: [n_controls, n_tokens] KL, or [n_controls, n_sentences] cosines.
        """
        change = functools.partial(dataclasses.replace, self, controls=controls)
        if self.predictions is not None:
            found = dataclasses.replace(self.predictions, control_kl=figures)
            return change(predictions=found)
        assert self.similarity is not None
        return change(similarity=dataclasses.replace(self.similarity, control=figures))

    def effects(self) -> tuple[float, np.ndarray]:
        """Returns how much changed in all: of the factor, and of each control.

        The KL summed over tokens, nats; without a head 1 − the cosine of the text's
        embedding with that of the text as it was.
        """
        if self.predictions is not None:
            found = self.predictions
            return float(found.kl.sum()), found.control_kl.sum(axis=1)
        assert self.similarity is not None
        return 1 - float(self.similarity.after[0]), 1 - self.similarity.control[:, 0]

    def rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Returns a table, its heads and lines: tokens, or sentences without a head."""
        if self.predictions is not None:
            return self._of_tokens(self.predictions)
        assert self.similarity is not None
        found = self.similarity
        heads_ = ("cosine with", "before", "after", "other factors")
        lines = [
            (
                text if number else "the text itself",
                f"{found.before[number]:.3f}",
                f"{found.after[number]:.3f}",
                _spread(found.control[:, number]),
            )
            for number, text in enumerate(found.sentences)
        ]
        return heads_, lines

    def _of_tokens(
        self, found: Predictions
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        predicted = "next word" if found.objective == heads.CAUSAL_LM else "word"
        heads_ = ("token", "α", "added", f"{predicted} before", "after", "KL (nats)")
        heads_ = (*heads_, "other factors")
        lines = [
            (
                token,
                f"{self.activation[place]:.3f}",
                f"{self.added[place]:+.3f}" if self.added[place] else "",
                _words(found.before[place]),
                _words(found.after[place]),
                f"{found.kl[place]:.4f}",
                _spread(found.control_kl[:, place]),
            )
            for place, token in enumerate(self.tokens)
        ]
        return heads_, lines

    def __repr__(self) -> str:
        return (
            f"SteeredText({self.text!r}, factor {self.factor} at layer {self.layer}, "
            f"{np.count_nonzero(self.added)} of {len(self.tokens)} tokens changed)"
        )

    def _repr_html_(self) -> str:
        return html.table(repr(self), *self.rows())


def _words(predicted: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{word} {share:.0%}" for word, share in predicted[:_SHOWN_WORDS])


def _spread(values: np.ndarray) -> str:
    """Returns the mean and the largest of the controls' figures."""
    if not len(values):
        return ""
    return f"mean {values.mean():.4f}, {values.min():.4f} to {values.max():.4f}"

"""What the pages of a run show, as plain values filled in by the caller; no JAX."""

import collections
import dataclasses
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfvis_jax.data import words as words_lib
from tfvis_jax.errors import InputError

LEVELS = ("low", "mid", "high", "unclear")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """One occurrence of a word on which a factor fires.

    ``before + word + after`` is a stretch of the corpus in its own spelling, spaces
    included.

    Attributes:
      before: Text before the word.
      word: The word.
      after: Text after the word.
      activation: α of the factor.
      document: Name of the document.
    """

    before: str
    word: str
    after: str
    activation: float
    document: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Label:
    """A user-supplied label of a factor; any text.

    Attributes:
      text: The label.
      remarks: Its score and source, or an empty string.
    """

    text: str
    remarks: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SiteData:
    """The data of a run that the site shows.

    Attributes:
      title: Title of the site.
      model: Name of the encoder.
      corpus: Name of the text.
      layers: The layer numbers that were encoded, ascending, such as (0, 2, 4).
      n_factors: Number of factors.
      l1_penalty: λ of the objective.
      report: Further results by name: numbers, strings, or sequences of one number
        per layer. ``fvu`` (held-out fraction of variance unexplained), ``l0`` (mean
        number of active factors per token) and ``tokens`` (number of tokens) are shown
        in the heading.
      importance: [n_layers, n_factors] mean of the top activations.
      density: [n_layers, n_factors] fraction of tokens on which the factor fires.
      max_activation: [n_layers, n_factors] largest activation; 0 where it never fires.
      levels: [n_factors] of ``LEVELS``.
      level_reasons: [n_factors] a sentence or two on why the factor has its level.
      featured: Suggested factors, in order.
      labels: User-supplied labels by factor.
      contexts: Returns the contexts of a factor, one list per layer; called once per
        factor, in ascending order.
      sentences: Recorded sentences, each the list of its records, from ``sentences``.

    Raises:
      InputError: The fields do not fit together.
    """

    title: str
    model: str
    corpus: str
    layers: Sequence[int]
    n_factors: int
    l1_penalty: float
    report: Mapping[str, float | str | Sequence[float]]
    importance: np.ndarray
    density: np.ndarray
    max_activation: np.ndarray
    levels: Sequence[str]
    level_reasons: Sequence[str]
    featured: Sequence[int]
    contexts: Callable[[int], list[list[Context]]]
    labels: Mapping[int, Label] = dataclasses.field(default_factory=dict)
    sentences: Sequence[list[dict[str, Any]]] = ()

    def __post_init__(self) -> None:
        shape = (len(self.layers), self.n_factors)
        if 0 in shape:
            raise InputError(
                f"Expected at least one layer and one factor, got {shape}."
            )
        if list(self.layers) != sorted(set(self.layers)):
            raise InputError(f"Expected `layers` to ascend, got {tuple(self.layers)}.")
        for name in ("importance", "density", "max_activation"):
            got = np.shape(getattr(self, name))
            if got != shape:
                raise InputError(
                    f"Expected `{name}` of shape [n_layers, n_factors] = {shape}, "
                    f"got {got}."
                )
        for name in ("levels", "level_reasons"):
            got = len(getattr(self, name))
            if got != self.n_factors:
                raise InputError(
                    f"Expected `{name}` to have one entry for each of the "
                    f"{self.n_factors} factors, got {got}."
                )
        if unknown := sorted(set(self.levels) - set(LEVELS)):
            raise InputError(f"Expected `levels` from {LEVELS}, got {unknown}.")
        if outside := [f for f in self.featured if not 0 <= f < self.n_factors]:
            raise InputError(
                f"Expected `featured` in 0 … {self.n_factors - 1}, got {outside}."
            )
        if outside := sorted(set(self.labels) - set(range(self.n_factors))):
            raise InputError(
                f"Expected `labels` of factors in 0 … {self.n_factors - 1}, "
                f"got {outside}."
            )
        for name, entry in self.report.items():
            _check_report_entry(name, entry, n_layers=len(self.layers))


def top_words(contexts: Sequence[Context], *, limit: int) -> list[tuple[str, int]]:
    """Returns the marked words of the contexts with counts, most frequent first.

    An occurrence listed for several layers counts once. Spellings that differ only in
    case, composition or unseen characters count together, under the most frequent.
    """
    occurrences = {(c.document, c.before, c.word, c.after) for c in contexts}
    spellings = collections.defaultdict(collections.Counter)
    for _, _, word, _ in occurrences:
        word = " ".join(word.split())
        if word:
            spellings[words_lib.fold(word)][word] += 1
    ranked = sorted(spellings.items(), key=lambda kv: (-kv[1].total(), kv[0]))
    return [
        (min(counts, key=lambda word: (-counts[word], word)), counts.total())
        for _, counts in ranked[:limit]
    ]


def _check_report_entry(
    name: str, entry: float | str | Sequence[float], *, n_layers: int
) -> None:
    if isinstance(entry, str | int | float | numbers.Real):
        return
    if np.ndim(entry) == 1 and len(entry) == n_layers:
        return
    raise InputError(
        f"Expected `report[{name!r}]` to be a number, a string or one number for each "
        f"of the {n_layers} layers, got {entry!r}."
    )

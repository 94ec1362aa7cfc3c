"""What the pages of a run show, as plain values; the caller fills it, JAX-free."""

import collections
import dataclasses
import numbers
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfvis_jax import errors

LEVELS = ("low", "mid", "high", "unclear")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """One occurrence of a word on which a factor fires.

    ``before + word + after`` is a stretch of the corpus in its own spelling, spaces
    included.
    """

    before: str
    word: str
    after: str
    activation: float
    document: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Label:
    """What somebody calls a factor; any text.

    Attributes:
      text: the name.
      remarks: a score, a source, or nothing.
    """

    text: str
    remarks: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SiteData:
    """A run, ready to be shown.

    Attributes:
      title: Heading of the site.
      model: Name of the encoder.
      corpus: Name of the text.
      layers: The layer numbers that were encoded, ascending, such as (0, 2, 4).
      n_factors: Number of factors.
      l1_penalty: λ of the objective.
      report: Further results by name: numbers, strings, or sequences with one number
        per layer. ``fvu`` (held-out fraction of variance unexplained), ``l0`` (mean
        number of factors per token) and ``tokens`` (their count) go into the heading.
      importance: [n_layers, n_factors] mean of the top activations.
      density: [n_layers, n_factors] fraction of tokens on which the factor fires.
      max_activation: [n_layers, n_factors] largest activation; 0 where it never fires.
      levels: [n_factors] of ``LEVELS``.
      level_reasons: [n_factors] one sentence each, why the factor has its level.
      featured: Factors to begin with.
      labels: What somebody calls factors, by number.
      contexts: Returns for a factor its contexts, one list per layer; called once per
        factor, in ascending order.
    """

    title: str
    model: str
    corpus: str
    layers: Sequence[int]
    n_factors: int
    l1_penalty: float
    report: dict[str, float | str | Sequence[float]]
    importance: np.ndarray
    density: np.ndarray
    max_activation: np.ndarray
    levels: Sequence[str]
    level_reasons: Sequence[str]
    featured: Sequence[int]
    contexts: Callable[[int], list[list[Context]]]
    labels: Mapping[int, Label] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        shape = (len(self.layers), self.n_factors)
        if 0 in shape:
            raise errors.InputError(f"a site needs layers and factors, got {shape}.")
        if list(self.layers) != sorted(set(self.layers)):
            raise errors.InputError(f"`layers` must ascend, got {tuple(self.layers)}.")
        for name in ("importance", "density", "max_activation"):
            got = np.shape(getattr(self, name))
            if got != shape:
                raise errors.InputError(
                    f"`{name}` must have shape [n_layers, n_factors] = {shape}, "
                    f"got {got}."
                )
        for name in ("levels", "level_reasons"):
            got = len(getattr(self, name))
            if got != self.n_factors:
                raise errors.InputError(
                    f"`{name}` must have one entry for each of the {self.n_factors} "
                    f"factors, got {got}."
                )
        if unknown := sorted(set(self.levels) - set(LEVELS)):
            raise errors.InputError(f"`levels` must be of {LEVELS}, got {unknown}.")
        if outside := [f for f in self.featured if not 0 <= f < self.n_factors]:
            raise errors.InputError(
                f"`featured` must lie in 0 … {self.n_factors - 1}, got {outside}."
            )
        if outside := sorted(set(self.labels) - set(range(self.n_factors))):
            raise errors.InputError(
                f"`labels` must be of factors in 0 … {self.n_factors - 1}, got "
                f"{outside}."
            )
        for name, entry in self.report.items():
            _check_report_entry(name, entry, n_layers=len(self.layers))


def top_words(contexts: Sequence[Context], *, limit: int) -> list[tuple[str, int]]:
    """Returns the words that the contexts mark, most frequent first, with counts.

    An occurrence that is listed for several layers counts once. Spellings that differ
    in case alone count together, under the most frequent of them.
    """
    occurrences = {(c.document, c.before, c.word, c.after) for c in contexts}
    spellings = collections.defaultdict(collections.Counter)
    for _, _, word, _ in occurrences:
        word = " ".join(word.split())
        if word:
            spellings[word.casefold()][word] += 1
    ranked = sorted(spellings.items(), key=lambda kv: (-kv[1].total(), kv[0]))
    return [
        (min(counts, key=lambda word: (-counts[word], word)), counts.total())
        for _, counts in ranked[:limit]
    ]


def _check_report_entry(name: str, entry: object, *, n_layers: int) -> None:
    if isinstance(entry, str | numbers.Real):
        return
    if np.ndim(entry) == 1 and len(entry) == n_layers:
        return
    raise errors.InputError(
        f"`report[{name!r}]` must be a number, a string or one number for each of the "
        f"{n_layers} layers, got {entry!r}."
    )

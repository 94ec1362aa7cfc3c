"""What the pages of a run show, as plain values filled in by the caller; no JAX."""

import collections
import dataclasses
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np

from tfvis_jax.data import words as words_lib
from tfvis_jax.errors import InputError
from tfvis_jax.runs import human_notes
from tfvis_jax.runs import ratings as ratings_lib
from tfvis_jax.viewer import beside as beside_lib
from tfvis_jax.viewer import run_record

LEVELS = ("low", "mid", "high", "topic", "unreadable", "unclear")


# A page has hundreds of thousands: a frozen dataclass would take most of their time.
class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence of a word on which a factor fires.

    ``before + word + after`` is a stretch of the corpus in its own spelling, spaces
    included.

    Attributes:
      before: Text before the word.
      word: The word.
      after: Text after the word.
      activation: α of the factor.
      document: Name of the document.
      window: Number of the whole passage for `SiteData.window_text`, if there is one.
      start: Offset of the word in that text, in characters.
      others: α of other words of the passage on which the factor fires, as (offset from
        the start of the word, length, α), in characters.
      copies: Number of near-duplicates that were left out in its favour.
    """

    before: str
    word: str
    after: str
    activation: float
    document: str
    window: int | None = None
    start: int = 0
    others: Sequence[tuple[int, int, float]] = ()
    copies: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Firings:
    """All tokens that fire a factor at a layer, not the strongest alone.

    Attributes:
      upper: Contexts with α between the 90th and the 99th percentile.
      middle: Contexts with α between the 50th and the 90th percentile.
      random: A random sample of contexts.
      histogram: [n_bins] number of tokens with α between `SiteData.histogram_edges`.
      quantiles: The 50th, 90th and 99th percentile of α; None where it never fires.
      documents: Number of documents that the ``strongest`` tokens come from.
      strongest: Number of these tokens.
      words: Number of tokens and sum of α by folded word, both possibly estimated.
      total: The sums over all words; those of ``words`` if None.
    """

    upper: Sequence[Context] = ()
    middle: Sequence[Context] = ()
    random: Sequence[Context] = ()
    histogram: Sequence[int] = ()
    quantiles: Sequence[float | None] = (None, None, None)
    documents: int = 0
    strongest: int = 0
    words: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    total: tuple[float, float] | None = None

    def explained(self, listed: Sequence[str]) -> tuple[float, float] | None:
        """Returns the share of tokens and of α on the listed words, None if unknown."""
        totals = self.total or _added(self.words.values())
        if not all(total > 0 for total in totals):
            return None
        folded = dict.fromkeys(words_lib.fold(word) for word in listed)
        found = (self.words.get(word) for word in folded)
        count, mass = _added(pair for pair in found if pair is not None)
        return count / totals[0], mass / totals[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Label:
    """A user-supplied label of a factor; any text.

    Attributes:
      text: The label.
      remarks: Its score and source, or an empty string.
      source: Who made it, or an empty string.
    """

    text: str
    remarks: str = ""
    source: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelScores:
    """How well a label, or the words of a factor without one, say when it fires.

    Attributes:
      judge: What answered: "words", or the name of a language model; any text.
      shares: By the name of the score: the share of right answers, its 95 % interval,
        and chance.
    """

    judge: str
    shares: Mapping[str, tuple[float, float, float, float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchTerms:
    """What a search finds a factor by, apart from its number and its label.

    Attributes:
      words: Words with weights, largest weight first: how strongly and how exclusively
        each fires the factor. They rank the results.
      phrases: Phrases of its contexts with weights in 0 … 1.
    """

    words: Sequence[tuple[str, float]] = ()
    phrases: Sequence[tuple[str, float]] = ()


# Factors or vocabulary entries with a number each.
Scored = Sequence[tuple[int, float]]
Entries = Sequence[tuple[str, float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relatives:
    """What is related to a factor.

    Attributes:
      nearest: Factors of largest cosine similarity, with it.
      together: For each layer, the factors that fire on the same tokens, with the
        Jaccard index; empty if pairs were not counted.
      raises, lowers: Entries of the vocabulary whose logit its typical part of a hidden
        state changes most, with the change; empty if the model has no masked-LM head.
    """

    nearest: Scored = ()
    together: Sequence[Scored] = ()
    raises: Entries = ()
    lowers: Entries = ()


class WordFirings(NamedTuple):
    """The words that fire a factor at a layer.

    Attributes:
      word: [k] their numbers in `CorpusWords`.
      firings: [k] number of firing tokens of each, possibly estimated.
      mass: [k] sum of α over them.
      own: [k] share of this in the sum over all tokens that fire the factor.
      window, position: [k] the strongest token of each.
      alpha: [k] α of that token.
    """

    word: np.ndarray
    firings: np.ndarray
    mass: np.ndarray
    own: np.ndarray
    window: np.ndarray
    position: np.ndarray
    alpha: np.ndarray


class CorpusWords(Protocol):
    """The words of the corpus, numbered from 0."""

    @property
    def folded(self) -> Sequence[str]:
        """The words without regard to case (`words.fold`), by number."""
        ...

    def spelling(self, number: int) -> str:
        """Returns the most frequent spelling of a word."""
        ...

    def occurrences(self, numbers: np.ndarray) -> np.ndarray:
        """Returns how often words occur in the corpus, [k], possibly estimated."""
        ...

    def context(self, window: int, position: int) -> Context:
        """Returns a token's word in its context."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """A share that is known of every factor.

    Attributes:
      name: names it in an address.
      label: what it is a share of, in a few words.
      values: [n_factors] in 0 … 1; NaN where it is not known.
    """

    name: str
    label: str
    values: Sequence[float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LevelEvidence:
    """What the levels of a run follow from.

    Attributes:
      measures: what is known of every factor, the two most telling first.
      probabilities: [n_factors] of each level; None where too little is known.
      least: probability below which a level is unclear.
    """

    measures: Sequence[Measure]
    probabilities: Sequence[Mapping[str, float] | None]
    least: float


def no_terms(factor: int) -> SearchTerms:
    """Returns no terms: a factor is then found by the words of its contexts."""
    del factor
    return SearchTerms()


def no_firings(factor: int) -> list[Firings]:
    """Returns nothing: the page then has the strongest contexts alone."""
    del factor
    return []


def no_relatives(factor: int) -> Relatives:
    """Returns nothing: the page then has no related factors."""
    del factor
    return Relatives()


def no_word_firings(factor: int) -> list[WordFirings]:
    """Returns nothing: words then have no pages."""
    del factor
    return []


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SiteData:
    """The data of a run that the site shows.

    Attributes:
      title: Title of the site.
      model: Name of the encoder.
      corpus: Name of the text.
      layers: The layer numbers that were encoded, ascending, such as (0, 2, 4).
      n_factors: Number of factors.
      l1_penalty: λ of the objective; None where an imported encoder finds the codes.
      report: Further results by name: numbers, strings, or sequences of one number
        per layer. ``fvu`` (held-out fraction of variance unexplained), ``l0`` (mean
        number of active factors per token) and ``tokens`` (number of tokens) are shown
        in the heading.
      importance: [n_layers, n_factors] mean of the top activations.
      density: [n_layers, n_factors] fraction of tokens on which the factor fires.
      max_activation: [n_layers, n_factors] largest activation; 0 where it never fires.
      levels: [n_factors] names, of ``LEVELS`` or others.
      level_reasons: [n_factors] a sentence or two on why the factor has its level.
      featured: Suggested factors, in order.
      labels: User-supplied labels by factor.
      label_scores: Scores of these labels, or of the words of a factor without one.
      contexts: Returns the contexts of a factor, one list per layer; called for each
        factor in ascending order, and before for a few, to estimate the size.
      sentences: Recorded sentences, each the list of its records, from ``sentences``.
      terms: Returns what a search finds a factor by; called like ``contexts``.
      firings: Returns the firings of a factor, one entry per layer, or nothing; called
        like ``contexts``.
      histogram_edges: [n_bins + 1] edges of the histograms of the firings.
      window_text: Returns the whole passage of a number that contexts name.
      level_scores: [n_factors] probability of each level, 0 where unclear, and NaN
        where the level is a guess, without measured context; empty if all are guesses.
      corpus_words: The words that have pages of their own; None if there are none.
      word_firings: Returns the words that fire a factor, one entry per layer; called
        like ``contexts``, before ``corpus_words`` is read.
      words: Returns the words of a factor with their numbers of documents, one list per
        layer, most telling first; called like ``contexts``. If None, they are those of
        its contexts.
      relatives: Returns what is related to a factor; called like ``contexts``.
      notes: What people say of factors.
      ratings: What people say of contexts.
      level_evidence: What the levels follow from; None if that is not known.
      made_from: Files of the run that may change once the page is made, with a hash.
      dictionary_hash: Names the dictionary, so that a file of ratings finds its run.
      run: What the run was made from, and its training.
      beside: A second run to compare with.

    Raises:
      InputError: The fields do not fit together.
    """

    title: str
    model: str
    corpus: str
    layers: Sequence[int]
    n_factors: int
    l1_penalty: float | None
    report: Mapping[str, float | str | Sequence[float]]
    importance: np.ndarray
    density: np.ndarray
    max_activation: np.ndarray
    levels: Sequence[str]
    level_reasons: Sequence[str]
    featured: Sequence[int]
    contexts: Callable[[int], list[list[Context]]]
    labels: Mapping[int, Label] = dataclasses.field(default_factory=dict)
    label_scores: Mapping[int, LabelScores] = dataclasses.field(default_factory=dict)
    sentences: Sequence[list[dict[str, Any]]] = ()
    terms: Callable[[int], SearchTerms] = no_terms
    firings: Callable[[int], list[Firings]] = no_firings
    histogram_edges: Sequence[float] = ()
    window_text: Callable[[int], str] = str
    level_scores: Sequence[float] = ()
    words: Callable[[int], list[list[tuple[str, int]]]] | None = None
    relatives: Callable[[int], Relatives] = no_relatives
    notes: Mapping[int, human_notes.Note] = dataclasses.field(default_factory=dict)
    ratings: Sequence[ratings_lib.Rating] = ()
    level_evidence: LevelEvidence | None = None
    made_from: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dictionary_hash: str = ""
    corpus_words: CorpusWords | None = None
    word_firings: Callable[[int], list[WordFirings]] = no_word_firings
    run: run_record.RunRecord | None = None
    beside: beside_lib.Beside | None = None

    @property
    def level_names(self) -> tuple[str, ...]:
        """The names of levels: `LEVELS`, and others that factors have."""
        return *LEVELS, *sorted(set(self.levels) - set(LEVELS))

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
        if self.level_scores and len(self.level_scores) != self.n_factors:
            raise InputError(
                f"Expected `level_scores` to have one entry for each of the "
                f"{self.n_factors} factors or none, got {len(self.level_scores)}."
            )
        if self.level_evidence is not None:
            _check_evidence(self.level_evidence, n_factors=self.n_factors)
        if not all(self.levels):
            raise InputError("Expected `levels` with a name each, got an empty one.")
        if outside := [f for f in self.featured if not 0 <= f < self.n_factors]:
            raise InputError(
                f"Expected `featured` in 0 … {self.n_factors - 1}, got {outside}."
            )
        if outside := sorted(set(self.labels) - set(range(self.n_factors))):
            raise InputError(
                f"Expected `labels` of factors in 0 … {self.n_factors - 1}, "
                f"got {outside}."
            )
        if self.beside is not None and len(self.beside.nearest) != self.n_factors:
            raise InputError(
                f"Expected `beside` to compare each of the {self.n_factors} factors, "
                f"got {len(self.beside.nearest)}."
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


def _added(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Returns the sum of the first and of the second numbers of pairs, in order."""
    first = second = 0.0
    for a, b in pairs:
        first, second = first + float(a), second + float(b)
    return first, second


def _check_evidence(evidence: LevelEvidence, *, n_factors: int) -> None:
    columns = {measure.name: measure.values for measure in evidence.measures}
    for name, column in (columns | {"probabilities": evidence.probabilities}).items():
        if len(column) != n_factors:
            raise InputError(
                f"Expected `level_evidence` to have one entry of {name} for each of "
                f"the {n_factors} factors, got {len(column)}."
            )
    if len(columns) < 2:
        raise InputError(
            f"Expected `level_evidence` with two measures or more, got {len(columns)}."
        )


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

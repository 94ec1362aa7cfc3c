"""Labels of factors, made from rules on text, for levels to be compared with.

A factor gets the class of the simplest concept that explains its strongest tokens: a
word form, else a template, else a property of the document. No hidden state, layer or
curve is looked at.

A concept beyond word forms explains them when it holds most of them, and more than
their word forms let one expect: with p the share of the strongest tokens that the
concept holds, and e the mean share of *other* tokens of the same forms that it holds,

    p ≥ MIN_PRECISION,  e ≤ MAX_EXPECTED  and  (p − e) / (1 − e) ≥ MIN_GAIN.

So a factor of the word "thou" is not taken for one of novels.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

# Strongest tokens that are looked at. Of a rarer word, as many as it has.
NUM_STRONGEST = 50
MIN_WORD_COUNT = 10
# Of all tokens of a word, those among the stored ones. A word of which few tokens fire
# a factor, or too frequent a word to tell, does not explain it: what does may be round
# the word.
MIN_RECALL = 0.5
# The same for all classes.
MIN_PRECISION = 0.6
MIN_GAIN = 0.4
# Where e is larger the words nearly say it by themselves.
MAX_EXPECTED = 0.5
# As few forms as this, if they make up MIN_PRECISION of the strongest tokens, are words
# and a context at once: such a factor gets no label.
FEW_FORMS = 2
# Of the strongest tokens, those whose form stands elsewhere too.
MIN_TOLD = 0.5
# A template seen in fewer documents may be theirs.
MIN_DOCUMENTS = 5


@dataclasses.dataclass(frozen=True)
class ConceptLabel:
    """What explains a factor.

    Attributes:
      level: "low", "mid" or "high".
      concept: number of the concept, or of the token id in class "low".
      precision: share of the strongest tokens that it holds.
    """

    level: str
    concept: int
    precision: float


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """The tokens of a corpus and which concepts hold them.

    Attributes:
      form: [n_tokens] int, number of each token's word family.
      document: [n_tokens] int.
      levels: [n_concepts] "mid" or "high".
      holds: [n_concepts, n_tokens] bool.
      count: [n_forms], tokens of each form.
      held: [n_concepts, n_forms], tokens of each form that a concept holds.
    """

    form: np.ndarray
    document: np.ndarray
    levels: Sequence[str]
    holds: np.ndarray
    count: np.ndarray = dataclasses.field(init=False)
    held: np.ndarray = dataclasses.field(init=False)

    def __post_init__(self):
        n_forms = int(self.form.max()) + 1
        count = np.bincount(self.form, minlength=n_forms)
        object.__setattr__(self, "count", count)
        held = [np.bincount(self.form[h], minlength=n_forms) for h in self.holds]
        held = np.array(held, np.int64).reshape(len(self.holds), n_forms)
        object.__setattr__(self, "held", held)


def label(corpus: Corpus, strongest: np.ndarray) -> ConceptLabel | None:
    """Returns what explains a factor, None where nothing does.

    Args:
      corpus: the text.
      strongest: [n] numbers of the tokens that fire it most, the strongest first, as
        many as are stored.
    """
    return _word(corpus, strongest) or _concept(corpus, strongest[:NUM_STRONGEST])


def _word(corpus: Corpus, strongest: np.ndarray) -> ConceptLabel | None:
    top = corpus.form[strongest[:NUM_STRONGEST]]
    best = None
    for form in np.unique(top):
        n = min(NUM_STRONGEST, int(corpus.count[form]))
        if n < MIN_WORD_COUNT or len(top) < n:
            continue
        precision = float(np.mean(top[:n] == form))
        listed = np.count_nonzero(corpus.form[strongest] == form)
        if (
            precision >= MIN_PRECISION
            and listed >= MIN_RECALL * corpus.count[form]
            and (not best or precision > best.precision)
        ):
            best = ConceptLabel("low", int(form), precision)
    return best


def _concept(corpus: Corpus, strongest: np.ndarray) -> ConceptLabel | None:
    if len(strongest) < NUM_STRONGEST:
        return None
    forms = corpus.form[strongest]
    if _share_of_largest(forms) >= MIN_PRECISION:
        return None
    # A form that stands nowhere else cannot tell its context from itself.
    told = corpus.count[forms] > 1
    if np.mean(told) < MIN_TOLD:
        return None
    strongest, forms = strongest[told], forms[told]
    held = corpus.holds[:, strongest]
    precision = held.mean(axis=1)
    expected = (corpus.held[:, forms] - held) / (corpus.count[forms] - 1)
    expected = expected.mean(axis=1)
    gain = (precision - expected) / np.maximum(1 - expected, 1e-9)
    explains = (
        (precision >= MIN_PRECISION) & (expected <= MAX_EXPECTED) & (gain >= MIN_GAIN)
    )
    n_documents = len(np.unique(corpus.document[strongest]))
    for level in ("mid", "high"):
        of_level = np.array([name == level for name in corpus.levels], bool)
        if level == "mid" and n_documents < MIN_DOCUMENTS:
            continue
        found = np.flatnonzero(explains & of_level)
        if len(found):
            best = int(found[np.argmax(gain[found])])
            return ConceptLabel(level, best, float(precision[best]))
    return None


def _share_of_largest(forms: np.ndarray) -> float:
    _, count = np.unique(forms, return_counts=True)
    return float(np.sort(count)[::-1][:FEW_FORMS].sum() / len(forms))

"""Labels of factors on a text where it is known what explains them."""

import numpy as np
import pytest

from benchmarks.ground_truth import level_labels

_N_FORMS, _N_DOCUMENTS, _LENGTH = 40, 20, 200


@pytest.fixture(scope="module")
def corpus():
    """Forms at random; every fifth token is in a template, documents 0 … 4 in a domain.

    Form 40 stands 30 times, in the template only.
    """
    rng = np.random.default_rng(0)
    n = _N_DOCUMENTS * _LENGTH
    form = rng.integers(0, _N_FORMS, n)
    document = np.repeat(np.arange(_N_DOCUMENTS), _LENGTH)
    template = np.arange(n) % 5 == 0
    form[rng.permutation(np.flatnonzero(template))[:30]] = _N_FORMS
    holds = np.stack([template, document < 5])
    return level_labels.Corpus(form, document, ["mid", "high"], holds)


def _draw(corpus, mask, n=60, seed=1):
    return np.random.default_rng(seed).permutation(np.flatnonzero(mask))[:n]


def test_the_simplest_concept_explains(corpus):
    word = level_labels.label(corpus, _draw(corpus, corpus.form == 7, n=200))
    assert (word.level, word.concept, word.precision) == ("low", 7, 1)
    # In the template throughout; yet the word says so already.
    rare = np.flatnonzero(corpus.form == _N_FORMS)
    others = _draw(corpus, corpus.form != _N_FORMS)
    assert level_labels.label(corpus, np.append(rare, others)).level == "low"
    template = level_labels.label(corpus, _draw(corpus, corpus.holds[0]))
    assert (template.level, template.concept) == ("mid", 0)
    domain = level_labels.label(corpus, _draw(corpus, corpus.holds[1]))
    assert (domain.level, domain.concept) == ("high", 1)
    both = _draw(corpus, corpus.holds.all(axis=0))
    assert level_labels.label(corpus, both).level == "mid"


def test_what_nothing_explains_has_no_label(corpus):
    assert level_labels.label(corpus, _draw(corpus, corpus.form >= 0)) is None
    # Too few tokens for a template, of which none is a word.
    assert level_labels.label(corpus, _draw(corpus, corpus.holds[0], n=20)) is None
    # Two forms and a template at once.
    few = corpus.holds[0] & (corpus.form < 2)
    assert level_labels.label(corpus, _draw(corpus, few)) is None
    # A template in fewer documents than five may be theirs.
    narrow = corpus.holds[0] & (corpus.document >= 5) & (corpus.document < 8)
    assert level_labels.label(corpus, _draw(corpus, narrow)) is None


def test_a_word_that_fires_seldom_does_not_explain(corpus):
    some = _draw(corpus, corpus.form == 7, n=30)
    rest = _draw(corpus, corpus.form != 7, n=30)
    strongest = np.concatenate([some, rest])
    assert np.sum(corpus.form == 7) > 2 * len(some)
    assert level_labels.label(corpus, strongest) is None


def test_precision_and_gain_are_those_of_their_definition(corpus):
    strongest = _draw(corpus, corpus.holds[1], n=50)
    # A third of the tokens from anywhere else.
    strongest[:16] = _draw(corpus, ~corpus.holds[1] & ~corpus.holds[0], n=16)
    label = level_labels.label(corpus, strongest)
    held = corpus.holds[1]
    assert label.precision == pytest.approx(np.mean(held[strongest]))
    expected = np.mean(
        [
            np.mean(
                held[(corpus.form == corpus.form[row]) & (np.arange(len(held)) != row)]
            )
            for row in strongest
        ]
    )
    gain = (label.precision - expected) / (1 - expected)
    assert label.level == "high" and gain > level_labels.MIN_GAIN
    # As many from elsewhere that the gain falls below the bar.
    strongest[:28] = _draw(corpus, ~corpus.holds[1] & ~corpus.holds[0], n=28)
    assert level_labels.label(corpus, strongest) is None


def test_a_text_may_hold_no_concept(corpus):
    bare = level_labels.Corpus(corpus.form, corpus.document, [], corpus.holds[:0])
    assert level_labels.label(bare, _draw(corpus, corpus.holds[0])) is None
    assert level_labels.label(bare, _draw(corpus, corpus.form == 7, n=200)).concept == 7

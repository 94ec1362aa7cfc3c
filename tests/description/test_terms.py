"""Test terms against plain counts, and that repetition in a document has no weight."""

import collections

import numpy as np
import pytest

from tfvis_jax.description import log_odds, terms, word_counts
from tfvis_jax.errors import InputError


def _context(text, *, document, place=0):
    """A context of words separated by single spaces, with none before commas."""
    words = text.replace(",", " ,").split()
    return terms.FiringContext(
        words=words,
        is_spaced=np.array([w != "," for w in words]) & (np.arange(len(words)) > 0),
        place=place,
        document=document,
    )


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(60)]
    return word_counts.of_texts([list(rng.choice(words, 30)) for _ in range(300)])


def test_terms_of_many_documents_are_ranked_by_z(corpus):
    found = [
        _context(f"w{d} Left, w{d + 1} home w{d + 2}", document=d, place=1)
        for d in range(20)
    ]
    got = terms.find(found, corpus, counted_by="document", limit=50)
    # "Left" never occurs without its comma.
    assert [term.text for term in got.at] == ["Left,"]
    assert {term.text for term in got.around} == {"home", ","}
    [left], [home] = got.at, [term for term in got.around if term.text == "home"]
    assert left.documents == home.documents == 20
    # Two pairs of a context contain "Left"; five of its words are not "Left". Twenty
    # documents contain the term, so the corpus contains it at least twenty times.
    for term, total in ((left, 40), (home, 100)):
        delta, z = log_odds.compare(
            np.array([20.0]),
            np.array([20]),
            total=total,
            background_total=corpus.totals[term.n - 1],
        )
        assert term.z == pytest.approx(z[0])
        assert term.log_odds == pytest.approx(delta[0])
        assert term.share == pytest.approx(20 / total)


def test_a_term_counts_its_effective_number_of_documents(corpus):
    # In one of two contexts of the first document, in all of the others.
    found = [
        _context("aa w1", document=0),
        _context("w2 w1", document=0),
        *[_context(f"aa w{d}", document=d) for d in range(1, 6)],
    ]
    shares = [0.5, 1, 1, 1, 1, 1]
    count = sum(shares) ** 2 / sum(share**2 for share in shares)
    got = terms.find(found, corpus, counted_by="document", limit=9)
    [term] = [term for term in got.at if term.text == "aa"]
    _, z = log_odds.compare(
        np.array([count]),
        np.array([6]),
        total=count * 6 / 5.5,
        background_total=corpus.totals[0],
    )
    assert term.z == pytest.approx(z[0])
    assert (got.n_contexts, got.n_documents, term.documents) == (7, 6, 6)


def test_one_document_that_repeats_itself_does_not_dominate(corpus):
    repeated = [
        _context(f"again w{i % 60} w{i % 7}", document=0, place=0) for i in range(500)
    ]
    spread = [_context(f"often w{d} w3", document=d, place=0) for d in range(1, 12)]
    got = terms.find(repeated + spread, corpus, counted_by="document", limit=9)
    assert "often" in got.at[0].text
    assert not any("again" in term.text for term in got.at)
    # Once in a second document: the effective number is still about one.
    twice = [*repeated, *spread, _context("again w1 w2", document=12)]
    got = terms.find(twice, corpus, counted_by="document", limit=9)
    again = [term.z for term in got.at if "again" in term.text]
    assert max(again, default=0) < got.at[0].z / 2


def test_weights_of_a_document_add_up_to_one():
    found = [_context("a b", document=d) for d in (0, 0, 0, 1)]
    weight = collections.Counter()
    for context, w in zip(found, terms.weights(found), strict=True):
        weight[context.document] += w
    assert weight == pytest.approx({0: 1, 1: 1})


def test_words_further_away_than_the_radius_do_not_count(corpus):
    words = [f"n{i}" for i in range(40)]
    found = [
        terms.FiringContext(words, np.ones(40, bool), place=20, document=d)
        for d in range(9)
    ]
    got = terms.find(found, corpus, counted_by="document", limit=99)
    seen = {w for term in got.at + got.around for w in term.text.split()}
    assert "n20" in seen and seen <= {f"n{i}" for i in range(10, 31)}
    assert {"n10", "n30"} <= seen


def test_parts_of_speech_weigh_documents_alike():
    found = [
        *[_context("run fast", document=0) for _ in range(9)],
        _context("the run", document=1, place=1),
    ]
    seen = []

    def tagger(words):
        seen.append(words)
        return ["VB" if word == "run" and words[0] == "run" else "NN" for word in words]

    assert terms.part_of_speech(found, tagger) == pytest.approx({"VB": 0.5, "NN": 0.5})
    assert seen[-1] == ["the", "run"]
    with pytest.raises(InputError, match="2 words a tag, got 1 tags"):
        terms.part_of_speech(found, lambda words: words[:1])


def test_of_nested_terms_one_is_shown(corpus):
    always = [_context(f"old town w{d}", document=d, place=1) for d in range(12)]
    got = terms.find(always, corpus, counted_by="document", limit=9)
    # "town" never occurs without "old" …
    assert [term.text for term in got.at] == ["old town"]
    # … and here it does.
    alone = [_context(f"w{d} town w9", document=d, place=1) for d in range(12, 36)]
    got = terms.find([*always, *alone], corpus, counted_by="document", limit=9)
    assert [term.text for term in got.at] == ["town"]

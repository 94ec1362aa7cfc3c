"""Patterns of a toy run: drawn passages, stored contexts, all tokens."""

import dataclasses

import numpy as np
import pytest

from tfvis_jax import load_run
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import representations
from tfvis_jax.studies.patterns import (
    pattern_examples,
    pattern_layers,
    pattern_rows,
    pattern_scores,
    pattern_study,
    pattern_text,
    patterns,
)

# The words of the toy corpus have no pattern of ours.
MONEY = patterns.Pattern(
    "money", "bank of money", lambda p: _phrase(p.text, "bank of money")
)
RIVER = patterns.Pattern(
    "river", "river and bank", lambda p: _phrase(p.text, "river and bank")
)
NEVER = patterns.Pattern("nothing", "nothing", lambda p: iter(()))


def _phrase(text, phrase):
    start = text.find(phrase)
    while start >= 0:
        yield start, start + len(phrase)
        start = text.find(phrase, start + 1)


def _candidates(n_documents=20, seed=0):
    """Each document has two passages with each phrase, and others without."""
    rng = np.random.default_rng(seed)
    words = ["the", "bank", "of", "a", "river", "and", "light", "money", "left"]
    for document in range(n_documents):
        for phrase in (MONEY.example, RIVER.example, "", ""):
            before, after = (" ".join(rng.choice(words, 4)) for _ in range(2))
            yield document, f"{before} {phrase} {after}".replace("  ", " ")


def _draw(wanted=(MONEY, RIVER, NEVER), **settings):
    settings = {"occurrences": 24, "random_passages": 8, "least": 4} | settings
    return pattern_text.draw(_candidates(), wanted, None, source="toy text", **settings)


def test_passages_are_whole_sentences_of_a_paragraph():
    sentences = ["It is a river near the bank." for _ in range(20)]
    text = " ".join(sentences) + "\nShort.\n" + "A " + "long " * 80 + "one."
    found = list(pattern_text.cut(text))
    assert all(60 <= len(p) <= 220 for p in found[:-1]) and found[-1].startswith("A l")
    assert " ".join(found[:-1]) == " ".join(sentences)


def test_a_drawing_fills_both_halves_and_counts_what_it_leaves_out():
    drawn = _draw()
    assert [p.name for p in drawn.patterns] == ["money", "river"]
    assert drawn.left_out == {"nothing": (0, 0)}
    halves = {}
    for document, half in zip(drawn.document_of, drawn.half_of, strict=True):
        # No document is in both halves.
        assert halves.setdefault(document, half) == half
    for half in (0, 1):
        chosen = np.flatnonzero(drawn.half_of == half)
        for number in range(2):
            assert sum(bool(drawn.spans[p][number]) for p in chosen) >= 10
    assert drawn.is_random.sum() == 8
    assert _draw().passages == drawn.passages
    with pytest.raises(InputError, match=r"at least 30 passages .* money \d+ and \d+"):
        _draw(least=30)


@pytest.fixture(scope="module")
def run(toy_run):
    run = load_run(toy_run)
    # To a gap at which the codes of two programs are alike.
    solver = dataclasses.replace(run.opened.config.solver, tolerance=1e-6)
    config = dataclasses.replace(run.opened.config, solver=solver)
    run.opened = dataclasses.replace(run.opened, config=config)
    return run


@pytest.fixture(scope="module")
def drawn():
    return _draw()


@pytest.fixture(scope="module")
def rows(run, drawn):
    return pattern_rows.encode(run.opened, run.trained, drawn, layers=(0, 2))


@pytest.fixture(scope="module")
def study(run, drawn, rows):
    probed = representations.open_probed(run.opened, run.trained)
    return pattern_study.study(rows, drawn, probed, n_resamples=30)


def test_rows_are_the_tokens_of_the_passages(run, drawn, rows):
    for passage in (0, len(drawn.passages) - 1):
        here = rows.passage_of == passage
        expected = run.encode(drawn.passages[passage])
        np.testing.assert_allclose(
            rows.codes[2][here].toarray(),
            expected.codes[2],
            # Each is solved to a duality gap of 1e-5 or less.
            rtol=0,
            atol=2e-3,
        )
        for number in range(2):
            inside = [
                drawn.passages[passage][a:b]
                for a, b in zip(rows.starts[here], rows.ends[here], strict=True)
            ]
            marked = rows.taking_part[number, here]
            expected_words = [
                drawn.passages[passage][a:b] for a, b in drawn.spans[passage][number]
            ]
            assert [w for w, m in zip(inside, marked, strict=True) if m] == [
                word for phrase in expected_words for word in phrase.split()
            ]


def test_segments_are_occurrences_and_pieces_between():
    inside = np.array([0, 1, 1, 0, 0, 0, 1, 1, 0], bool)
    passage_of = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    segments = pattern_study._Segments(inside, passage_of)
    np.testing.assert_array_equal(segments.first, [0, 1, 3, 5, 6, 8])
    np.testing.assert_array_equal(
        segments.is_occurrence, [False, True, False, False, True, False]
    )
    scores = np.array([0.0, 1, 3, 2, 0, 5, 0, 0, 1])
    np.testing.assert_array_equal(segments.largest(scores), [0, 3, 2, 5, 0, 1])
    # The second occurrence does not fire.
    np.testing.assert_array_equal(segments.marked(scores), [2])


def test_features_are_measured_where_they_were_not_chosen(drawn, rows, study):
    after = rows.of_half(pattern_text.MEASURED_ON)
    assert study.n_tokens == len(after)
    for name in pattern_study.ASKED:
        for figure in study.find("money", name):
            assert 0 <= figure.average_precision.value <= 1
            low, high = figure.average_precision.interval
            assert low <= high
    [figure] = [f for f in study.find("money", "factors") if f.layer == 2]
    scores = rows.codes[2][after][:, [figure.features[0]]].toarray()[:, 0]
    segments = pattern_study._Segments(
        rows.taking_part[0, after], rows.passage_of[after]
    )
    ranked = pattern_scores.ranks(segments.largest(scores)[:, None])
    [expected] = pattern_scores.average_precision(ranked, segments.is_occurrence)
    assert figure.average_precision.value == pytest.approx(expected)
    inside = rows.taking_part[0, after]
    fires = scores > 0
    expected = inside[fires].mean() if fires.any() else 0
    assert figure.precision == pytest.approx(expected)
    chosen = study.chosen("money", "factors")
    assert chosen.when_chosen == max(
        f.when_chosen for f in study.find("money", "factors")
    )


def test_the_word_alone_tells_nothing_of_the_same_word(study):
    [figure] = study.find("money", pattern_study.WORD)
    assert figure.same_word_auc.value == 0.5
    # Of eight words in a dozen, those of the phrase are in it more often than others.
    assert figure.average_precision.value > study.prevalence["money"]


def test_a_mean_leaves_out_what_is_not_known():
    known = pattern_scores.Estimate(0.5, np.array([0.4, np.nan, 0.6]))
    unknown = pattern_scores.Estimate(float("nan"), np.full(3, np.nan))
    found = pattern_scores.mean([known, unknown])
    assert found.value == 0.5
    np.testing.assert_allclose(found.samples, [0.4, 0.5, 0.6])


def test_stored_contexts_of_a_toy_run(run):
    wanted = [
        patterns.Pattern("the", "the", lambda p: _phrase(p.text, "the")),
        patterns.Pattern("nothing", "nothing", lambda p: iter(())),
    ]
    matched = pattern_examples.MatchedText(run.windows, wanted, None)
    words = [
        run.windows.token_texts(window)[position]
        for window, position in np.argwhere(matched.place >= 0).tolist()
    ]
    inside = np.array(["the" in word for word in words])
    np.testing.assert_array_equal(matched.taking_part[0], inside)
    [shares] = pattern_examples.shares(
        run, matched, wanted, layers=(0, 2), n=30, n_shifts=199, n_resamples=50
    )
    half = matched.half_of == pattern_text.MEASURED_ON
    assert shares.base_rate == pytest.approx(inside[half].mean())
    assert any(share.n_contexts for share in shares.tracked)
    for share in shares.tracked:
        top = run.examples.top(run.trained.layers.index(share.layer), share.factor)
        places = matched.place[top.window, top.position]
        places = places[half[places]][: shares.n]
        assert share.n_contexts == len(places)
        if not len(places):
            # All contexts of a rare factor may be in the other half.
            assert np.isnan(share.share.value)
            continue
        assert share.share.value == pytest.approx(inside[places].mean())
        # The word is the pattern: nothing is left beyond it.
        assert share.beyond_words.value == pytest.approx(0, abs=1e-9)


def test_layers_are_every_other_one_unless_named():
    assert pattern_layers.chosen((0, 1, 2, 3), ()) == (0, 2)
    assert pattern_layers.chosen((0, 1, 2, 3), (3, 1, 1)) == (1, 3)
    with pytest.raises(InputError, match=r"layers of \(0, 1\), got 7"):
        pattern_layers.chosen((0, 1), (7,))

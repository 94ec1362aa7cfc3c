"""Variants of a context word by word, and trends on made-up values."""

import numpy as np
import pytest
import scipy.stats
from test_pattern_study import MONEY, NEVER, RIVER, _draw

from tfvis_jax import load_run
from tfvis_jax.errors import InputError
from tfvis_jax.evaluation import representations
from tfvis_jax.studies.adversarial import (
    adversarial,
    adversarial_templates,
    adversarial_texts,
    adversarial_words,
)
from tfvis_jax.studies.patterns import passages, pattern_rows, pattern_study

TAGS = {"the": "DT", "a": "DT", "of": "IN", "and": "CC", "with": "IN", "over": "IN"}


def tagger(words):
    return [TAGS.get(word, "NN" if word[0].isalpha() else ".") for word in words]


@pytest.fixture(scope="module")
def run(toy_run):
    return load_run(toy_run)


@pytest.fixture(scope="module")
def lexicon(run):
    text = "the bank of a river and money light bulb feather left house hand park bench"
    text += " avenue mind matter never blue red green"
    return adversarial_words.Lexicon(run.opened, [passages.Passage(text, tagger)])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_near_and_far_words_are_those_of_the_embeddings(run, lexicon, rng):
    table = np.asarray(run.opened.pretrained.encoder.embeddings.word[...])
    tokenizer = run.opened.tokenizer

    def cosine(a, b):
        a, b = (table[tokenizer.encode(word).ids[0]] for word in (a, b))
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    words = [w for w in lexicon._words["NN/NN/lower"] if w != "river"]
    ordered = sorted(words, key=lambda word: -cosine("river", word))
    near = {lexicon.near("river", "NN", rng) for _ in range(100)}
    assert near == set(ordered[:5])
    far = {lexicon.far("river", "NN", rng) for _ in range(300)}
    assert far == set(ordered[len(ordered) // 2 :])
    common = {lexicon.common("river", "NN", rng) for _ in range(300)}
    assert common <= set(words)
    assert lexicon.knows("river", "NN") and not lexicon.knows("River", "NNP")
    assert tokenizer.encode(lexicon.unknown).ids.tolist() == [tokenizer.unk_id]


def test_classes_keep_case_and_length():
    of = adversarial_words.class_of
    assert of("River", "NNP") != of("river", "NN")
    assert of("1998", "CD") == of("2001", "CD") != of("12", "CD")
    assert adversarial_words.is_content("12", "CD")
    assert not adversarial_words.is_content("the", "DT")
    assert not adversarial_words.is_content(",", "NN")


@pytest.fixture
def context():
    text = "The light of a bank of money, and the Hand left."
    passage = passages.Passage(text, tagger)
    start = text.index("bank")
    return adversarial_texts.context(passage, (start, start + 13), start + 9)


def test_a_context_knows_what_may_be_replaced(context):
    words = [word.text for word in context.passage.words]
    assert words[context.target] == "money"
    assert [words[p] for p in context.inside()] == ["bank"]
    assert [words[p] for p in context.outside()] == ["The", "light", "Hand", "left"]
    # In the middle of no word, and without anything else in the occurrence.
    start = context.passage.text.index("money")
    span = start, start + 5
    assert adversarial_texts.context(context.passage, span, start) is None


def test_variants_replace_whole_words_and_leave_the_target(context, lexicon, rng):
    found = adversarial_texts.variants(context, lexicon, rng)
    original = context.passage.text
    assert found[adversarial_texts.ORIGINAL].text == original
    for variant in found.values():
        assert variant.text[variant.start : variant.end] == "money"
    before, after = original.split("bank")
    for grade in (
        adversarial_texts.NEAR,
        adversarial_texts.FAR,
        adversarial_texts.COMMON,
        adversarial_texts.MASKED,
    ):
        text = found[grade].text
        assert text.startswith(before) and text.endswith(after) and text != original
    assert found[adversarial_texts.MASKED].text.count(lexicon.unknown) == 1
    assert found[adversarial_texts.REMOVED].text == original.replace(" bank", "")
    outside = found[adversarial_texts.OUTSIDE].text
    assert "bank of money" in outside and outside != original


def test_capital_letters_stay(context):
    [hand] = [n for n, w in enumerate(context.passage.words) if w.text == "Hand"]
    found = adversarial_texts.rewritten(context, {hand: "feather", 0: "a"})
    assert found.text == "A light of a bank of money, and the Feather left."


def test_a_random_sentence_has_the_word(context, rng):
    others = [passages.Passage(text, tagger) for text in ("the red", "a Money bank")]
    found = adversarial_texts.elsewhere(context, others, rng)
    assert found == adversarial_texts.Variant("a Money bank", 2, 7)
    found = adversarial_texts.elsewhere(context, others[:1], rng)
    assert found == adversarial_texts.Variant("the money", 4, 9)
    nowhere = [passages.Passage("the , of", tagger)]
    assert adversarial_texts.elsewhere(context, nowhere, rng) is None


def _pair(pattern, **relative):
    grades = dict.fromkeys(adversarial.GRADES, 0.0)
    return adversarial.Pair(
        pattern, "factors", 2, 0, 5, 1.0, grades | relative, examples=[]
    )


def test_trend_p_values_are_uniform_under_the_null():
    rng = np.random.default_rng(0)
    grades = adversarial_texts.GRADED
    p_values = [
        adversarial.trend_p_value(
            [
                _pair("p", **dict(zip(grades, rng.random(6), strict=True)))
                for _ in "x" * 12
            ]
        )
        for _ in range(500)
    ]
    # Ranks are discrete, and the test is asymptotic: near to uniform.
    assert scipy.stats.kstest(p_values, "uniform").statistic < 0.09
    falling = dict(zip(grades, (1, 0.9, 0.7, 0.6, 0.3, 0.1), strict=True))
    assert adversarial.trend_p_value([_pair("p", **falling)] * 5) < 1e-4
    rising = dict(zip(grades, (1, 0.1, 0.2, 0.3, 0.4, 0.5), strict=True))
    assert adversarial.trend_p_value([_pair("p", **rising)] * 5) > 0.99
    assert np.isnan(adversarial.trend_p_value([_pair("p", **falling)]))


def test_means_are_over_pairs_and_intervals_over_patterns():
    pairs = [
        _pair("a", original=1.0),
        _pair("a", original=0.0),
        _pair("b", original=0.2),
    ]
    found = adversarial.grade_means(pairs, n_resamples=500)["original"]
    assert found.value == pytest.approx(0.4)
    # Three draws of two patterns: only a, both, only b.
    np.testing.assert_allclose(np.unique(found.samples.round(6)), [0.2, 0.4, 0.5])


def test_a_toy_run_from_passages_to_pairs(run, monkeypatch):
    drawn = _draw()
    rows = pattern_rows.encode(run.opened, run.trained, drawn, layers=(2,))
    probed = representations.open_probed(run.opened, run.trained)
    study = pattern_study.study(rows, drawn, probed, n_resamples=2)
    monkeypatch.setattr(
        adversarial_templates,
        "TEMPLATES",
        {"money": ["a bank of money"], "river": ["the river and bank"]},
    )
    monkeypatch.setattr(adversarial_words, "_LEAST_WORDS", 3)
    settings = {"n_features": 1, "n_contexts": 4}
    given = (run.opened, run.trained, rows, drawn, study, probed, tagger)
    found = adversarial.run(*given, **settings)
    again = adversarial.run(*given, **settings)
    assert [p.relative for p in found.pairs] == [p.relative for p in again.pairs]
    pairs = found.of("factors")
    assert pairs and found.still_fits[adversarial_texts.ORIGINAL] == 1
    assert found.still_fits[adversarial_texts.OWN] == 1
    assert found.still_fits[adversarial_texts.ELSEWHERE] == 0
    for pair in pairs:
        assert pair.relative[adversarial_texts.ORIGINAL] == pytest.approx(1)
        # α of the shown context, by the code of a single sentence.
        by_grade = {grade: (text, value) for grade, text, value in pair.examples}
        text, value = by_grade[adversarial_texts.NEAR]
        codes = run.encode(text).codes[run.trained.layers.index(2), :, pair.feature]
        assert np.abs(codes - value).min() < 5e-3
    silent = study.chosen("money", "factors")
    monkeypatch.setattr(pattern_study.Study, "chosen", lambda *_: silent)
    rows.codes[2].data[:] = 0
    with pytest.raises(InputError, match="fires in several occurrences"):
        adversarial.run(*given, **settings)


def test_toy_patterns_have_no_templates():
    names = {MONEY.name, RIVER.name, NEVER.name}
    assert not names & set(adversarial_templates.TEMPLATES)

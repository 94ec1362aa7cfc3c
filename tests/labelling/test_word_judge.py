"""The judge without a language model, against cases that can be told by hand."""

import math

import numpy as np
import pytest

from tfvis_jax.description import word_counts
from tfvis_jax.description.factor_words import FactorWord
from tfvis_jax.evaluation import rated
from tfvis_jax.labelling import scores, trials, word_judge
from tfvis_jax.labelling.excerpts import Excerpt, Material

_FILLER = tuple(f"w{i}" for i in range(30))


def _excerpts(word, *, n, seed, first_window):
    """Excerpts of nine fillers, of which one is replaced by a word that fires."""
    rng = np.random.default_rng(seed)
    for number in range(n):
        words = [*rng.choice(_FILLER, 9, replace=False)]
        alpha = [0.0] * 9
        if word is not None:
            words[4], alpha[4] = word, 1.0
        spaced = tuple(f" {each}" for each in words)
        yield Excerpt(first_window + number, spaced, tuple(alpha), "q1")


def _material(word, factor=0):
    return Material(
        factor,
        0,
        tuple(_excerpts(word, n=10, seed=factor, first_window=0)),
        tuple(_excerpts(None, n=8, seed=factor + 1, first_window=100)),
        tuple(_excerpts(word, n=20, seed=factor + 2, first_window=200)),
        tuple(_excerpts(None, n=15, seed=factor + 3, first_window=300)),
    )


def test_questions_are_balanced():
    asked = trials.of_material(_material("bank"))
    assert [sum(e.answer for e in asked.detection), len(asked.detection)] == [10, 20]
    assert [sum(e.answer for e in asked.fuzzing), len(asked.fuzzing)] == [10, 20]
    for each in asked.fuzzing:
        assert len(each.marked) == 1
        assert (each.marked == each.excerpt.firing) == each.answer
    assert len(asked.intruder) == 5
    for each in asked.intruder:
        silent = [place for place, e in enumerate(each.group) if not e.firing]
        assert silent == [each.answer]
    # Order tells nothing.
    assert len({each.answer for each in asked.detection[:10]}) == 2


def test_few_excerpts_give_few_questions():
    whole = _material("bank")
    few = Material(0, 0, whole.read, (), whole.tested[:3], whole.tested_silent[:1])
    asked = trials.of_material(few)
    assert [len(asked.detection), len(asked.fuzzing), len(asked.intruder)] == [2, 2, 0]
    # Nowhere else to mark.
    full = Excerpt(0, (" a", " b"), (1.0, 1.0), "q1")
    assert trials.fuzzed((full,) * 4, np.random.default_rng(0)) == []


def test_the_right_word_is_always_right():
    material = _material("Bank")
    weights = word_judge.of_word_list([FactorWord("bank", 3, 7.0)])
    assert weights == {"bank": 1.0}
    found = word_judge.WordJudge(weights, material).right(trials.of_material(material))
    assert found == {"detection": (20, 20), "fuzzing": (20, 20), "intruder": (5, 5)}


def test_a_word_that_never_occurs_is_at_chance():
    right = {name: [0, 0] for name in trials.NAMES}
    for factor in range(40):
        material = _material("bank", factor=10 * factor)
        judge = word_judge.WordJudge({"river": 1.0}, material)
        for name, (n_right, n) in judge.right(trials.of_material(material)).items():
            right[name][0] += n_right
            right[name][1] += n
    assert right["detection"] == [400, 800] and right["fuzzing"] == [400, 800]
    low, high = rated.wilson(*right["intruder"])
    assert low < trials.CHANCE["intruder"] < high


def test_words_of_a_label_count_by_surprisal():
    counts = word_counts.of_texts([["of"] * 6 + ["Bank"] + ["a"]])
    found = word_judge.of_text("Bank, of rivers", counts)
    assert found == pytest.approx({"bank": 3.0, "of": math.log2(8 / 6), "rivers": 3.0})
    assert word_judge.of_text("…", counts) == {}


def test_the_threshold_is_the_best_one():
    rng = np.random.default_rng(3)
    for _ in range(50):
        yes, no = rng.integers(0, 6, 7) + 0.0, rng.integers(0, 4, 5) + 0.0

        def balanced(t, yes=yes, no=no):
            return np.mean(yes > t) + np.mean(no <= t)

        t = word_judge.threshold(yes.tolist(), no.tolist())
        assert balanced(t) == pytest.approx(
            max(balanced(c) for c in np.arange(0, 8, 0.25))
        )
    assert word_judge.threshold([], [1.0]) == 0


def test_scores_come_back_and_damage_is_named(tmp_path):
    path, of_run = tmp_path / "label_scores.json", "0" * 64
    one = scores.Scored("a", "me", 2, "words", detection=scores.Score(17, 20))
    two = scores.Scored("a", "me", 2, "gpt", fuzzing=scores.Score(1, 20))
    known = scores.merge({}, {3: one})
    known = scores.merge(known, {3: two, 4: one})
    scores.save(path, known, dictionary_hash=of_run)
    read = scores.load(path, dictionary_hash=of_run, n_factors=9)
    assert read == known == {3: [one, two], 4: [one]}
    assert scores.merge(read, {3: one})[3] == [two, one]
    # Score by score, where the label is the same.
    three = scores.Scored("a", "me", 2, "gpt", intruder=scores.Score(2, 5))
    both = scores.Scored(
        *("a", "me", 2, "gpt"),
        fuzzing=scores.Score(1, 20),
        intruder=scores.Score(2, 5),
    )
    assert scores.merge(read, {3: three})[3] == [one, both]
    other = scores.Scored("b", "me", 2, "gpt", intruder=scores.Score(2, 5))
    assert scores.merge(read, {3: other})[3] == [one, other]
    # A model's before those of words, of this label alone.
    assert scores.of_label([two, one], "a") == two
    assert scores.of_label([two, one], "b") is None
    assert scores.of_label([two, one], None) is None
    with pytest.raises(scores.schema_lib.InputError, match="another dictionary"):
        scores.load(path, dictionary_hash="1" * 64, n_factors=9)
    with pytest.raises(scores.schema_lib.InputError, match="from 0 to 3"):
        scores.load(path, dictionary_hash=of_run, n_factors=4)
    path.write_text(path.read_text().replace('"right": 17', '"right": 21'))
    with pytest.raises(scores.schema_lib.InputError, match="at most n right"):
        scores.load(path, dictionary_hash=of_run, n_factors=9)


def test_factors_weigh_equally_when_pooled():
    found = [
        scores.Scored("a", "me", 0, "words", intruder=scores.Score(right, n))
        for right, n in ((1, 1), (0, 5), (0, 5), (0, 5))
    ]
    pooled = scores.pooled(found)["intruder"]
    assert pooled.value == 0.25 and pooled.n_factors == 4
    assert pooled.low == 0 and 0.5 <= pooled.high <= 1
    [alone] = scores.pooled(found[:1]).values()
    assert (alone.low, alone.high) == rated.wilson(1, 1)

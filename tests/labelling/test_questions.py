"""Answers are read from what models wrap them in, or refused."""

import pytest

from tfvis_jax.labelling import questions, trials
from tfvis_jax.labelling.excerpts import Excerpt, Material


def _excerpt(text, firing=(), window=0):
    words = tuple(f" {word}" for word in text.split())
    alpha = tuple(float(word in firing) for word in text.split())
    return Excerpt(window, words, alpha, "q1")


FIRES = _excerpt("the bank of a river", firing=("bank", "river"))
SILENT = _excerpt("green and blue")


def test_an_excerpt_with_its_marks():
    assert FIRES.text() == "the bank of a river"
    assert FIRES.text(FIRES.firing) == "the <<bank>> of a <<river>>"


@pytest.mark.parametrize(
    "answer",
    [
        '{"label": "money"}',
        'Sure!\n```json\n{"label":\n "money"}\n```\nAnything else?',
        '<think>{"label": "river"}? {no}</think> {"label": " money "}',
        '{"label": "river"} No: {"label": "money", "confidence": {"high": true}}',
    ],
)
def test_labels_are_found(answer):
    question = questions.name_it(Material(3, 1, (FIRES,), (SILENT,), (), ()))
    assert "1. the <<bank>> of a <<river>>" in question.messages[0]["content"]
    assert "1. green and blue" in question.messages[0]["content"]
    assert question.read(answer) == "money"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("money", 'object with "label"'),
        ('{"Label": "money"}', 'object with "label"'),
        ('{"label": "mon', 'object with "label"'),
        ('{"label": ["money"]}', "text as label"),
        ('{"label": " "}', "at least one character"),
        ('{"label": "' + "x" * 300 + '"}', "at most 200 characters, got 300"),
        ("{" * 99_000, 'object with "label"'),
        ('{"a":' * 19_000, 'object with "label"'),
        ("x" * 200_000, "got 200,000 characters"),
    ],
)
def test_other_answers_are_malformed(answer, why):
    question = questions.name_it(Material(3, 1, (FIRES,), (SILENT,), (), ()))
    with pytest.raises(questions.Malformed, match=why):
        question.read(answer)


def test_choices_are_numbers_in_range():
    asked = [trials.Detection(FIRES, True), trials.Detection(SILENT, False)] * 6
    first, second = questions.detect(3, 'a "bank"', asked)
    question, truth = first
    assert len(truth) == 10 and len(second[1]) == 2
    assert r'describes: "a \"bank\""' in question.messages[0]["content"]
    assert question.read('{"fit": [1, 10, 1]}') == [True, *[False] * 8, True]
    assert question.read('{"fit": []}') == [False] * 10
    for answer in ("[0]", "[11]", "[true]", '["1"]', "1", "[1.0]", "null"):
        with pytest.raises(questions.Malformed, match="numbers from 1 to 10"):
            question.read(f'{{"fit": {answer}}}')


def test_an_intruder_of_each_group():
    group = trials.Intruder((FIRES, FIRES, SILENT, FIRES, FIRES), 2)
    [(question, truth)] = questions.intrude(3, "bank", [group, group])
    assert truth == [2, 2] and question.read('{"intruders": [3, 1]}') == [2, 0]
    with pytest.raises(questions.Malformed, match="expected 2 numbers, got 1"):
        question.read('{"intruders": [3]}')
    assert questions.intrude(3, "bank", []) == []


def test_a_key_names_question_and_model():
    asked = [trials.Detection(FIRES, True)]
    [(one, _)], [(same, _)] = (questions.detect(3, "bank", asked) for _ in range(2))
    [(other, _)] = questions.detect(3, "river", asked)
    assert one.key("m") == same.key("m")
    assert len({one.key("m"), one.key("n"), other.key("m")}) == 3

"""The classes on constructed evidence, and the reasons that go with them."""

import dataclasses

import pytest

from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import measuring, rule
from tfvis_jax.levels import spread as spread_lib

_SPREAD = spread_lib.Spread(
    documents=60,
    tip_few=0.2,
    position=0.08,
    same_word=0.3,
    tip_word=1.0,
    same_neighbour=0.03,
    word="left",
    word_share=0.5,
    frequency=1e-4,
    evenness=0.3,
    any_token=0.01,
)
# The same kind of words as those of grammar: frequent, at small α in many places.
_GRAMMAR = dataclasses.replace(
    _SPREAD, same_word=0.02, tip_word=0.2, frequency=1e-2, any_token=0.1, word="of"
)


def _shares(keep, *, replace=None, elsewhere=0.1, shuffled=0.3, without_word=0.0):
    """Shares of the radii 0, 3, 8; the same in both directions if not said."""
    values = [*keep, *(replace or keep), shuffled, without_word, elsewhere]
    return dict(zip(measuring.ALTERATIONS, values, strict=True))


_ALONE = _shares([0.95, 0.97, 0.99], elsewhere=0.9, shuffled=0.95)
_NEARBY = _shares([0.02, 0.9, 0.97])
_DISTANT = _shares([0.0, 0.1, 0.3])


def _evidence(shares, *, spread=_SPREAD, firing=500, kinship=0.15):
    context = shares and evidence_lib.Context(shares, kinship)
    return evidence_lib.Evidence(firing, spread, context)


@pytest.mark.parametrize(
    ("evidence", "name", "reasons"),
    [
        (
            _evidence(_ALONE),
            "low",
            ["The word decides (99 %)", "“left”", "alone keeps 95 %"],
        ),
        (
            _evidence(_NEARBY, spread=_GRAMMAR),
            "mid",
            ["around it decide", "alone keeps 2 %", "on either side 90 %"],
        ),
        (
            _evidence(_DISTANT, spread=_GRAMMAR),
            "high",
            ["further away", "on either side 10 %", "with 8 words 30 %"],
        ),
        (
            _evidence(_DISTANT, spread=dataclasses.replace(_GRAMMAR, tip_few=0.98)),
            "topic",
            [
                "a few documents",
                "98 % of its strongest firings are in 3 of 60 documents",
            ],
        ),
        (_evidence(None), "low", ["A guess", "has not been measured"]),
        (evidence_lib.Evidence(0, None), "unclear", ["dead"]),
        (
            _evidence(_ALONE, firing=evidence_lib.MIN_FIRING - 1),
            "unclear",
            ["19 tokens, too few"],
        ),
        (
            _evidence(_ALONE, spread=dataclasses.replace(_SPREAD, documents=9)),
            "unclear",
            ["9 documents"],
        ),
        (
            _evidence(_ALONE, spread=dataclasses.replace(_SPREAD, documents=1)),
            "unclear",
            ["1 document,"],
        ),
    ],
)
def test_each_class_is_reached_for_its_reasons(evidence, name, reasons):
    level = rule.judge(evidence)
    assert level.name == name
    # A percentage never breaks across lines.
    assert " %" not in level.reason
    for reason in reasons:
        assert reason in level.reason.replace("\N{NO-BREAK SPACE}", " ")
    assert level.reason.endswith(".")
    assert (level.probability > 0) == (name != "unclear")
    # A dead factor has no context.
    alive = evidence.spread is not None
    assert level.is_guess == (alive and evidence.context is None)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.5, "“left” has 50 % of its weight"),
        (0.04, "many words fire it, none with more than 4 % of its weight"),
        (0.07, "none with more than 7 % of its weight"),
        (0.044, "none with more than 5 % of its weight"),
        (0.005, "none with more than 1 % of its weight"),
    ],
)
def test_a_word_of_many_may_decide(share, said):
    spread = dataclasses.replace(_SPREAD, word_share=share)
    level = rule.judge(_evidence(_ALONE, spread=spread))
    assert level.name == "low"
    assert said in level.reason.replace("\N{NO-BREAK SPACE}", " ")


def test_a_factor_that_rarely_fires_may_be_a_guess():
    for few in (
        _evidence(None, firing=3),
        _evidence(None, spread=dataclasses.replace(_SPREAD, documents=2)),
    ):
        level = rule.judge(few)
        assert level.name == "unclear" and level.is_guess


def test_probabilities_are_those_of_all_classes():
    for shares in (_ALONE, _NEARBY, _DISTANT, None):
        level = rule.judge(_evidence(shares))
        assert set(level.probabilities) == set(rule.LEVELS) - {"unclear"}
        assert sum(level.probabilities.values()) == pytest.approx(1)
        assert level.is_guess == (shares is None)
        if level.name != "unclear":
            assert level.probability == max(level.probabilities.values())
            assert level.probability >= rule.calibration().least


def test_long_range_is_divided_into_topic_and_high():
    p = {"low": 0.1, "mid": 0.2, "high": 0.6, "unreadable": 0.1}
    found = rule.of_classes(p, 0.25)
    assert found == pytest.approx(
        {"low": 0.1, "mid": 0.2, "high": 0.45, "topic": 0.15, "unreadable": 0.1}
    )


def test_both_directions_must_agree():
    # α that returns among hidden words alone, or among foreign words alone, is not
    # owed to the words nearby.
    low, high = [0.0, 0.1, 0.2], [0.0, 0.9, 1.0]
    for keep, replace in ((low, high), (high, low)):
        shares = _shares(keep, replace=replace)
        numbers = evidence_lib.numbers(_evidence(shares))
        assert (numbers["near"], numbers["far"]) == (0.1, 0.2)


def test_a_word_that_fires_elsewhere_needs_no_neighbour():
    # A full stop keeps nothing alone, and nearly all in any other sentence.
    nearby = _evidence(_NEARBY, spread=_GRAMMAR)
    anywhere = _evidence(_shares([0.02, 0.9, 0.97], elsewhere=0.92), spread=_GRAMMAR)
    assert evidence_lib.numbers(anywhere)["word"] == 0.92
    assert evidence_lib.numbers(nearby)["word"] == 0.1
    low = [rule.judge(each).probabilities["low"] for each in (nearby, anywhere)]
    assert low[1] > 2 * low[0]


def test_a_place_in_the_window_is_no_reading():
    mixed = dataclasses.replace(_GRAMMAR, tip_word=0.03, same_word=0.01)
    at_end = dataclasses.replace(mixed, position=0.7)
    shares = _shares([0.3, 0.5, 0.6], elsewhere=0.4, shuffled=0.7)
    spread_out, gathered = (
        rule.judge(_evidence(shares, spread=spread, kinship=0.03))
        for spread in (mixed, at_end)
    )
    assert gathered.name == "unreadable"
    assert "gather at one place of the window" in gathered.reason
    p = [each.probabilities["unreadable"] for each in (spread_out, gathered)]
    assert p[1] > p[0]


def test_levels_do_not_depend_on_layers():
    fields = {field.name for field in dataclasses.fields(evidence_lib.Evidence)}
    assert fields == {"firing", "spread", "context"}

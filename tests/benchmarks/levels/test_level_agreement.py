"""Tables of the levels benchmark: agreement, halves, and matched dictionaries."""

import dataclasses

import numpy as np

from benchmarks.levels import agreement as benchmark
from benchmarks.levels import cases

_CASE = cases.Case(
    source="run",
    kind="trained",
    factor=0,
    concept="word left",
    label="low",
    layers=[0, 1, 2],
    importance=[1.0, 0.4, 0.2],
    firing=[50, 50, 50],
    forms={
        "effective": 1.0,
        "commonest": 0,
        "share": 1.0,
        "word": "left",
    },
    shares=[1.0, 1.0],
)


def test_confusion_counts_labels_against_levels():
    late = dataclasses.replace(
        _CASE,
        label="high",
        importance=[0.1, 0.2, 1.0],
        forms={**_CASE.forms, "effective": 16.0},
        shares=[0.0, 0.3],
    )
    dead = dataclasses.replace(_CASE, label="mid", firing=[0, 0, 0])
    table = benchmark.confusion([_CASE, _CASE, late, dead], benchmark.RULES["levels"])
    assert table == [[2, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    found = benchmark.agreement(table)
    assert found["all"] == 3 / 4 and found["n"] == 4
    assert (found["low"], found["mid"], found["high"]) == (1, 0, 1)
    np.testing.assert_allclose(found["mean of classes"], 2 / 3)
    alone = benchmark.confusion([_CASE, late], benchmark.RULES["curve alone"])
    assert alone == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert benchmark.agreement(alone)["mid"] is None


def test_a_concept_is_on_one_side_only():
    concepts = [f"word {n}" for n in range(200)]
    sides = [dataclasses.replace(_CASE, concept=c).is_for_choosing for c in concepts]
    again = [
        dataclasses.replace(_CASE, concept=c, source="other", factor=9).is_for_choosing
        for c in concepts
    ]
    assert sides == again
    assert 60 < sum(sides) < 140


def test_matching_finds_a_permutation_and_leaves_out_strangers():
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    factors, order = directions[:12], rng.permutation(12)
    other = factors[order]
    other[3] = directions[20]
    rows, columns = benchmark.match(factors, other)
    assert len(rows) == 11 and 3 not in columns
    np.testing.assert_array_equal(order[columns], rows)

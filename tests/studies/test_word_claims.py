"""Verdicts follow from intervals, and splits from what fires."""

import numpy as np
import pytest
import scipy.sparse

from tfvis_jax import probing
from tfvis_jax.probing import scores
from tfvis_jax.studies.words import judged, word_claims, word_splits


def _lead(low, high):
    return scores.Estimate((low + high) / 2, low, high, np.array([low, high]))


@pytest.mark.parametrize(
    ("leads", "expected"),
    [
        ({"random directions": (0.1, 0.2), "projections": (0.01, 0.1)}, "holds"),
        ({"random directions": (0.0, 0.2), "projections": (0.1, 0.2)}, "not decided"),
        ({"sample factors": (-0.2, -0.1)}, "not decided"),
        (
            {"random directions": (0.1, 0.2), "projections": (-0.1, 0.1)},
            "holds in part",
        ),
        ({"random directions": (0.1, 0.2), "hidden state": (-0.2, -0.1)}, "does not"),
    ],
)
def test_a_claim_holds_only_above_every_control(leads, expected):
    behind = {name: _lead(*ends) for name, ends in leads.items()}
    found, as_good = word_claims.verdict(behind, is_enough=True)
    assert found.startswith(expected)
    assert set(as_good) == {name for name, (low, _) in leads.items() if low <= 0}
    if found == "holds":
        assert word_claims.verdict(behind, is_enough=False)[0] == "holds in part"


def test_splits_and_absorption_are_told_apart():
    rng = np.random.default_rng(0)
    n, d = 200, 8
    is_positive = np.arange(n) < 100
    x = rng.normal(size=(n, d)) * 0.1
    x[is_positive, 0] += 1
    factors = np.eye(d)
    codes = np.zeros((n, d))
    # Factor 0 fires on 60 of the class, factor 1 on the others of the class, factor 2
    # on those and on half of the word's other uses, factor 3 on nothing.
    codes[:60, 0] = 1
    codes[60:100, 1] = codes[60:150, 2] = 1
    factors[1, 0] = factors[2, 0] = 0.8
    others = np.zeros((10, d))
    others[:3, 0] = 1
    found = word_splits.describe(
        x,
        scipy.sparse.csr_array(codes),
        factors,
        is_positive,
        scipy.sparse.csr_array(others),
        ["leave", "leave", "go", *"abcdefg"],
        best=0,
        threshold=0.5,
    )
    assert (found["n_hits"], found["n_misses"]) == (60, 40)
    assert found["false_alarms"] == {"leave": 2, "go": 1}
    kinds = {each["factor"]: each["kind"] for each in found["factors"]}
    assert kinds[1] == "split" and kinds[2] == "absorbs"
    first = found["factors"][0]
    assert first["factor"] in (1, 2) and first["misses"] == 1 and first["hits"] == 0


def test_labels_that_were_read_are_found_by_their_place():
    records = [("ca05", "left", [(0, 4, "noun")])]
    # The third of ca06 was read, and is a verb.
    records += [
        ("ca06", "left left left", [(0, 4, "verb"), (5, 9, "verb"), (10, 14, "noun")])
    ]
    labelled = probing.labelled.build("brown", records)
    found = judged.check(labelled, "left", "verb")
    assert (found["n"], found["n_wrong"], found["n_unclear"]) == (2, 1, 1)
    low, high = found["interval"]
    assert low < found["error_rate"] == 0.5 < high
    assert judged.check(labelled, "right", "verb") is None
    assert judged.check(labelled.named("another"), "left", "verb") is None

"""Shares and agreement of ratings, against SciPy, scikit-learn and counting."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tfvis_jax.evaluation import rated
from tfvis_jax.runs import ratings

metrics = pytest.importorskip("sklearn.metrics")


def _rating(says, *, band="top", **fields):
    judged = [
        ratings.Judgement(context=f"{place:08x}", band=band, says=each)
        for place, each in enumerate(says)
    ]
    return ratings.Rating(**({"factor": 1, "layer": 2, "judged": judged} | fields))


@pytest.mark.parametrize("n", [1, 2, 7, 20, 200, 10_000])
def test_wilson_is_scipys(n):
    for fits in {0, 1, n // 3, n // 2, n - 1, n}:
        expected = stats.binomtest(fits, n).proportion_ci(0.95, method="wilson")
        assert rated.wilson(fits, n) == pytest.approx((expected.low, expected.high))


def test_wilson_at_the_ends():
    assert rated.wilson(0, 0) == (0, 1)
    assert rated.wilson(0, 5)[0] == 0 and rated.wilson(5, 5)[1] == 1


def test_wilson_holds_the_truth_as_often_as_it_says():
    p, n = 0.85, 40
    inside = [low <= p <= high for low, high in (rated.wilson(k, n) for k in range(41))]
    coverage = stats.binom.pmf(np.arange(n + 1), n, p)[inside].sum()
    # Exact for this p and n; the interval is approximate.
    assert coverage == pytest.approx(0.95, abs=0.03)


def test_skipped_contexts_do_not_count():
    rating = _rating(["fits", "skip", "not", "fits", "skip"])
    found = rated.share(rating.judged, band="top")
    assert (found.fits, found.n, found.value) == (2, 3, 2 / 3)
    assert rated.share(rating.judged, band="decoy").n == 0
    assert math.isnan(rated.share(rating.judged, band="decoy").value)


@pytest.mark.parametrize("seed", range(5))
def test_agreement_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    first = rng.choice(["fits", "not"], 50, p=[0.7, 0.3])
    second = np.where(rng.random(50) < 0.8, first, rng.choice(["fits", "not"], 50))
    found = rated.agreement(_rating(first), _rating(second))
    assert (found.n, found.same) == (50, np.sum(first == second))
    assert found.kappa == pytest.approx(metrics.cohen_kappa_score(first, second))
    # It does not matter who is the first.
    assert rated.agreement(_rating(second), _rating(first)) == pytest.approx(found)


def test_agreement_of_all_short_ratings_is_its_definition():
    for first, second in itertools.product(
        itertools.product(["fits", "not", "skip"], repeat=3), repeat=2
    ):
        pairs = [
            (a, b) for a, b in zip(first, second, strict=True) if "skip" not in (a, b)
        ]
        found = rated.agreement(_rating(first), _rating(second))
        assert found.n == len(pairs)
        p = [
            sum(side[i] == "fits" for side in pairs) / max(len(pairs), 1)
            for i in (0, 1)
        ]
        chance = p[0] * p[1] + (1 - p[0]) * (1 - p[1])
        if not pairs or chance == 1:
            assert math.isnan(found.kappa)
        else:
            same = sum(a == b for a, b in pairs) / len(pairs)
            assert found.kappa == pytest.approx((same - chance) / (1 - chance))


def test_the_paper_s_table_has_a_column_for_each_layer():
    found = [
        _rating(["fits"] * 19 + ["not"], layer=4, hypothesis="a | b", by="Ada"),
        _rating(["fits", "not"], layer=8, hypothesis="a | b", by="Ada"),
        _rating(["not"], factor=0, layer=4),
        _rating(["fits", "not"], factor=2, layer=8, band="decoy"),
    ]
    heads, _, *lines = rated.table(found).splitlines()
    assert [cell.strip() for cell in heads.strip("|").split("|")] == [
        *("factor", "rater", "pattern", "layer 4", "layer 8", "decoys"),
    ]
    assert [line.split("|")[1].strip() for line in lines] == ["0", "1", "2"]
    assert "95% (76%–99%), 20" in lines[1] and "50% (9%–91%), 2" in lines[1]
    assert r"a \| b" in lines[1] and lines[2].endswith("1 of 2 |")
    [first, *_] = rated.to_json(found)
    assert first["shares"]["top"] == [19, 20] and first["shares"]["decoy"] == [0, 0]


def test_a_run_without_ratings_says_how_to_rate():
    assert "tfvis view" in rated.section([])
    found = [_rating(["fits"])]
    assert rated.section(found).endswith(rated.table(found))

"""Means over documents against their definitions and a naive bootstrap."""

import numpy as np
import pytest

from tfvis_jax.errors import InputError
from tfvis_jax.probing import scores
from tfvis_jax.studies import by_document, verdicts

RNG = np.random.default_rng(0)
DOCUMENTS = RNG.integers(0, 12, size=90) * 7
VALUES = RNG.exponential(size=90)
WEIGHTS = RNG.integers(0, 4, size=90)


def _naive(figure):
    """Documents drawn in a loop, from the same stream."""
    names = np.unique(DOCUMENTS)
    times = np.random.default_rng(3).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=50
    )
    found = []
    for drawn in times:
        rows = np.concatenate(
            [
                np.tile(np.flatnonzero(name == DOCUMENTS), n)
                for name, n in zip(names, drawn, strict=True)
            ]
        )
        found.append(figure(rows.astype(int)))
    return found


@pytest.fixture(scope="module")
def resampled():
    return by_document.Resampled(DOCUMENTS, n_resamples=50, seed=3)


def test_figures_are_those_of_documents_drawn_one_by_one(resampled):
    other = VALUES[::-1]
    for found, figure in (
        (resampled.mean(VALUES), lambda rows: VALUES[rows].mean()),
        (
            resampled.mean(VALUES, WEIGHTS),
            lambda rows: np.average(VALUES[rows], weights=WEIGHTS[rows]),
        ),
        (
            by_document.quotient(resampled.mean(VALUES), resampled.mean(other)),
            lambda rows: VALUES[rows].sum() / other[rows].sum(),
        ),
        (
            resampled.geometric_mean(VALUES, floor=0.1),
            lambda rows: np.exp(np.mean(np.log(np.maximum(VALUES[rows], 0.1)))),
        ),
        (
            by_document.difference(
                resampled.mean(VALUES), resampled.mean(other), sign=-1
            ),
            lambda rows: other[rows].mean() - VALUES[rows].mean(),
        ),
    ):
        assert found.value == pytest.approx(figure(np.arange(90)))
        np.testing.assert_allclose(found.samples, _naive(figure))
        assert found.low == pytest.approx(np.percentile(found.samples, 2.5))
        assert found.high == pytest.approx(np.percentile(found.samples, 97.5))


def test_values_without_weight_are_not_read(resampled):
    holes = np.where(WEIGHTS > 0, VALUES, np.nan)
    found = resampled.mean(holes, WEIGHTS)
    assert found.value == resampled.mean(VALUES, WEIGHTS).value


def test_numbers_are_json():
    estimate = scores.Estimate(0.5, float("nan"), 1.0, np.zeros(2))
    assert by_document.numbers(estimate) == [0.5, None, 1.0]
    with pytest.raises(InputError, match="one document or more, got none"):
        by_document.Resampled(np.zeros(0))


def _margin(low, high):
    return scores.Estimate((low + high) / 2, low, high, np.zeros(2))


@pytest.mark.parametrize(
    ("margins", "verdict"),
    [
        ([(1, 2), (0.1, 3)], "holds"),
        ([(1, 2), (-1, 3)], "holds in part"),
        ([(1, 2), (-3, -1)], "holds in part"),
        ([(-1, 2), (-3, -1)], "does not hold here"),
        ([(-1, 2), (-3, 1)], "not decided by this test"),
        ([], "not decided by this test"),
    ],
)
def test_verdicts_follow_the_intervals(margins, verdict):
    named = {str(n): _margin(*margin) for n, margin in enumerate(margins)}
    assert verdicts.from_margins(named) == verdict
    # Four documents say next to nothing about others.
    assert verdicts.from_margins(named, n_documents=4) == "not decided by this test"


def test_margins_in_words():
    margins = {"chance": _margin(1, 2), "x": _margin(-3, -1)}
    assert verdicts.in_words(margins) == (
        "1.5 [1, 2] ahead of chance; 2 [1, 3] behind x"
    )


def test_values_become_plain_for_json():
    estimate = scores.Estimate(1.0, 0.5, float("nan"), np.zeros(0))
    found = by_document.plain({"a": estimate, "b": (2.0, float("nan")), "c": ["x", 3]})
    assert found == {"a": [1.0, 0.5, None], "b": [2.0, None], "c": ["x", 3]}

"""Intervals against draws of rows, document by document, and their coverage."""

import numpy as np
import pytest

from tfvis_jax.evaluation import intervals

KIND = "lasso"


def _rows(rng, *, n_documents, n_layers=2, d_model=6):
    """Rows x, errors and L0 of each document and layer; documents differ."""
    sizes = rng.integers(3, 30, size=n_documents)
    shift = rng.normal(size=(n_documents, d_model))
    difficulty = rng.uniform(0.2, 0.8, size=n_documents)
    layers = []
    for layer in range(n_layers):
        x = [
            (layer + 1) * (shift[d] + rng.normal(size=(size, d_model)))
            for d, size in enumerate(sizes)
        ]
        error = [
            difficulty[d] * (layer + 1) * rng.normal(size=(size, d_model))
            for d, size in enumerate(sizes)
        ]
        active = [
            rng.poisson(10 * difficulty[d] + 1, size) for d, size in enumerate(sizes)
        ]
        layers.append((x, error, active))
    return layers


def _sums(layers):
    return [
        intervals.DocumentSums(
            n_rows=np.array([len(rows) for rows in x], float),
            x=np.stack([rows.sum(axis=0) for rows in x]),
            squared_norm=np.array([np.sum(rows**2) for rows in x]),
            squared_error={KIND: np.array([np.sum(rows**2) for rows in error])},
            n_active={KIND: np.array([rows.sum() for rows in active], float)},
        )
        for x, error, active in layers
    ]


def _by_definition(layers, chosen):
    """FVU and L0 of the rows of chosen documents, one repeated where drawn twice."""
    error = variance = 0.0
    active = []
    for x, residual, l0 in layers:
        rows = np.concatenate([x[d] for d in chosen])
        error += np.sum(np.concatenate([residual[d] for d in chosen]) ** 2)
        variance += np.sum((rows - rows.mean(axis=0)) ** 2)
        active.append(np.concatenate([l0[d] for d in chosen]))
    return error / variance, np.concatenate(active).mean()


def test_draws_are_those_of_rows_grouped_by_document():
    rng = np.random.default_rng(0)
    layers = _rows(rng, n_documents=9)
    sums = _sums(layers)
    chosen = rng.integers(0, 9, size=(50, 9))
    drawn = np.stack([np.bincount(row, minlength=9) for row in chosen])
    for part in (slice(0, 2), slice(0, 1), slice(1, 2)):
        expected = np.array([_by_definition(layers[part], row) for row in chosen])
        got = [
            figure(drawn, sums[part], KIND) for figure in (intervals.fvu, intervals.l0)
        ]
        np.testing.assert_allclose(np.stack(got, axis=1), expected, rtol=1e-10)


def test_intervals_are_quantiles_of_many_draws():
    rng = np.random.default_rng(1)
    layers = _rows(rng, n_documents=20)
    found = intervals.of_kind(_sums(layers), KIND)
    draws = np.array(
        [_by_definition(layers, rng.integers(0, 20, size=20)) for _ in range(4000)]
    )
    for place, name in enumerate(("fvu", "l0")):
        low, high = np.quantile(draws[:, place], [0.025, 0.975])
        # Quantiles of 1,000 and of 4,000 draws: a few percent of the width.
        margin = 0.15 * (high - low)
        assert abs(found[name].all.low - low) < margin
        assert abs(found[name].all.high - high) < margin
        assert len(found[name].per_layer) == 2
    assert intervals.of_kind(_sums(layers), KIND) == found


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    truth = _by_definition(_rows(rng, n_documents=20_000), range(20_000))
    covered = []
    for _ in range(200):
        found = intervals.of_kind(_sums(_rows(rng, n_documents=30)), KIND)
        covered.append(
            [
                found[name].all.low <= value <= found[name].all.high
                for name, value in zip(("fvu", "l0"), truth, strict=True)
            ]
        )
    # Quantiles of 30 documents are known to be a little narrow; 200 trials are known
    # within 3 %.
    share = np.mean(covered, axis=0)
    assert np.all(share > 0.88) and np.all(share <= 0.99), share


def test_drawing_rows_instead_would_be_too_narrow():
    rng = np.random.default_rng(3)
    layers = _rows(rng, n_documents=30)
    by_document = intervals.of_kind(_sums(layers), KIND)["l0"].all
    alone = [
        tuple([row[None] for rows in part for row in rows] for part in layer)
        for layer in layers
    ]
    by_row = intervals.of_kind(_sums(alone), KIND)["l0"].all
    assert by_row.high - by_row.low < 0.6 * (by_document.high - by_document.low)


def test_few_documents_have_no_interval():
    rng = np.random.default_rng(4)
    layers = _rows(rng, n_documents=4)
    assert intervals.of_kind(_sums(layers), KIND) is None
    nothing = intervals.DocumentSums.zeros([KIND], n_documents=0, d_model=6)
    assert intervals.of_kind([nothing], KIND) is None
    five = intervals.of_kind(_sums(_rows(rng, n_documents=5)), KIND)
    assert five["fvu"].all.low < five["fvu"].all.high


def test_rows_without_variance_have_no_fvu():
    sums = intervals.DocumentSums.zeros([KIND], n_documents=6, d_model=2)
    sums.n_rows += 1
    found = intervals.of_kind([sums], KIND)
    assert np.isnan(found["fvu"].all).all() and found["l0"].all == (0, 0)


@pytest.mark.parametrize("n", [1, 7, intervals.MOST_DOCUMENTS, 2500])
def test_many_documents_are_joined_with_their_neighbours(n):
    documents = np.repeat(10 * np.arange(n), 3)
    groups = intervals.groups(documents)
    assert np.all(np.diff(groups) >= 0) and groups[0] == 0
    assert groups.max() == min(n, intervals.MOST_DOCUMENTS) - 1
    # No document is in two groups, and groups have about the same size.
    for document in np.unique(documents)[:50]:
        assert len(np.unique(groups[documents == document])) == 1
    sizes = np.bincount(groups)
    assert sizes.max() - sizes.min() <= 3

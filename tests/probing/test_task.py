"""Folds: no document in two, classes spread, and the same by seed."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from tfvis_jax import probing
from tfvis_jax.errors import InputError


@st.composite
def _rows(draw):
    """Rows of two or three classes, each in at least five documents."""
    n_documents = draw(st.integers(5, 40))
    n_classes = draw(st.integers(2, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels, documents = [], []
    for document in range(n_documents):
        for _ in range(rng.integers(1, 12)):
            labels.append(rng.choice(n_classes, p=rng.dirichlet(np.ones(n_classes))))
            documents.append(document)
    for name in range(n_classes):
        for document in rng.permutation(n_documents)[:5]:
            labels.append(name)
            documents.append(document)
    return [str(label) for label in labels], documents


@hypothesis.given(rows=_rows(), seed=st.integers(0, 100))
@hypothesis.settings(deadline=None, max_examples=60)
def test_documents_are_in_one_fold_and_no_fold_lacks_the_rarest_class(rows, seed):
    labels, documents = rows
    task = probing.make_task(labels, documents, seed=seed)
    for document in np.unique(documents):
        assert len(set(task.folds[np.array(documents) == document].tolist())) == 1
    assert set(task.folds.tolist()) == set(range(5))
    assert [task.classes[i] for i in task.y] == labels
    again = probing.make_task(labels, documents, seed=seed)
    np.testing.assert_array_equal(again.folds, task.folds)


def test_rare_positives_are_spread_over_all_folds():
    # Seven documents of 200 have a positive.
    documents = np.repeat(np.arange(200), 5)
    labels = np.full(1000, "other", "<U8")
    labels[[3, 100, 333, 500, 501, 502, 777, 900, 990]] = "positive"
    for seed in range(20):
        task = probing.make_task(labels, documents, seed=seed)
        positive = np.bincount(task.folds[task.y == 1], minlength=5)
        assert positive.min() >= 1
        assert np.ptp(np.bincount(task.folds)) <= 10


def test_shares_are_even_on_many_documents():
    rng = np.random.default_rng(0)
    documents = rng.integers(0, 300, 3000)
    labels = rng.choice(["a", "b", "c"], 3000, p=[0.7, 0.2, 0.1])
    task = probing.make_task(labels, documents)
    for fold in range(5):
        share = np.bincount(task.y[task.folds == fold], minlength=3) / 600
        # A document has ten rows.
        np.testing.assert_allclose(share, [0.7, 0.2, 0.1], atol=0.05)


def test_seeds_differ():
    documents, labels = np.arange(100), np.array(["a", "b"] * 50)
    folds = [probing.make_task(labels, documents, seed=s).folds for s in range(3)]
    assert len({tuple(each.tolist()) for each in folds}) == 3


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(InputError, match="got 3 with 4 of 9 rows"):
        probing.make_task(["a"] * 5 + ["b"] * 4, [0, 1, 2, 3, 4, 5, 6, 7, 7])
    with pytest.raises(InputError, match="two classes to tell apart, got a"):
        probing.make_task(["a"] * 9, range(9))
    with pytest.raises(InputError, match="each of 2 rows, got 1"):
        probing.make_task(["a", "b"], [1])
    task = probing.make_task(["a", "b"] * 5, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    assert task.index("b") == 1
    with pytest.raises(InputError, match="a class of a, b, got 'c'"):
        task.index("c")

"""A question to a representation: rows, their classes, and folds by document."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfvis_jax.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What is to be predicted of each row, and which rows are tested together.

    Attributes:
      y: [n] int64, the index of each row's class.
      classes: the names of the classes.
      documents: [n] int64, the index of each row's document.
      folds: [n] int64, the fold in which each row is tested; every document is in one.
    """

    y: np.ndarray
    classes: tuple[str, ...]
    documents: np.ndarray
    folds: np.ndarray

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.folds.max()) + 1

    def index(self, name: str) -> int:
        """Returns the index of a class; InputError if there is none of that name."""
        if name not in self.classes:
            raise InputError(
                f"Expected a class of {', '.join(self.classes)}, got {name!r}."
            )
        return self.classes.index(name)


def make_task(
    labels: Sequence[str] | np.ndarray,
    documents: Sequence[int] | np.ndarray,
    *,
    n_folds: int = 5,
    seed: int = 0,
) -> Task:
    """Builds a task whose folds divide the documents.

    Args:
      labels: [n], the class of each row.
      documents: [n], the document of each row.
      n_folds: number of folds.
      seed: decides the folds.

    Raises:
      InputError: there is one class, or a class is in fewer than ``n_folds`` documents.
    """
    classes, y = np.unique(np.asarray(labels, str), return_inverse=True)
    documents = np.unique(np.asarray(documents), return_inverse=True)[1]
    if len(y) != len(documents):
        raise InputError(
            f"Expected a document for each of {len(y):,} rows, got {len(documents):,}."
        )
    if len(classes) < 2:
        raise InputError(
            "Expected at least two classes to tell apart, got "
            f"{', '.join(classes.tolist()) or 'none'}."
        )
    counts = np.zeros((documents.max() + 1, len(classes)), np.int64)
    np.add.at(counts, (documents, y), 1)
    spread = np.count_nonzero(counts, axis=0)
    if spread.min() < n_folds:
        rare = int(np.argmin(spread))
        raise InputError(
            f"Expected the class {classes[rare]} in at least {n_folds} documents, one "
            f"for each fold; got {spread[rare]} with {counts[:, rare].sum()} of "
            f"{len(y):,} rows. Label more text, join classes or take fewer folds."
        )
    fold_of = assign_folds(counts, n_folds=n_folds, seed=seed)
    return Task(
        y=y.astype(np.int64),
        classes=tuple(classes.tolist()),
        documents=documents.astype(np.int64),
        folds=fold_of[documents],
    )


def assign_folds(counts: np.ndarray, *, n_folds: int, seed: int) -> np.ndarray:
    """Divides documents among folds such that the classes are spread evenly.

    Greedy: the documents with the largest share of the rarest class they hold come
    first, and each goes to the fold that lacks its classes most.

    Args:
      counts: [n_documents, n_classes], rows of each class in each document.
      n_folds: number of folds.
      seed: decides among documents that are alike, and among folds that are.

    Returns:
      [n_documents] int64, the fold of each.
    """
    rng = np.random.default_rng(seed)
    share = counts / counts.sum(axis=0, keepdims=True)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-share[order].max(axis=1), kind="stable")]
    held = np.zeros((n_folds, counts.shape[1]))
    tie = rng.permutation(n_folds)
    fold_of = np.zeros(len(counts), np.int64)
    for document in order.tolist():
        # How much Σ_classes (share of a fold)² grows.
        growth = (2 * held + share[document]) @ share[document]
        fold = min(range(n_folds), key=lambda f: (growth[f], held[f].sum(), tie[f]))
        held[fold] += share[document]
        fold_of[document] = fold
    return fold_of

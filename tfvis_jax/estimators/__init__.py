"""The solvers for any number of rows, and with scikit-learn's conventions.

scikit-learn itself is optional: nothing here imports it unless it asks for its own
objects.
"""

from tfvis_jax.estimators.batches import (
    EncodedBatch,
    EncodedRows,
    encode_batches,
    encode_rows,
)
from tfvis_jax.estimators.coder import SparseCoder
from tfvis_jax.estimators.learner import DictionaryLearning

__all__ = [
    "DictionaryLearning",
    "EncodedBatch",
    "EncodedRows",
    "SparseCoder",
    "encode_batches",
    "encode_rows",
]

"""Probing: what a representation tells about labelled text."""

from tfvis_jax.probing.alignment import Alignment, Tokens, align, tokenize
from tfvis_jax.probing.corpora import (
    coarse_tag,
    read_conllu,
    read_senseval,
    read_word_tags,
)
from tfvis_jax.probing.cross_validation import (
    Predictions,
    choose,
    cross_validate,
    from_labels,
)
from tfvis_jax.probing.labelled import LabelledText, read_json_lines
from tfvis_jax.probing.probes import (
    FullProbe,
    Majority,
    SingleFeature,
    SparseProbe,
    cross_validate_path,
)
from tfvis_jax.probing.reading import read, verbs
from tfvis_jax.probing.scores import (
    ClassScores,
    Estimate,
    Scores,
    accuracy,
    average_precision,
    difference,
    score,
)
from tfvis_jax.probing.task import Task, make_task

__all__ = [
    "Alignment",
    "ClassScores",
    "Estimate",
    "FullProbe",
    "LabelledText",
    "Majority",
    "Predictions",
    "Scores",
    "SingleFeature",
    "SparseProbe",
    "Task",
    "Tokens",
    "accuracy",
    "align",
    "average_precision",
    "choose",
    "coarse_tag",
    "cross_validate",
    "cross_validate_path",
    "difference",
    "from_labels",
    "make_task",
    "read",
    "read_conllu",
    "read_json_lines",
    "read_senseval",
    "read_word_tags",
    "score",
    "tokenize",
    "verbs",
]

"""Classify factors as low (words), mid (patterns), high (long range), or neither."""

from tfvis_jax.levels.evidence import Context, Evidence
from tfvis_jax.levels.judging import of_results
from tfvis_jax.levels.rule import LEVELS, Level, judge

__all__ = ["LEVELS", "Context", "Evidence", "Level", "judge", "of_results"]

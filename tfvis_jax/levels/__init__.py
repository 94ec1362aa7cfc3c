"""Classify factors as low (words), mid (patterns) or high (long range)."""

from tfvis_jax.levels.rule import LEVELS, Evidence, Level, classify, judge, of_results

__all__ = ["LEVELS", "Evidence", "Level", "classify", "judge", "of_results"]

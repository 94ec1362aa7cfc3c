"""Explain what makes a factor fire: saliency maps and measures of their quality.

LIME, occlusion and gradients give each token of a window a weight. `explain` runs them
on targets, which `target_in_window`, `target_in_text` and `target_of_example` find.
"""

from tfvis_jax.saliency.example_target import of_example as target_of_example
from tfvis_jax.saliency.explanation import (
    METHODS,
    REPLACEMENTS,
    Explanation,
    Map,
    explain,
)
from tfvis_jax.saliency.quality import Quality
from tfvis_jax.saliency.target import FoundInText, Target
from tfvis_jax.saliency.target import in_text as target_in_text
from tfvis_jax.saliency.target import of_text as target_of_text
from tfvis_jax.saliency.target import of_window as target_in_window

__all__ = [
    "METHODS",
    "REPLACEMENTS",
    "Explanation",
    "FoundInText",
    "Map",
    "Quality",
    "Target",
    "explain",
    "target_in_text",
    "target_in_window",
    "target_of_example",
    "target_of_text",
]

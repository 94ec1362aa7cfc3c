"""Figures of a run for a paper: one figure a file, drawn from plain arrays."""

from tfvis_jax.figures.contexts import KeyWord, context_panel
from tfvis_jax.figures.curves import importance_curves
from tfvis_jax.figures.density import densities_by_level
from tfvis_jax.figures.reconstruction import reconstruction_by_layer
from tfvis_jax.figures.sentence import sentence_grid

__all__ = [
    "KeyWord",
    "context_panel",
    "densities_by_level",
    "importance_curves",
    "reconstruction_by_layer",
    "sentence_grid",
]

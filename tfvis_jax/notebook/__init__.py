"""Explore runs, factors and sentences in a notebook."""

from tfvis_jax.notebook.factor import Factor, Importance
from tfvis_jax.notebook.panels import Panel
from tfvis_jax.notebook.run import Run, load_run
from tfvis_jax.notebook.sentence import EncodedSentence

__all__ = ["EncodedSentence", "Factor", "Importance", "Panel", "Run", "load_run"]

"""Learning a dictionary from rows: first state, step, loop; no model and no run."""

from tfvis_jax.learning.from_rows import learn
from tfvis_jax.learning.state import TrainState

__all__ = ["TrainState", "learn"]

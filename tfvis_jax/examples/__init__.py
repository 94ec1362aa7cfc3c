"""Find where in the corpus each factor fires: one pass, its files, and reading them."""

from tfvis_jax.examples.contexts import Example, ExampleList
from tfvis_jax.examples.gathering import collect
from tfvis_jax.examples.importance import importance_scores, norm_free_scores
from tfvis_jax.examples.reading import References
from tfvis_jax.examples.results import Results
from tfvis_jax.examples.stored import Examples, load, save

__all__ = [
    "Example",
    "ExampleList",
    "Examples",
    "References",
    "Results",
    "collect",
    "importance_scores",
    "load",
    "norm_free_scores",
    "save",
]

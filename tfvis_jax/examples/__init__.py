"""Find where in the corpus each factor fires: one pass, its files, and reading them."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfvis_jax.examples.contexts import Example, ExampleList
    from tfvis_jax.examples.gathering import collect
    from tfvis_jax.examples.importance import importance_scores, norm_free_scores
    from tfvis_jax.examples.reading import References
    from tfvis_jax.examples.results import Results
    from tfvis_jax.examples.stored import Examples, load, save

# Where each name lives, as above: who reads the files needs no JAX.
_HOME_OF = {
    "Example": "contexts",
    "ExampleList": "contexts",
    "Examples": "stored",
    "References": "reading",
    "Results": "results",
    "collect": "gathering",
    "importance_scores": "importance",
    "load": "stored",
    "norm_free_scores": "importance",
    "save": "stored",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)

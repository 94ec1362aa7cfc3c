"""Describe factors in words: terms, vocabulary, neighbours, user-supplied labels."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfvis_jax.description.factor_description import Description, describe
    from tfvis_jax.description.factor_label import FactorLabel
    from tfvis_jax.description.featured import choose as choose_featured
    from tfvis_jax.description.terms import Term, Terms
    from tfvis_jax.description.vocabulary import Vocabulary

# Where each name lives, as above: who counts words needs no JAX.
_HOME_OF = {
    "Description": ("factor_description", "Description"),
    "FactorLabel": ("factor_label", "FactorLabel"),
    "Term": ("terms", "Term"),
    "Terms": ("terms", "Terms"),
    "Vocabulary": ("vocabulary", "Vocabulary"),
    "choose_featured": ("featured", "choose"),
    "describe": ("factor_description", "describe"),
}

__all__ = [
    "Description",
    "FactorLabel",
    "Term",
    "Terms",
    "Vocabulary",
    "choose_featured",
    "describe",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, its_name = _HOME_OF[name]
    return getattr(importlib.import_module(f"{__name__}.{home}"), its_name)

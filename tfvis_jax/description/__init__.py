"""Describe factors in words: terms, vocabulary, neighbours, user-supplied labels."""

from tfvis_jax.description.factor_description import Description, describe
from tfvis_jax.description.factor_label import FactorLabel
from tfvis_jax.description.featured import choose as choose_featured
from tfvis_jax.description.terms import Term, Terms
from tfvis_jax.description.vocabulary import Vocabulary

__all__ = [
    "Description",
    "FactorLabel",
    "Term",
    "Terms",
    "Vocabulary",
    "choose_featured",
    "describe",
]

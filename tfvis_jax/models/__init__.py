"""Models: encoders in Flax NNX and their pretrained weights."""

from tfvis_jax.models.pretrained import (
    Pretrained,
    head_of,
    load,
    read_config,
    untrained,
)

__all__ = [
    "Pretrained",
    "head_of",
    "load",
    "read_config",
    "untrained",
]

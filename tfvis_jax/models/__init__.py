"""Encoders in Flax NNX and their pretrained weights."""

from tfvis_jax.models.pretrained import (
    PretrainedBert,
    load,
    read_config,
    untrained,
)

__all__ = ["PretrainedBert", "load", "read_config", "untrained"]

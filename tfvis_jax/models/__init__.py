"""Models: encoders in Flax NNX and their pretrained weights."""

from tfvis_jax.models.pretrained import (
    PretrainedBert,
    has_masked_lm_head,
    load,
    read_config,
    untrained,
)

__all__ = [
    "PretrainedBert",
    "has_masked_lm_head",
    "load",
    "read_config",
    "untrained",
]

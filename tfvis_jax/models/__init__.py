"""Encoders in Flax NNX and their pretrained weights."""

from tfvis_jax.models.pretrained import PretrainedBert, load

__all__ = ["PretrainedBert", "load"]

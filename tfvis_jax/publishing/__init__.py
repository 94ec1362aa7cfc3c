"""Runs on the hub: what is published of them, and how they are opened from there."""

from tfvis_jax.publishing.options import Options
from tfvis_jax.publishing.upload import Plan, publish

__all__ = ["Options", "Plan", "publish"]

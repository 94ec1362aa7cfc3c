"""The `tfvis` command."""

from tfvis_jax.cli.dispatch import main

__all__ = ["main"]

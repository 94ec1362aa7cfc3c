"""The `tfvis` command."""

from tfvis_jax.cli.main import main

__all__ = ["main"]

"""Computes the length of a run: batches, parts of a batch, dictionary steps."""

import math
from typing import NamedTuple

from tfvis_jax import config as config_lib
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib


class Schedule(NamedTuple):
    """The length of a run, which depends on its settings and corpus alone.

    Attributes:
      num_batches: number of batches of windows over all epochs.
      num_parts: number of parts in a batch; a step draws equally from each.
      rows_per_part: number of rows that a step draws from each part.
      steps_per_batch: maximum number of dictionary steps per batch.
    """

    num_batches: int
    num_parts: int
    rows_per_part: int
    steps_per_batch: int


def of_run(
    config: config_lib.RunConfig, windows: windows_lib.Windows, *, n_layers: int
) -> Schedule:
    """Returns the length of a run.

    Args:
      config: settings of the run.
      windows: its tokens.
      n_layers: number of hidden states per token.
    """
    num_batches = loader.num_batches(
        len(windows.train),
        batch_size=config.windows_per_batch,
        num_epochs=config.num_epochs,
    )
    num_parts = loader.num_parts(config.windows_per_batch)
    rows_per_part = math.ceil(config.rows_per_step / num_parts)
    tokens = config.windows_per_batch // num_parts * windows.window_length
    rows = math.ceil(n_layers * tokens * config.row_fraction)
    return Schedule(
        num_batches, num_parts, rows_per_part, math.ceil(rows / rows_per_part)
    )

"""How fast a run is on this machine, and how much text it can take in a given time.

A trial trains on the beginning of the text for some seconds, in a temporary folder,
with the run's own settings. Its compiled programs are those of the run.
"""

import contextlib
import dataclasses
import math
import pathlib
import tempfile
import time
import warnings
from typing import NamedTuple

import jax

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.errors import InputError
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline import training
from tfvis_jax.planning import costs, plan, timing
from tfvis_jax.training import loop, metrics_log

# Seconds of training after the first batch, which compiles, and batches at least: the
# last one is not counted.
_SECONDS = 10.0
_LEAST_BATCHES = 3
# Batches of windows that the text of a trial fills, as long as there is text.
_BATCHES = 12
# A held-out row is solved, certified and refitted: about twice a trained one.
_HELD_OUT_ROWS = 2.0
# What the page takes, and programs that are compiled again.
_OF_ROWS = 0.85


class Trial(NamedTuple):
    """What a trial found.

    Attributes:
      measured: the rate, as of a run.
      n_layers: number of hidden states of a token.
      seconds: the time that the trial took, compilation included.
    """

    measured: timing.Measured
    n_layers: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class TextBudget:
    """How much text a run can take.

    Attributes:
      max_tokens: tokens of the text.
      n_rows: hidden states that are trained on.
      rows_per_second: rate of training in the trial.
    """

    max_tokens: int
    n_rows: int
    rows_per_second: float


def run_trial(
    config: config_lib.RunConfig,
    *,
    mesh: jax.sharding.Mesh | None = None,
    progress: progress_lib.Progress = progress_lib.silent,
) -> Trial:
    """Trains on the beginning of the text until the rate is known.

    Args:
      config: settings of the run.
      mesh: devices to use; the first one if None.
      progress: hears of the stage "trial".

    Raises:
      InputError: the settings, the model or the text cannot be used; or the text has
        too few batches.
    """
    start = time.monotonic()
    mesh = sharding.one_device() if mesh is None else mesh
    tokens = _BATCHES * config.windows_per_batch * config.corpus.window_length
    if config.corpus.max_tokens is not None:
        tokens = min(tokens, config.corpus.max_tokens)
    tried = dataclasses.replace(
        config,
        corpus=dataclasses.replace(config.corpus, max_tokens=tokens),
        checkpoints=None,
        # One is saved at the end.
        checkpoint_every=10**6,
        patience=None,
    )
    with (
        progress_lib.Stages(progress).stage("trial"),
        tempfile.TemporaryDirectory(prefix="tfvis-trial-") as name,
    ):
        path = pathlib.Path(name) / "run"
        with warnings.catch_warnings():
            # The run itself tells what it leaves out.
            warnings.simplefilter("ignore")
            opened, windows = training.prepare(path, tried, mesh=mesh)
        clock = _Clock()
        with contextlib.suppress(loop.Interrupted):
            loop.fit(
                opened,
                windows,
                progress=clock.hear,
                should_stop=clock.is_over,
                mesh=mesh,
            )
        # The last batch's time has the held-out windows in it.
        rate = plan.measured_rate(metrics_log.read(opened.run.metrics)[:-1])
    if rate is None:
        raise InputError(
            f"Expected text of at least {_LEAST_BATCHES + 1} batches, "
            f"{config.windows_per_batch} windows of {config.corpus.window_length} "
            f"tokens each, to measure the rate; it fills {len(windows)} in all. So "
            "short a text needs no limit."
        )
    device = mesh.devices.flat[0]
    measured = timing.Measured(
        path=pathlib.Path("a trial on this machine"),
        config=config,
        rate=rate,
        mesh=costs.Mesh(
            mesh.shape[sharding.DATA], mesh.shape[sharding.FACTOR], device.platform
        ),
        kind=device.device_kind,
    )
    return Trial(measured, len(opened.layers), time.monotonic() - start)


def text_within(
    config: config_lib.RunConfig, found: Trial, *, seconds: float, examples: bool
) -> TextBudget:
    """Returns how much text fits a time.

    Each token of the text is trained on, or held out and measured, at each layer, and
    is encoded once more for the examples; rows take what they took in the trial.

    Args:
      config: settings of the run.
      found: its trial, whose own time counts.
      seconds: of the whole run, the trial included.
      examples: whether the run makes the examples and the page.

    Raises:
      InputError: the time is too short for two batches.
    """
    row = found.measured.rate.seconds_for(1)
    held_out = config.corpus.held_out_fraction
    trained = (1 - held_out) * config.row_fraction * config.num_epochs
    token = found.n_layers * row * (trained + _HELD_OUT_ROWS * held_out + examples)
    max_tokens = int(_OF_ROWS * (seconds - found.seconds) / token)
    least = 2 * config.windows_per_batch * config.corpus.window_length
    if max_tokens < least:
        needed = found.seconds + least * token / _OF_ROWS
        raise InputError(
            f"Expected at least {math.ceil(needed / 6) / 10} minutes, in which this "
            f"machine takes two batches of text, got {seconds / 60:.3g}."
        )
    if config.corpus.max_tokens is not None:
        max_tokens = min(max_tokens, config.corpus.max_tokens)
    return TextBudget(max_tokens, int(max_tokens * trained * found.n_layers), 1 / row)


class _Clock:
    """Tells when a trial has seen enough."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._done = 0

    def hear(self, done: int, total: int) -> None:
        """Hears how many batches are done."""
        del total
        self._done = done
        if done and self._first is None:
            self._first = time.monotonic(), done

    def is_over(self) -> bool:
        """Returns whether enough time has passed since the first batch."""
        if self._first is None:
            return False
        since, first = self._first
        enough = self._done - first >= _LEAST_BATCHES
        return enough and time.monotonic() - since >= _SECONDS

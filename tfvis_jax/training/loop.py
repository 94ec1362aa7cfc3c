"""The training loop: batches of windows in, a dictionary out, resumable anywhere."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.training import checkpoint, initialise, metrics_log, setup, step
from tfvis_jax.training import state as state_lib

Progress = Callable[[int, int], None]


class Interrupted(Exception):
    """Training was asked to stop; what it had learnt is saved."""


class Schedule(NamedTuple):
    """How long a run is; a function of settings and corpus.

    Attributes:
      num_batches: window batches over all epochs.
      rows_per_batch: room for the rows drawn from a batch, a multiple of a step's.
    """

    num_batches: int
    rows_per_batch: int


def schedule(
    config: config_lib.RunConfig, windows: windows_lib.Windows, *, n_layers: int
) -> Schedule:
    """Returns the length of a run."""
    num_batches = loader.num_batches(
        len(windows.train),
        batch_size=config.windows_per_batch,
        num_epochs=config.num_epochs,
    )
    rows = n_layers * config.windows_per_batch * windows.window_length
    steps = math.ceil(rows * config.row_fraction / config.rows_per_step)
    return Schedule(num_batches, steps * config.rows_per_step)


def fit(
    opened: setup.Setup,
    windows: windows_lib.Windows,
    *,
    progress: Progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> state_lib.TrainState:
    """Learns the dictionary of a run, from its newest checkpoint if there is one.

    Args:
      opened: model, layers and settings.
      windows: tokens of the corpus.
      progress: called with (batches done, batches in all).
      should_stop: asked after every batch; when true the state is saved.

    Returns:
      The state after the last batch.

    Raises:
      Interrupted: ``should_stop`` said so.
      InputError: hidden states that are not finite (names the batch).
    """
    config = opened.config
    length = schedule(config, windows, n_layers=len(opened.layers))
    with checkpoint.open_folder(opened.run.checkpoints) as checkpoints:
        log = metrics_log.MetricsLog(
            opened.run.metrics, resumed_at=checkpoints.latest_batch or 0
        )
        if checkpoints.latest_batch is None:
            state = initialise.initial_state(
                opened,
                _batches(config, windows, start=0),
                rows_per_batch=length.rows_per_batch,
            )
        else:
            state = checkpoints.restore(
                state_lib.abstract(
                    n_factors=config.dictionary.n_factors,
                    d_model=opened.pretrained.config.d_model,
                    n_layers=len(opened.layers),
                    config=config.dictionary,
                )
            )
        resumed_at = int(state.batch)
        progress(resumed_at, length.num_batches)
        train_batch = _batch_trainer(opened, windows, length)
        batches = _batches(config, windows, start=resumed_at)
        for done, batch in enumerate(batches, start=resumed_at + 1):
            state, metrics = train_batch(state, batch)
            log.write(metrics, batch=done, window_ids=batch.window_ids)
            progress(done, length.num_batches)
            last = done == length.num_batches
            stop = should_stop() and not last
            if done % config.checkpoint_every == 0 or stop or last:
                checkpoints.save(state, batch=done)
            if stop:
                raise Interrupted
    return state


def token_weights(token_counts: np.ndarray, *, enabled: bool) -> np.ndarray:
    """Returns 1/√count of every token, with a mean of 1 over the corpus.

    Yun et al. (2021) weigh the residual so that frequent tokens do not rule the
    dictionary; the normalisation keeps the step size independent of the corpus' size.

    Args:
      token_counts: [vocab_size] occurrences in the training windows.
      enabled: ones when false.

    Returns:
      [vocab_size] float32.
    """
    if not enabled:
        return np.ones(len(token_counts), np.float32)
    counts = np.maximum(token_counts, 1).astype(np.float64)
    mean = np.sum(token_counts / np.sqrt(counts)) / max(np.sum(token_counts), 1)
    return (1 / np.sqrt(counts) / max(mean, 1e-30)).astype(np.float32)


def _batches(config, windows, *, start):
    return loader.batches(
        windows,
        windows.train,
        batch_size=config.windows_per_batch,
        seed=config.seed,
        start=start,
        num_epochs=config.num_epochs,
    )


def _batch_trainer(opened, windows, length):
    """Returns the function that trains on one batch of windows."""
    config, layers = opened.config, opened.layers
    key_rows = jax.random.fold_in(jax.random.key(config.seed), 0)
    weight_of_token = jnp.asarray(
        token_weights(windows.token_counts, enabled=config.token_weights)
    )
    train_step = functools.partial(
        step.train_step, solver=config.solver, dictionary=config.dictionary
    )

    def train_batch(state, batch):
        hidden_states = hidden_states_lib.scaled_hidden_states(
            opened.pretrained.encoder,
            batch.token_ids,
            batch.token_mask,
            state.layer_scale,
            layers=layers,
        )
        order = hidden_states_lib.shuffle_rows(
            jax.random.fold_in(key_rows, state.batch),
            batch.row_mask,
            n_layers=len(layers),
            n_selected=length.rows_per_batch,
        )
        # The host knows the mask: no step is made of padding alone, and rows are
        # spread evenly, since a step on a handful of them would be mostly noise.
        n_rows = int(batch.row_mask.sum()) * len(layers)
        n_valid = math.ceil(n_rows * config.row_fraction)
        n_steps = math.ceil(n_valid / config.rows_per_step)
        progress = state.batch / length.num_batches
        metrics = []
        for number in range(n_steps):
            x, token_ids, valid = hidden_states_lib.take_rows(
                hidden_states,
                batch.token_ids,
                order,
                start=jnp.int32(number * n_valid // n_steps),
                stop=jnp.int32((number + 1) * n_valid // n_steps),
                size=config.rows_per_step,
            )
            state, step_metrics = train_step(
                state, x, weight_of_token[token_ids], valid, progress=progress
            )
            metrics.append(step_metrics)
        return dataclasses.replace(state, batch=state.batch + 1), metrics

    return train_batch

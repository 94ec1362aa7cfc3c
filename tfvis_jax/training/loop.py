"""Runs the training loop: learns a dictionary from batches of windows, resumably.

The loop is the same on one device, several devices and several machines: it places
arrays on a mesh, and all other code follows their sharding. Up to rounding, the result
does not depend on the mesh.
"""

import contextlib
import dataclasses
import functools
import math
import pathlib
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

import jax
import numpy as np

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import hidden_states_folder, loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step
from tfvis_jax.models import encoder as encoder_lib
from tfvis_jax.runs import setup
from tfvis_jax.training import (
    checkpoint,
    initialise,
    metrics_log,
    schedule,
    step_program,
    watch,
)
from tfvis_jax.training import held_out as held_out_lib
from tfvis_jax.training import mesh as mesh_lib

Progress = Callable[[int, int], None]
# The state after a batch, and the metrics of its steps.
_TrainedBatch = tuple[state_lib.TrainState, list[step.StepMetrics]]


class Interrupted(Exception):
    """Training was asked to stop; its state is saved."""


def fit(
    opened: setup.Setup,
    windows: windows_lib.Windows,
    *,
    progress: Progress,
    should_stop: Callable[[], bool] = lambda: False,
    mesh: jax.sharding.Mesh | None = None,
    notify: Callable[[str], None] = warnings.warn,
    profile_batch: int | None = None,
    stored: hidden_states_folder.StoredHiddenStates | None = None,
) -> state_lib.TrainState:
    """Learns the dictionary of a run, resuming from its newest checkpoint if any.

    Args:
      opened: model, layers and settings.
      windows: tokens of the corpus.
      progress: called with (batches done, batches in all).
      should_stop: called after every batch; if it returns True in any process, the
        state is saved and training stops.
      mesh: devices of all processes to use; this process's first device if None. A run
        can resume on another mesh than it started on.
      notify: called with a message about events that do not stop training, such as a
        checkpoint that is damaged or could not be saved.
      profile_batch: number of the batch, from 1, to record a profiler trace of.
      stored: stored hidden states to read instead of running the encoder.

    Returns:
      The state after the last batch, in the memory of every process.

    Raises:
      Interrupted: ``should_stop`` returned True.
      InputError: hidden states are not finite (names the batch), or the settings do not
        suit the mesh.
    """
    config = opened.config
    mesh = sharding.one_device() if mesh is None else mesh
    length = schedule.of_run(config, windows, n_layers=len(opened.layers))
    mesh_lib.check(config, mesh)
    with checkpoint.open_folder(
        config.checkpoints or opened.run.checkpoints,
        run=setup.identity(opened, windows),
        notify=notify,
    ) as checkpoints:
        train_step = step_program.StepProgram(opened, length, mesh=mesh)
        encoder = sharding.place(mesh, opened.pretrained.encoder, jax.P())
        # Where some steps measure layers as well, two programs would take turns.
        ahead = not config.sparsity.equal_l0 and _trains_on(
            opened, length, checkpoints.latest_batch
        )
        with train_step.compiling() if ahead else contextlib.nullcontext():
            state = _first_state(
                opened,
                windows,
                checkpoints,
                encoder=encoder,
                mesh=mesh,
                shapes=train_step.state,
                stored=stored,
                should_stop=should_stop,
            )
        resumed_at = int(state.batch)
        errors = _held_out_errors(opened, resumed_at)
        log = metrics_log.MetricsLog(opened.run.metrics, resumed_at=resumed_at)
        progress(resumed_at, length.num_batches)
        if held_out_lib.has_settled(errors, patience=config.patience):
            return sharding.fetch(state)
        # The order of batches is a function of the seed, so their number is enough to
        # continue where the checkpoint was made.
        batches = _batches(
            config,
            windows,
            stored=stored,
            start=resumed_at,
            places=sharding.local_rows(mesh, size=config.windows_per_batch),
        )
        with jax.set_mesh(mesh):
            train_batch = _batch_trainer(
                opened, windows, length, train_step, encoder=encoder, mesh=mesh
            )
        held_out = held_out_lib.HeldOut(opened, windows, mesh=mesh)
        looking = watch.Watch()
        for done, batch in enumerate(looking.waiting(batches), resumed_at + 1):
            with (
                _traced(opened.run.profile, batch=done, wanted=profile_batch),
                jax.set_mesh(mesh),
            ):
                state, metrics = train_batch(state, batch)
            last = done == length.num_batches
            # All processes have to stop at the same batch.
            stop = sharding.any_process(should_stop()) and not last
            on_schedule = done % config.checkpoint_every == 0
            saves = on_schedule or stop or last
            fvu = held_out.fvu(state) if saves else None
            log.add(
                metrics,
                batch=done,
                window_ids=batch.window_ids,
                **looking.look(),
                held_out_fvu=fvu,
            )
            progress(done, length.num_batches)
            if saves:
                # Checks the metrics first: a diverged state must not be saved.
                log.flush()
                checkpoints.save(state, batch=done, fvu=fvu)
            if stop:
                raise Interrupted
            # Errors at interruptions are left out, so that patience does not depend
            # on how often a run was interrupted.
            if on_schedule and fvu is not None:
                errors.append(fvu)
            if held_out_lib.has_settled(errors, patience=config.patience):
                notify(
                    f"The held-out error has not fallen for {config.patience} "
                    f"checkpoints; training stops after batch {done} of "
                    f"{length.num_batches}."
                )
                break
    return sharding.fetch(state)


def _trains_on(
    opened: setup.Setup, length: schedule.Schedule, latest_batch: int | None
) -> bool:
    """Returns whether there is a step left, as far as the newest checkpoint tells."""
    if latest_batch is None:
        return True
    errors = _held_out_errors(opened, latest_batch)
    settled = held_out_lib.has_settled(errors, patience=opened.config.patience)
    return latest_batch < length.num_batches and not settled


def _held_out_errors(opened: setup.Setup, resumed_at: int) -> list[float]:
    """Returns the errors at regular checkpoints, leaving out interruptions."""
    return [
        line["held_out_fvu"]
        for line in metrics_log.read(opened.run.metrics)
        if line["batch"] <= resumed_at
        and line["batch"] % opened.config.checkpoint_every == 0
        and "held_out_fvu" in line
    ]


def token_weights(token_counts: np.ndarray, *, enabled: bool) -> np.ndarray:
    """Returns 1/√count of every token, normalised to a mean of 1 over the corpus.

    Yun et al. (2021) weight the residual so that frequent tokens do not dominate the
    dictionary. The normalisation makes the step size independent of the corpus' size.

    Args:
      token_counts: [vocab_size] occurrences in the training windows.
      enabled: If False, return ones.

    Returns:
      [vocab_size] float32.
    """
    if not enabled:
        return np.ones(len(token_counts), np.float32)
    # Tokens that were never seen get the weight of those seen once.
    counts = np.maximum(token_counts, 1).astype(np.float64)
    mean = np.sum(token_counts / np.sqrt(counts)) / max(np.sum(token_counts), 1)
    return (1 / np.sqrt(counts) / max(mean, 1e-30)).astype(np.float32)


def _first_state(
    opened: setup.Setup,
    windows: windows_lib.Windows,
    checkpoints: checkpoint.Checkpoints,
    *,
    encoder: encoder_lib.Encoder,
    mesh: jax.sharding.Mesh,
    shapes: state_lib.TrainState,
    stored: hidden_states_folder.StoredHiddenStates | None,
    should_stop: Callable[[], bool],
) -> state_lib.TrainState:
    """Returns the newest checkpoint's state, or a new state, on the mesh."""
    if checkpoints.latest_batch is not None:
        return checkpoints.restore(shapes)

    def until_stopped(batches: Iterator[loader.Batch]) -> Iterator[loader.Batch]:
        for batch in batches:
            if sharding.any_process(should_stop()):
                raise Interrupted
            yield batch

    batches = until_stopped(_batches(opened.config, windows, stored=stored))
    return initialise.initial_state(opened, batches, encoder=encoder, mesh=mesh)


def _batches(
    config: config_lib.RunConfig,
    windows: windows_lib.Windows,
    *,
    stored: hidden_states_folder.StoredHiddenStates | None,
    start: int = 0,
    places: np.ndarray | None = None,
) -> Iterator[loader.Batch]:
    return loader.batches(
        windows,
        windows.train,
        batch_size=config.windows_per_batch,
        seed=config.seed,
        start=start,
        num_epochs=config.num_epochs,
        places=places,
        stored=stored,
    )


@contextlib.contextmanager
def _traced(
    folder: pathlib.Path, *, batch: int, wanted: int | None
) -> Generator[None, None, None]:
    """Records a profiler trace of the block if ``batch`` is ``wanted``."""
    with jax.profiler.trace(folder) if batch == wanted else contextlib.nullcontext():
        yield


class _BatchStart(NamedTuple):
    """What a batch begins with.

    Attributes:
      order: [num_parts, n_selected], from `hidden_states.shuffle_rows`.
      progress: scalar, the share of the run that is done.
      next_batch: scalar int32, the number of the next batch.
    """

    order: jax.Array
    progress: jax.Array
    next_batch: jax.Array


@functools.partial(jax.jit, static_argnames=("n_layers", "length"))
def _start(
    seed: jax.Array,
    batch: jax.Array,
    row_mask: jax.Array,
    *,
    n_layers: int,
    length: schedule.Schedule,
) -> _BatchStart:
    # Rows are drawn from stream 0 of the seed; 1 initialises the dictionary.
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 0), batch)
    order = hidden_states_lib.shuffle_rows(
        key,
        row_mask,
        num_parts=length.num_parts,
        n_layers=n_layers,
        n_selected=length.steps_per_batch * length.rows_per_part,
    )
    return _BatchStart(order, batch / length.num_batches, batch + 1)


def _batch_trainer(
    opened: setup.Setup,
    windows: windows_lib.Windows,
    length: schedule.Schedule,
    train_step: step_program.StepProgram,
    *,
    encoder: encoder_lib.Encoder,
    mesh: jax.sharding.Mesh,
) -> Callable[[state_lib.TrainState, loader.Batch], _TrainedBatch]:
    """Returns the function that trains on one batch of windows."""
    config, layers = opened.config, opened.layers
    weights = token_weights(windows.token_counts, enabled=config.token_weights)
    token_weight = sharding.place(mesh, weights, jax.P())

    def train_batch(state: state_lib.TrainState, batch: loader.Batch) -> _TrainedBatch:
        token_ids, token_mask, row_mask, stored = sharding.place_rows(
            mesh,
            (batch.token_ids, batch.token_mask, batch.row_mask, batch.hidden_states),
            size=config.windows_per_batch,
        )
        if stored is None:
            hidden_states = hidden_states_lib.scaled_hidden_states(
                encoder,
                token_ids,
                token_mask,
                state.layer_scale,
                state.whitening,
                layers=layers,
            )
        else:
            hidden_states = hidden_states_lib.scale_stored(
                stored, state.layer_scale, state.whitening
            )
        start = _start(
            np.uint32(config.seed),
            state.batch,
            row_mask,
            n_layers=len(layers),
            length=length,
        )
        # The host knows the masks, so no step is made of padding alone. Rows are spread
        # evenly over the steps, since a step on a few rows would be mostly noise.
        n_valid = np.ceil(batch.rows_in_part * len(layers) * config.row_fraction)
        n_steps = math.ceil(n_valid.max() / length.rows_per_part)
        metrics = []
        for number in range(n_steps):
            x, weights, valid, layer = hidden_states_lib.take_rows(
                hidden_states,
                token_ids,
                start.order,
                token_weights=token_weight,
                n_valid=n_valid.astype(np.int32),
                step=np.int32(number),
                n_steps=np.int32(n_steps),
                size=length.rows_per_part,
            )
            # Hidden states are scaled once per batch, so the scale changes as often.
            equalises = config.sparsity.equal_l0 and number == n_steps - 1
            state, step_metrics = train_step(
                state,
                x,
                weights,
                valid,
                progress=start.progress,
                layer=layer if equalises else None,
            )
            metrics.append(step_metrics)
        return dataclasses.replace(state, batch=start.next_batch), metrics

    return train_batch

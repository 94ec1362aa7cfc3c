"""The training loop: batches of windows in, a dictionary out, resumable anywhere.

The same on one device, many, and many machines: arrays are placed on a mesh, and all
else follows their layout. What is learnt does not depend on the mesh, up to rounding.
"""

import contextlib
import dataclasses
import functools
import math
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from tfvis_jax import sharding
from tfvis_jax.data import hidden_states as hidden_states_lib
from tfvis_jax.data import hidden_states_folder, loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.learning import state as state_lib
from tfvis_jax.learning import step
from tfvis_jax.runs import setup
from tfvis_jax.training import checkpoint, initialise, metrics_log, schedule, watch
from tfvis_jax.training import held_out as held_out_lib
from tfvis_jax.training import mesh as mesh_lib

Progress = Callable[[int, int], None]


class Interrupted(Exception):
    """Training was asked to stop; what it had learnt is saved."""


def fit(
    opened: setup.Setup,
    windows: windows_lib.Windows,
    *,
    progress: Progress,
    should_stop: Callable[[], bool] = lambda: False,
    mesh: jax.sharding.Mesh | None = None,
    notify: Callable[[str], None] = warnings.warn,
    profile_batch: int | None = None,
    stored: hidden_states_folder.Activations | None = None,
) -> state_lib.TrainState:
    """Learns the dictionary of a run, from its newest checkpoint if there is one.

    Args:
      opened: model, layers and settings.
      windows: tokens of the corpus.
      progress: called with (batches done, batches in all).
      should_stop: asked after every batch; when true in any process the state is saved.
      mesh: devices to use, of all processes; this process's first one if None. A run
        may go on with another mesh than it began with.
      notify: told what a person should know although nothing stops: a checkpoint that
        is damaged or could not be saved.
      profile_batch: number of the batch, from 1, to write a profiler trace of.
      stored: hidden states to read instead of running the encoder.

    Returns:
      The state after the last batch, in the memory of every process.

    Raises:
      Interrupted: ``should_stop`` said so.
      InputError: hidden states that are not finite (names the batch), or a mesh that
        the settings do not go with.
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
        state = _first_state(
            opened,
            windows,
            checkpoints,
            mesh=mesh,
            stored=stored,
            should_stop=should_stop,
        )
        resumed_at = int(state.batch)
        errors = _held_out_errors(opened, resumed_at)
        log = metrics_log.MetricsLog(opened.run.metrics, resumed_at=resumed_at)
        progress(resumed_at, length.num_batches)
        if held_out_lib.has_settled(errors, patience=config.patience):
            return sharding.fetch(state)
        batches = _batches(
            config,
            windows,
            stored=stored,
            start=resumed_at,
            places=sharding.local_rows(mesh, size=config.windows_per_batch),
        )
        with jax.set_mesh(mesh):
            encoder = sharding.place(mesh, opened.pretrained.encoder, jax.P())
            train_batch = _batch_trainer(
                opened, windows, length, encoder=encoder, mesh=mesh
            )
            held_out = held_out_lib.HeldOut(
                opened,
                windows,
                encoder=encoder,
                mesh=mesh,
            )
            looking = watch.Watch()
            for done, batch in enumerate(looking.waiting(batches), resumed_at + 1):
                with _traced(opened.run.profile, batch=done, wanted=profile_batch):
                    state, metrics = train_batch(state, batch)
                last = done == length.num_batches
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
                    log.flush()
                    checkpoints.save(state, batch=done, fvu=fvu)
                if stop:
                    raise Interrupted
                if on_schedule and fvu is not None:
                    errors.append(fvu)
                if held_out_lib.has_settled(errors, patience=config.patience):
                    notify(
                        f"The held-out error has not fallen for {config.patience} "
                        f"checkpoints: training ends after batch {done} of "
                        f"{length.num_batches}."
                    )
                    break
    return sharding.fetch(state)


def _held_out_errors(opened, resumed_at) -> list[float]:
    """Returns the errors at the checkpoints that were not due to an interruption."""
    return [
        line["held_out_fvu"]
        for line in metrics_log.read(opened.run.metrics)
        if line["batch"] <= resumed_at
        and line["batch"] % opened.config.checkpoint_every == 0
        and "held_out_fvu" in line
    ]


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


def _first_state(opened, windows, checkpoints, *, mesh, stored, should_stop):
    """Returns the newest checkpoint's state, or a new one, on the mesh."""
    config = opened.config
    if checkpoints.latest_batch is not None:
        shapes = state_lib.abstract(
            n_factors=config.dictionary.n_factors,
            d_model=opened.pretrained.config.d_model,
            n_layers=len(opened.layers),
            config=config.dictionary,
        )
        return checkpoints.restore(state_lib.with_layout(shapes, mesh))

    def until_stopped(batches):
        for batch in batches:
            if sharding.any_process(should_stop()):
                raise Interrupted
            yield batch

    batches = until_stopped(_batches(config, windows, stored=stored))
    return initialise.initial_state(opened, batches, mesh=mesh)


def _batches(config, windows, *, stored, start=0, places=None):
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
def _traced(folder, *, batch, wanted):
    """Writes a profiler trace of the block if its batch is the one wanted."""
    with jax.profiler.trace(folder) if batch == wanted else contextlib.nullcontext():
        yield


def _batch_trainer(opened, windows, length, *, encoder, mesh):
    """Returns the function that trains on one batch of windows."""
    config, layers = opened.config, opened.layers
    key_rows = jax.random.fold_in(jax.random.key(config.seed), 0)
    weights = token_weights(windows.token_counts, enabled=config.token_weights)
    token_weight = sharding.place(mesh, weights, jax.P())
    train_step = functools.partial(
        step.train_step, solver=config.solver, dictionary=config.dictionary
    )

    def train_batch(state, batch):
        token_ids, token_mask, row_mask, stored = sharding.place_rows(
            mesh,
            (batch.token_ids, batch.token_mask, batch.row_mask, batch.hidden_states),
            size=config.windows_per_batch,
        )
        if stored is None:
            hidden_states = hidden_states_lib.scaled_hidden_states(
                encoder, token_ids, token_mask, state.layer_scale, layers=layers
            )
        else:
            hidden_states = hidden_states_lib.scale_stored(stored, state.layer_scale)
        order = hidden_states_lib.shuffle_rows(
            jax.random.fold_in(key_rows, state.batch),
            row_mask,
            num_parts=length.num_parts,
            n_layers=len(layers),
            n_selected=length.steps_per_batch * length.rows_per_part,
        )
        # The host knows the masks: no step is made of padding alone, and rows are
        # spread evenly, since a step on a handful of them would be mostly noise.
        n_valid = np.ceil(batch.rows_in_part * len(layers) * config.row_fraction)
        n_steps = math.ceil(n_valid.max() / length.rows_per_part)
        progress = state.batch / length.num_batches
        metrics = []
        for number in range(n_steps):
            x, weights, valid, layer = hidden_states_lib.take_rows(
                hidden_states,
                token_ids,
                order,
                token_weights=token_weight,
                n_valid=n_valid.astype(np.int32),
                step=jnp.int32(number),
                n_steps=jnp.int32(n_steps),
                size=length.rows_per_part,
            )
            # Hidden states are scaled once a batch: so the scale moves once a batch.
            equalises = config.solver.equal_l0 and number == n_steps - 1
            state, step_metrics = train_step(
                state,
                x,
                weights,
                valid,
                progress=progress,
                layer=layer if equalises else None,
            )
            metrics.append(step_metrics)
        return dataclasses.replace(state, batch=state.batch + 1), metrics

    return train_batch

"""Training state on a disk or in a bucket, by Orbax; nothing else imports it."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath
from orbax.checkpoint import v1 as ocp

from tfvis_jax import sharding
from tfvis_jax.errors import InputError
from tfvis_jax.learning import state as state_lib
from tfvis_jax.runs import setup
from tfvis_jax.training import checkpoint_storage

# How many are kept.
_NEWEST = 2
# What Orbax puts into each checkpoint.
_MARK = "_CHECKPOINT_METADATA"


class _Damaged(Exception):
    """A checkpoint cannot be used; says which and why."""


class Checkpoints:
    """The newest states of a run, numbered by the window batches they have seen."""

    def __init__(
        self,
        checkpointer: ocp.training.Checkpointer,
        folder: epath.Path,
        run: Mapping[str, Any] | None,
        notify: Callable[[str], None],
    ):
        """Use `open_folder`."""
        self._checkpointer = checkpointer
        self._folder = folder
        self._run = run
        self._notify = notify
        self._writing = None

    @property
    def latest_batch(self) -> int | None:
        """Window batches that the newest checkpoint has seen, if there is one."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(
        self, state: state_lib.TrainState, *, batch: int, fvu: float | None = None
    ) -> None:
        """Saves a state; it counts only once it is whole.

        Returns when the arrays are copied, so that ``state`` may be donated at once;
        the writing itself goes on behind the next steps. Where it fails, as on a full
        disk, a notice says so and the checkpoints before stay.

        Args:
          state: what to save.
          batch: window batches that it has seen.
          fvu: its held-out error; the state with the least is kept however old.
        """
        self.wait()
        if self.latest_batch == batch:
            return
        with self._failures_told():
            self._writing = self._checkpointer.save_async(
                batch,
                state,
                metrics=None if fvu is None else {"fvu": fvu},
                custom_metadata={"checksum": checksum(state), "run": self._run},
            )

    def wait(self) -> None:
        """Waits until what is being saved is on the disk, or has failed."""
        writing, self._writing = self._writing, None
        with self._failures_told():
            if writing is not None:
                writing.result()

    def restore(self, abstract_state: state_lib.TrainState) -> state_lib.TrainState:
        """Returns the newest state that is whole.

        Newer ones that are damaged are put aside, into a folder beside this one, and a
        notice says so.

        Args:
          abstract_state: shapes and layout, from `state.with_layout`.

        Raises:
          InputError: none is whole, or they are of another run.
        """
        damaged: dict[int, _Damaged] = {}
        for number in sorted(c.step for c in self._checkpointer.checkpoints)[::-1]:
            try:
                state = self._load(number, abstract_state)
            except _Damaged as error:
                damaged[number] = error
                continue
            self._put_aside(damaged)
            return state
        # A bucket may also have gone away meanwhile, which is another matter.
        checkpoint_storage.check(self._folder)
        reasons = " ".join(map(str, damaged.values()))
        raise InputError(
            f"{reasons} None of the checkpoints in {self._folder} can be used. Remove "
            "these to begin anew, or choose another folder with --checkpoints."
        ) from damaged[max(damaged)]

    def _load(self, number, abstract_state):
        place = self._folder / str(number)
        try:
            metadata = self._checkpointer.metadata(number).custom_metadata or {}
            self._check_same_run(place, metadata)
            state = self._checkpointer.load(number, abstract_state)
        except InputError:
            raise
        except Exception as error:  # Orbax raises a different type for each damage.
            # What it says fills a screen; --debug shows it.
            why = f" ({error.strerror})" if getattr(error, "strerror", None) else ""
            raise _Damaged(f"The checkpoint {place} cannot be read{why}.") from error
        if metadata.get("checksum") != checksum(state):
            raise _Damaged(f"The checkpoint {place} is damaged: its checksum differs.")
        return state

    def _check_same_run(self, place, metadata):
        stored = metadata.get("run")
        if self._run is None or stored is None:
            return
        if changed := setup.other_run(stored, self._run):
            raise InputError(
                f"The checkpoint {place} is of another run:\n  "
                + "\n  ".join(changed)
                + "\nNothing was changed. Choose another folder with --checkpoints."
            )

    def _put_aside(self, damaged):
        if not damaged:
            return
        aside = self._folder.with_name(self._folder.name + "-damaged")
        for error in damaged.values():
            self._notify(f"{error} An older one is used; it is now in {aside}.")
        if sharding.is_first_process():
            for number in damaged:
                checkpoint_storage.move(self._folder / str(number), aside / str(number))
        sharding.wait_for_all("damaged checkpoints")
        self._checkpointer.reload()

    @contextlib.contextmanager
    def _failures_told(self):
        try:
            yield
        except Exception as error:  # Of the system, tensorstore or Orbax.
            # Orbax would raise it once more, in the place of the next save.
            with contextlib.suppress(Exception):
                self._checkpointer.wait()
            last = self.latest_batch
            kept = "there is none yet" if last is None else f"the last is {last}"
            self._notify(
                f"A checkpoint could not be saved in {self._folder} "
                f"({checkpoint_storage.reason(error)}). Training goes on; "
                f"of whole ones, {kept}."
            )


@contextlib.contextmanager
def open_folder(
    folder: str | os.PathLike,
    *,
    run: Mapping[str, Any] | None = None,
    notify: Callable[[str], None] = lambda what: None,
) -> Iterator[Checkpoints]:
    """Opens the checkpoints in a folder, made if absent.

    The newest two are kept, and the best by held-out error.

    Args:
      folder: where they lie; also gs://BUCKET/FOLDER.
      run: from `setup.identity`, kept with each and compared with that of those found;
        None compares nothing.
      notify: told in a sentence what went wrong without stopping anything.

    Raises:
      InputError: something else is there that cannot be told from checkpoints.
    """
    folder = epath.Path(folder)
    _drop_damaged_scores(folder)
    policies = ocp.training
    keep = policies.preservation_policies
    with ocp.training.Checkpointer(
        folder,
        save_decision_policy=policies.save_decision_policies.FixedIntervalPolicy(1),
        preservation_policy=keep.AnyPreservationPolicy(
            [
                keep.LatestN(_NEWEST),
                keep.BestN(
                    get_metric_fn=lambda metrics: -metrics["fvu"],
                    n=1,
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        ),
        cleanup_tmp_directories=True,
    ) as checkpointer:
        checkpoints = Checkpoints(checkpointer, folder, run, notify)
        yield checkpoints
        checkpoints.wait()


def _drop_damaged_scores(folder: epath.Path) -> None:
    """Removes held-out errors that cannot be read; Orbax would not open the folder."""
    if sharding.is_first_process():
        for score in folder.glob("*/metrics/metrics"):
            try:
                readable = isinstance(json.loads(score.read_text()).get("fvu"), float)
            except (ValueError, AttributeError):
                readable = False
            if readable:
                continue
            if not (score.parent.parent / _MARK).exists():
                raise InputError(
                    f"{score} is of no checkpoint. Choose another folder with "
                    "--checkpoints; nothing was changed."
                )
            score.parent.rmtree()
    sharding.wait_for_all("scores of checkpoints")


def checksum(state: state_lib.TrainState) -> list[int]:
    """Returns a sum of all bits of each array, which tells a flipped one.

    It is computed where the arrays lie, and is the same however they are split: whole
    numbers modulo 2³², each weighted by its place, and by something odd, so that no
    single change cancels.
    """
    return [int(_weighted_sum(leaf)) for leaf in jax.tree.leaves(state)]


@jax.jit
def _weighted_sum(array: jax.Array) -> jax.Array:
    bits = jax.lax.bitcast_convert_type(array, jnp.uint32)
    place = jnp.zeros_like(bits)
    for axis, size in enumerate(array.shape):
        along = jax.lax.broadcasted_iota(jnp.uint32, array.shape, axis)
        place = place * jnp.uint32(size) + along
    return jnp.sum(bits * (2 * place + 1), dtype=jnp.uint32)

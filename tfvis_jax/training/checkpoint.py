"""Saves and restores training states with Orbax, which only this module imports."""

import contextlib
import os
from collections.abc import Callable, Generator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
from etils import epath
from orbax.checkpoint import v1 as ocp

from tfvis_jax import schema, sharding
from tfvis_jax.errors import InputError
from tfvis_jax.learning import state as state_lib
from tfvis_jax.runs import setup
from tfvis_jax.training import checkpoint_storage

# Number of newest checkpoints to keep.
_NEWEST = 2
# A file that Orbax writes into every checkpoint.
_MARK = "_CHECKPOINT_METADATA"


class _Score(msgspec.Struct):
    fvu: schema.Finite


class _Damaged(Exception):
    """A checkpoint cannot be used; the message says which and why."""


class Checkpoints:
    """The newest states of a run, numbered by the batches of windows they have seen."""

    def __init__(
        self,
        checkpointer: ocp.training.Checkpointer,
        folder: epath.Path,
        run: Mapping[str, Any] | None,
        notify: Callable[[str], None],
    ) -> None:
        """Use `open_folder`."""
        self._checkpointer = checkpointer
        self._folder = folder
        self._run = run
        self._notify = notify
        self._writing = None

    @property
    def latest_batch(self) -> int | None:
        """Batches of windows that the newest checkpoint has seen; None without one."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(
        self, state: state_lib.TrainState, *, batch: int, fvu: float | None = None
    ) -> None:
        """Saves a state; an incomplete checkpoint is never used.

        Returns once the arrays are copied, so ``state`` may then be donated. They are
        written in the background. If writing fails, for example on a full disk, a
        notice says so and the earlier checkpoints are kept.

        Args:
          state: the state to save.
          batch: number of batches of windows that it has seen.
          fvu: its held-out error; the state with the lowest is kept, however old.
        """
        self.wait()
        if self.latest_batch == batch:
            return
        metadata: dict[str, Any] = {"checksum": checksum(state), "run": self._run}
        with self._reporting_failures():
            self._writing = self._checkpointer.save_async(
                batch,
                state,
                metrics=None if fvu is None else {"fvu": fvu},
                custom_metadata=metadata,
            )

    def wait(self) -> None:
        """Waits until the state being saved is written, or has failed to be."""
        writing, self._writing = self._writing, None
        with self._reporting_failures():
            if writing is not None:
                writing.result()

    def restore(self, abstract_state: state_lib.TrainState) -> state_lib.TrainState:
        """Returns the newest intact state.

        Newer checkpoints that are damaged are moved to a folder beside this one, and a
        notice says so.

        Args:
          abstract_state: shapes and shardings, from `state.with_layout`.

        Raises:
          InputError: no checkpoint is intact, or they belong to another run.
        """
        damaged: dict[int, _Damaged] = {}
        for number in sorted(c.step for c in self._checkpointer.checkpoints)[::-1]:
            try:
                state = self._load(number, abstract_state)
            except _Damaged as error:
                damaged[number] = error
                continue
            self._move_away(damaged)
            return state
        # A bucket that is no longer reachable has an error message of its own.
        checkpoint_storage.check(self._folder)
        reasons = " ".join(map(str, damaged.values()))
        raise InputError(
            f"{reasons} None of the checkpoints in {self._folder} can be used. Remove "
            "them to start again, or choose another folder with --checkpoints."
        ) from damaged[max(damaged)]

    def _load(
        self, number: int, abstract_state: state_lib.TrainState
    ) -> state_lib.TrainState:
        place = self._folder / str(number)
        try:
            metadata = self._checkpointer.metadata(number).custom_metadata
            metadata = metadata if isinstance(metadata, dict) else {}
            self._check_same_run(place, metadata)
            state = self._checkpointer.load(number, abstract_state)
        except InputError:
            raise
        # Orbax raises a different type for each kind of damage. Its message fills a
        # screen, so it is shown with --debug only.
        except Exception as error:
            why = error.strerror if isinstance(error, OSError) else None
            why = f" ({why})" if why else ""
            raise _Damaged(f"The checkpoint {place} cannot be read{why}.") from error
        if metadata.get("checksum") != checksum(state):
            raise _Damaged(f"The checkpoint {place} is damaged (its checksum differs).")
        return state

    def _check_same_run(self, place: epath.Path, metadata: Mapping[str, Any]) -> None:
        stored = metadata.get("run")
        if self._run is None or stored is None:
            return
        if changed := setup.other_run(stored, self._run):
            raise InputError(
                f"The checkpoint {place} belongs to another run:\n  "
                + "\n  ".join(changed)
                + "\nNothing was changed. Choose another folder with --checkpoints."
            )

    def _move_away(self, damaged: Mapping[int, _Damaged]) -> None:
        if not damaged:
            return
        aside = self._folder.with_name(self._folder.name + "-damaged")
        for error in damaged.values():
            self._notify(f"{error} It was moved to {aside}; an older one is used.")
        if sharding.is_first_process():
            for number in damaged:
                checkpoint_storage.move(self._folder / str(number), aside / str(number))
        sharding.wait_for_all("damaged checkpoints")
        self._checkpointer.reload()

    @contextlib.contextmanager
    def _reporting_failures(self) -> Generator[None, None, None]:
        try:
            yield
        except Exception as error:  # From the system, tensorstore or Orbax.
            # Orbax would raise it once more, at the next save.
            with contextlib.suppress(Exception):
                self._checkpointer.wait()
            last = self.latest_batch
            kept = (
                "there is no checkpoint yet"
                if last is None
                else f"the last complete checkpoint is {last}"
            )
            self._notify(
                f"A checkpoint could not be saved in {self._folder} "
                f"({checkpoint_storage.reason(error)}). Training continues; {kept}."
            )


@contextlib.contextmanager
def open_folder(
    folder: str | os.PathLike[str],
    *,
    run: Mapping[str, Any] | None = None,
    notify: Callable[[str], None] = lambda what: None,
) -> Generator[Checkpoints, None, None]:
    """Opens the checkpoints in a folder.

    The two newest are kept, and the one with the lowest held-out error.

    Args:
      folder: a folder, created if absent, or gs://BUCKET/FOLDER.
      run: from `setup.identity`; stored with each checkpoint and compared with that of
        existing ones. None compares nothing.
      notify: called with a sentence about every failure that does not stop training.

    Raises:
      InputError: the folder holds files that may not belong to checkpoints.
    """
    folder = epath.Path(folder)
    _drop_damaged_scores(folder)
    # `Any`, because Orbax's policies do not match the types of its own protocols.
    when_to_save: Any = ocp.training.save_decision_policies.FixedIntervalPolicy(1)
    keep = ocp.training.preservation_policies
    what_to_keep: Any = keep.AnyPreservationPolicy(
        [
            keep.LatestN(_NEWEST),
            keep.BestN(
                get_metric_fn=lambda metrics: -metrics["fvu"],
                n=1,
                keep_checkpoints_without_metrics=False,
            ),
        ]
    )
    with ocp.training.Checkpointer(
        folder,
        save_decision_policy=when_to_save,
        preservation_policy=what_to_keep,
        cleanup_tmp_directories=True,
    ) as checkpointer:
        checkpoints = Checkpoints(checkpointer, folder, run, notify)
        yield checkpoints
        checkpoints.wait()


def _drop_damaged_scores(folder: epath.Path) -> None:
    """Removes unreadable held-out errors, with which Orbax cannot open the folder."""
    if sharding.is_first_process():
        for score in folder.glob("*/metrics/metrics"):
            try:
                msgspec.json.decode(score.read_bytes(), type=_Score)
                continue
            except (msgspec.DecodeError, RecursionError):
                pass
            if not (score.parent.parent / _MARK).exists():
                raise InputError(
                    f"{score} belongs to no checkpoint. Choose another folder with "
                    "--checkpoints; nothing was changed."
                )
            score.parent.rmtree()
    sharding.wait_for_all("scores of checkpoints")


def checksum(state: state_lib.TrainState) -> list[int]:
    """Returns a checksum of each array, which changes if any bit does.

    It is computed on the devices that hold the arrays and does not depend on how they
    are split. The elements are summed as integers modulo 2³², each weighted by an odd
    number that depends on its position, so that no single change cancels.
    """
    return [int(each) for each in _weighted_sums(jax.tree.leaves(state))]


# One program, not one for each shape.
@jax.jit
def _weighted_sums(arrays: list[jax.Array]) -> list[jax.Array]:
    return [_weighted_sum(array) for array in arrays]


def _weighted_sum(array: jax.Array) -> jax.Array:
    bits = jax.lax.bitcast_convert_type(array, jnp.uint32)
    place = jnp.zeros_like(bits)
    for axis, size in enumerate(array.shape):
        along = jax.lax.broadcasted_iota(jnp.uint32, array.shape, axis)
        place = place * jnp.uint32(size) + along
    return jnp.sum(bits * (2 * place + 1), dtype=jnp.uint32)

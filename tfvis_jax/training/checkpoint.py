"""Training state on disk, by Orbax; nothing else imports it."""

import contextlib
import pathlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from orbax.checkpoint import v1 as ocp

from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.training import state as state_lib


class Checkpoints:
    """The newest states of a run, numbered by the window batches they have seen."""

    def __init__(self, checkpointer: ocp.training.Checkpointer, folder: pathlib.Path):
        self._checkpointer = checkpointer
        self._folder = folder

    @property
    def latest_batch(self) -> int | None:
        """Window batches that the newest whole checkpoint has seen, if there is one."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, state: state_lib.TrainState, *, batch: int) -> None:
        """Saves a state; it counts only once it is whole.

        Returns when the arrays are copied, so that ``state`` may be donated at once;
        the writing itself goes on behind the next steps.
        """
        if self.latest_batch != batch:
            self._checkpointer.save_async(
                batch, state, custom_metadata={"checksum": checksum(state)}
            )

    def restore(self, abstract_state: state_lib.TrainState) -> state_lib.TrainState:
        """Returns the newest state.

        Args:
          abstract_state: shapes and layout, from `state.with_layout`.

        Raises:
          InputError: the checkpoint is damaged or has other shapes.
        """
        newest = self._folder / str(self.latest_batch)
        remedy = "Remove that folder to go on from the one before, or the beginning."
        try:
            state = self._checkpointer.load(None, abstract_state)
            metadata = self._checkpointer.metadata(None).custom_metadata or {}
        except Exception as error:  # Orbax raises a different type for each damage.
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"The checkpoint {newest} cannot be read ({reason[0][:120]}). {remedy}"
            ) from error
        if metadata.get("checksum") != checksum(state):
            raise InputError(
                f"The checkpoint {newest} is damaged: its checksum differs. {remedy}"
            )
        return state


@contextlib.contextmanager
def open_folder(folder: pathlib.Path) -> Iterator[Checkpoints]:
    """Opens the checkpoints in a folder, made if absent; the newest two are kept."""
    policies = ocp.training
    try:
        with ocp.training.Checkpointer(
            folder,
            save_decision_policy=policies.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=policies.preservation_policies.LatestN(2),
            cleanup_tmp_directories=True,
        ) as checkpointer:
            yield Checkpoints(checkpointer, folder)
    except Exception as error:  # Writing goes on behind; failures surface anywhere.
        if files.is_disk_full(error):
            raise files.no_space(folder) from error
        raise


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

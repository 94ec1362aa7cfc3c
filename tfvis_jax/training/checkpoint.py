"""Training state on disk, by Orbax; nothing else imports it."""

import contextlib
import pathlib
from collections.abc import Iterator

import jax
from orbax.checkpoint import v1 as ocp

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
            self._checkpointer.save_async(batch, state)

    def restore(self, abstract_state: state_lib.TrainState) -> state_lib.TrainState:
        """Returns the newest state.

        Args:
          abstract_state: shapes and dtypes, from `state.abstract`.

        Raises:
          InputError: the checkpoint is damaged or has other shapes.
        """
        try:
            return self._checkpointer.load(None, _on_first_device(abstract_state))
        except Exception as error:  # Orbax raises a different type for each damage.
            raise InputError(
                f"Cannot read the checkpoint {self._folder / str(self.latest_batch)}: "
                f"{error}. Remove that folder to go on from the one before."
            ) from error


@contextlib.contextmanager
def open_folder(folder: pathlib.Path) -> Iterator[Checkpoints]:
    """Opens the checkpoints in a folder, made if absent; the newest two are kept."""
    with ocp.training.Checkpointer(
        folder,
        save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
        preservation_policy=ocp.training.preservation_policies.LatestN(2),
        cleanup_tmp_directories=True,
    ) as checkpointer:
        yield Checkpoints(checkpointer, folder)


def _on_first_device(abstract_state):
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        abstract_state,
    )

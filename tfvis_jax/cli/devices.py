"""Which devices and processes work together: the flags, and what is said of them."""

import contextlib
import sys
from collections.abc import Iterator

import jax
from absl import flags

from tfvis_jax import config as config_lib
from tfvis_jax import distributed, pipeline, sharding
from tfvis_jax.cli import cores
from tfvis_jax.data import loader
from tfvis_jax.reporting import devices


def define(values: flags.FlagValues) -> None:
    """Adds the flags."""
    flags.DEFINE_string(
        "mesh",
        None,
        "How devices share the work: rows over `data`, the dictionary over `factor`, "
        "such as data=-1,factor=2; -1 takes all that are left. (default: the rows over "
        "as many devices as divide --windows_per_batch / 8)",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "distributed",
        False,
        "Join the other processes of a TPU pod, SLURM, Open MPI or GKE job, which run "
        "the same command.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "coordinator",
        None,
        "HOST:PORT of the first of several processes, where no cluster names it.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "num_processes", None, "Number of processes.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer(
        "process_id",
        None,
        "Number of this process, from 0.",
        lower_bound=0,
        flag_values=values,
    )


@contextlib.contextmanager
def joined(values: flags.FlagValues) -> Iterator[None]:
    """Joins the other processes, if there are any; call before any use of a device.

    A process that is alone uses all cores. Then says which devices there are.
    """
    others = (values.coordinator, values.num_processes, values.process_id)
    if not values.distributed and all(value is None for value in others):
        use_all_cores()
        yield
        return
    with distributed.joined(*others):
        announce()
        yield


def use_all_cores(*, quietly: bool = False) -> None:
    """Makes each core a device, and says which devices there are.

    Commands do so alike: a program that one has compiled is of use to another only if
    it sees as many devices.

    Args:
      quietly: say nothing.

    Raises:
      InputError: none can be used.
    """
    cores.use_all()
    if quietly:
        devices.find()
    else:
        announce()


def announce() -> None:
    """Says on the error stream which devices are used, in the first process.

    Raises:
      InputError: none can be used.
    """
    found = devices.find()
    if sharding.is_first_process():
        processes = jax.process_count()
        of_all = f" of {processes} processes" if processes > 1 else ""
        print(f"devices: {found}{of_all}", file=sys.stderr)
        if found.fallback is not None:
            pipeline.note(found.fallback)


def mesh(
    values: flags.FlagValues, config: config_lib.RunConfig | None = None
) -> jax.sharding.Mesh:
    """Returns the requested mesh, or the widest that the sizes allow.

    Args:
      values: the flags.
      config: settings that rows must be split by; None lets all devices share them.
    """
    if values.mesh is not None:
        sizes = sharding.parse(values.mesh, num_devices=jax.device_count())
        return sharding.make_mesh(*sizes)
    if config is None:
        return sharding.make_mesh(jax.device_count(), 1)
    return widest(config)


def widest(config: config_lib.RunConfig) -> jax.sharding.Mesh:
    """Returns the mesh that splits the rows of a run over most devices."""
    found = sharding.widest(num_parts=loader.num_parts(config.windows_per_batch))
    if found.size < jax.device_count():
        every = loader.WINDOWS_PER_PART * jax.device_count()
        pipeline.note(
            f"{found.size} of {jax.device_count()} devices are used. To use all, make "
            f"--windows_per_batch a multiple of {every}."
        )
    return found

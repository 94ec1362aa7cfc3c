"""Several processes that train together, by `jax.distributed`.

Every process runs the same command. What is written once, the first one writes; all
see one file system. `sharding` says which rows each of them reads.
"""

import atexit
import contextlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator

import jax

from tfvis_jax.errors import InputError, Terminated

# A process that does not answer for so long is gone, and the others stop.
_HEARTBEAT_S = 30
_PATIENCE_S = 300
_PORT = re.compile("[0-9]{1,5}")


@contextlib.contextmanager
def joined(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    patience_s: int = _PATIENCE_S,
) -> Iterator[None]:
    """Joins the other processes for the block; must come before any use of a device.

    Without arguments `jax.distributed` finds out by itself: on TPU pods, SLURM, Open
    MPI and GKE. When the block fails here, this process leaves without waiting for the
    others, which then stop too.

    Args:
      coordinator: address and port of the first process, such as ``10.0.0.1:1234``.
      num_processes: how many there are.
      process_id: which one this is, from 0.
      patience_s: how long to wait for the others.

    Raises:
      InputError: arguments are missing, or the others cannot be found.
    """
    given = (coordinator, num_processes, process_id)
    if any(value is not None for value in given):
        _check(*given)
        if process_id:
            _wait_for(coordinator, patience_s=patience_s)
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=patience_s,
            heartbeat_timeout_seconds=_HEARTBEAT_S,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        if coordinator is None:
            raise InputError(
                f"No cluster was found that says which processes there are ({reason}). "
                "Give --coordinator, --num_processes and --process_id."
            ) from error
        raise InputError(
            f"The {num_processes} processes could not join at {coordinator}: {reason}"
        ) from error
    # JAX listens to SIGTERM from now on; what Python did at it is to stay.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    try:
        yield
    except BaseException as error:
        # At its end JAX would wait for the others, and they wait for this one.
        atexit.register(_leave, 0 if isinstance(error, Terminated) else 1)
        raise


def _check(coordinator, num_processes, process_id):
    if coordinator is None or num_processes is None or process_id is None:
        raise InputError(
            "Expected --coordinator, --num_processes and --process_id together, or "
            "none of them where the cluster knows."
        )
    host, _, port = coordinator.rpartition(":")
    if not host or not _PORT.fullmatch(port) or not 0 < int(port) < 2**16:
        raise InputError(
            f"Expected --coordinator as HOST:PORT, such as 10.0.0.1:1234; got "
            f"{coordinator!r}."
        )
    if not 0 <= process_id < num_processes:
        raise InputError(
            f"Expected --process_id from 0 to {num_processes - 1}, got {process_id}."
        )


def _wait_for(coordinator, *, patience_s):
    """Waits until somebody answers; JAX would end the process without a sentence."""
    host, _, port = coordinator.rpartition(":")
    deadline = time.monotonic() + patience_s
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"Nobody answered at the coordinator {coordinator} for "
                    f"{patience_s} seconds ({error}). The process with "
                    "--process_id=0 must run there, and its port must be open."
                ) from error
        time.sleep(0.2)


def _leave(code):
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

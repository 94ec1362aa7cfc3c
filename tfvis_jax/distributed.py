"""Joins several processes that train together, through `jax.distributed`.

Every process runs the same command and sees the same file system. The first process
writes the files that are written once. `sharding` determines the rows that each reads.
"""

import atexit
import contextlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Generator

import jax

from tfvis_jax.errors import InputError, Terminated

# After so many seconds without an answer a process counts as dead, and the others stop.
_HEARTBEAT_S = 30
# How long processes wait for each other at the start.
_PATIENCE_S = 300
_PORT = re.compile("[0-9]{1,5}")


@contextlib.contextmanager
def joined(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    patience_s: int = _PATIENCE_S,
) -> Generator[None, None, None]:
    """Joins the other processes for the block; must precede any use of a device.

    Without arguments, `jax.distributed` detects the processes itself: on TPU pods,
    SLURM, Open MPI and GKE. If the block fails in this process, the process exits
    without waiting for the others, which then stop too.

    Args:
      coordinator: address and port of the first process, such as ``10.0.0.1:1234``.
      num_processes: number of processes.
      process_id: index of this process, from 0.
      patience_s: seconds to wait for the others.

    Raises:
      InputError: arguments are missing or invalid, or the others cannot be reached.
    """
    given = (coordinator, num_processes, process_id)
    if any(value is not None for value in given):
        host, port = _check(*given)
        if process_id:
            _wait_for(host, port, patience_s=patience_s)
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
                f"No cluster was found that lists the processes ({reason}); give "
                "--coordinator, --num_processes and --process_id."
            ) from error
        raise InputError(
            f"The {num_processes} processes could not join at {coordinator} "
            f"({reason}); check that each runs with another --process_id."
        ) from error
    # JAX now handles SIGTERM, so the handler of this process is set again.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    try:
        yield
    except BaseException as error:
        # On exit JAX would wait for the others, while they wait for this process.
        atexit.register(_leave, 0 if isinstance(error, Terminated) else 1)
        raise


def _check(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> tuple[str, int]:
    """Returns host and port of the coordinator."""
    if coordinator is None or num_processes is None or process_id is None:
        raise InputError(
            "Expected --coordinator, --num_processes and --process_id together, got "
            "only some; give all, or none on a cluster that JAX knows."
        )
    host, _, port = coordinator.rpartition(":")
    if not host or not _PORT.fullmatch(port) or not 0 < int(port) < 2**16:
        raise InputError(
            f"Expected --coordinator=HOST:PORT, such as 10.0.0.1:1234, got "
            f"{coordinator!r}."
        )
    if not 0 <= process_id < num_processes:
        raise InputError(
            f"Expected --process_id from 0 to {num_processes - 1}, got {process_id}."
        )
    return host, int(port)


def _wait_for(host: str, port: int, *, patience_s: int) -> None:
    """Waits until the coordinator answers; JAX would exit without a message."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            socket.create_connection((host.strip("[]"), port), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"The coordinator {host}:{port} did not answer for {patience_s} "
                    f"seconds ({error}); start the process with --process_id=0 there, "
                    "and open its port."
                ) from error
        time.sleep(0.2)


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

"""Worker processes that neither outlive their parent nor share its threads."""

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from typing import Any


def open_pool(
    num_workers: int,
    prepare: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> concurrent.futures.ProcessPoolExecutor:
    """Returns a pool of processes, which start as there is work.

    Args:
      num_workers: number of processes.
      prepare: called in each before its first task; must be importable.
      arguments: of `prepare`, which are pickled.
    """
    return concurrent.futures.ProcessPoolExecutor(
        num_workers,
        # Forking a process that runs JAX's threads can deadlock.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(prepare, arguments),
    )


def _start(prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """Makes a worker end with its parent, even if the parent is killed.

    A keyboard interrupt reaches the workers too, but the parent handles it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()
    if prepare is not None:
        prepare(*arguments)

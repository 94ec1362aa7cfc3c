"""Worker processes that neither outlive their parent nor share its threads."""

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.context
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def pool(
    num_workers: int,
    prepare: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
    *,
    in_vain: bool = False,
) -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    """Yields a pool of processes, which start as there is work.

    When the block ends by an exception, as that of Ctrl-C, they finish their tasks.

    Args:
      num_workers: number of processes.
      prepare: called in each before its first task; must be importable.
      arguments: of `prepare`, which are pickled.
      in_vain: what they do is of no use after an exception, which kills them.
    """
    context = _Context()
    opened = concurrent.futures.ProcessPoolExecutor(
        num_workers,
        mp_context=context,
        initializer=_start,
        initargs=(prepare, arguments),
    )
    try:
        yield opened
    except BaseException:
        for each in context.made if in_vain else ():
            # One that did not start has nothing to kill.
            with contextlib.suppress(ValueError, AttributeError):
                each.kill()
        raise
    finally:
        opened.shutdown(cancel_futures=True)


class _Process(multiprocessing.context.SpawnProcess):
    """A process that hears no Ctrl-C, from its first instruction on."""

    def start(self) -> None:
        # What is blocked here stays blocked in it; here, it is heard a moment later.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Context(multiprocessing.context.SpawnContext):
    """Spawns, since to fork a process that runs JAX's threads can deadlock.

    Attributes:
      made: the processes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: list[_Process] = []

        # What a pool calls as it would the class of its processes.
        self.__dict__["Process"] = self._make

    def _make(self, *args: Any, **how: Any) -> _Process:
        self.made.append(_Process(*args, **how))
        return self.made[-1]


def _start(prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """Makes a worker end with its parent, even if the parent is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()
    if prepare is not None:
        prepare(*arguments)

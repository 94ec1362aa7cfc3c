"""What SIGTERM and Ctrl-C do to a command that goes on where it stopped."""

import contextlib
import signal
from collections.abc import Iterator

from tfvis_jax.errors import Terminated


@contextlib.contextmanager
def terminating() -> Iterator[None]:
    """Raises `Terminated` in the block at a SIGTERM, as Python does at Ctrl-C."""

    def leave(number, frame):
        raise Terminated

    with _handling(leave, signal.SIGTERM):
        yield


@contextlib.contextmanager
def asking() -> Iterator[list[int]]:
    """Yields the signals, Ctrl-C and SIGTERM, that came; a second one interrupts."""
    asked = []

    def ask(number, frame):
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    with _handling(ask, signal.SIGINT, signal.SIGTERM):
        yield asked


@contextlib.contextmanager
def _handling(handler, *numbers):
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)

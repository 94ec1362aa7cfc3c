"""What SIGTERM and Ctrl-C do to a command that can resume."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

from tfvis_jax.errors import Terminated


@contextlib.contextmanager
def terminating() -> Iterator[None]:
    """Raises `Terminated` in the block at a SIGTERM, as Python does at Ctrl-C."""

    def leave(number: int, frame: Any) -> None:
        raise Terminated

    with _handling(leave, signal.SIGTERM):
        yield


class StopRequests:
    """Ctrl-C and SIGTERM as a request to stop at the next good place.

    Attributes:
      received: the signals that came.
    """

    def __init__(self) -> None:
        self.received: list[int] = []

    def __call__(self) -> bool:
        """Returns whether one has come."""
        return bool(self.received)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Takes signals in the block as requests; a second one interrupts."""

        def hear(number: int, frame: Any) -> None:
            if self.received:
                raise KeyboardInterrupt
            self.received.append(number)

        with _handling(hear, signal.SIGINT, signal.SIGTERM):
            yield


@contextlib.contextmanager
def _handling(
    handler: Callable[[int, Any], None], *numbers: signal.Signals
) -> Iterator[None]:
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)

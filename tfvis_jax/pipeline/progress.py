"""What a pipeline tells while it works, and the seconds that each stage took."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol


class Progress(Protocol):
    """A function that hears how far a pipeline is, such as `silent` or of `bars`."""

    def __call__(self, stage: str, done: int, total: int | None, /) -> None:
        """Hears of one stage.

        Args:
          stage: its key, such as "tokens" or "train".
          done: steps done; 0 at the start.
          total: steps in all; None until they are counted.
        """


def silent(stage: str, done: int, total: int | None, /) -> None:
    """A `Progress` that shows nothing."""
    del stage, done, total


class Stages:
    """Reports the stages of one call to a `Progress` and times them.

    Attributes:
      seconds: of each finished stage, by its key.
    """

    def __init__(self, progress: Progress):
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Runs one stage.

        Args:
          name: its key.

        Yields:
          A function to call with (done, total).
        """
        counted = []

        def show(done: int, total: int) -> None:
            counted[:] = [done, total]
            self._progress(name, done, total)

        start = time.monotonic()
        self._progress(name, 0, None)
        yield show
        if not counted:  # A stage without steps to count.
            self._progress(name, 1, 1)
        self.seconds[name] = round(time.monotonic() - start, 2)

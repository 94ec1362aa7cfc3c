"""Progress bars with the time left, on the terminal's error stream."""

import contextlib
import time
from collections.abc import Callable, Iterator

import rich.console
import rich.progress

_CONSOLE = rich.console.Console(stderr=True)


class Stages:
    """Times the stages of a command and shows a bar for each, unless it is quiet."""

    def __init__(self, *, quiet: bool = False):
        self.seconds: dict[str, float] = {}
        self._quiet = quiet

    @contextlib.contextmanager
    def stage(
        self, name: str, description: str
    ) -> Iterator[Callable[[int, int], None]]:
        """Shows one stage while the block runs, and keeps the seconds that it took.

        Args:
          name: key of `seconds`.
          description: what a person reads before the bar.

        Yields:
          A function that is called with (done, total).
        """
        start = time.monotonic()
        with _bar(disable=self._quiet) as bar:
            task = bar.add_task(description, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
            if bar.tasks[task].total is None:  # A stage without steps to count.
                bar.update(task, completed=1, total=1)
        self.seconds[name] = round(time.monotonic() - start, 2)


def note(text: str) -> None:
    """Shows a sentence without disturbing the bar."""
    _CONSOLE.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)


def _bar(*, disable: bool) -> rich.progress.Progress:
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description:<28}"),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("passed,"),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("left"),
        console=_CONSOLE,
        disable=disable,
    )

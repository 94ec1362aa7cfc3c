"""Progress bars with the time left, on the terminal's error stream."""

import contextlib
from collections.abc import Iterator

import rich.console
import rich.progress

from tfvis_jax.pipeline import progress

_CONSOLE = rich.console.Console(stderr=True)
_WORDS = {
    "model": "loading the model",
    "sentence": "codes of the sentence",
    "tokens": "text to tokens",
    "trial": "trial of this machine",
    "train": "learning",
    "evaluate": "held-out text",
    "reconstruction": "held-out text",
    "text": "the other text",
    "loss": "loss recovered",
    "probing": "probes of labelled words",
    "hidden_states": "hidden states",
    "examples": "top-activating examples",
    "codes": "codes of the text",
    "levels": "context that factors need",
    "export": "writing the page",
    "figures": "figures",
    "describe": "factors in words",
    "explain": "factors explained",
    "prompts": "windows of every factor",
    "excerpts": "excerpts of factors",
    "labels": "labels of factors",
    "scores": "scores of labels",
}


@contextlib.contextmanager
def bars(*, quiet: bool = False) -> Iterator[progress.Progress]:
    """Yields a `Progress` that shows a bar for every stage, or nothing if quiet."""
    if quiet:
        yield progress.silent
        return
    shown = _Bars()
    try:
        yield shown
    finally:
        shown.close()


def note(text: str) -> None:
    """Shows a sentence without disturbing the bar."""
    _CONSOLE.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)


class _Bars:
    """One bar at a time; those of finished stages stay on the screen."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._bar: rich.progress.Progress | None = None

    def __call__(self, stage: str, done: int, total: int | None, /) -> None:
        if self._bar is None or stage != self._stage:
            self.close()
            self._stage, self._bar = stage, _bar()
            self._bar.add_task(_WORDS.get(stage, stage), total=None)
            self._bar.start()
        [task] = self._bar.task_ids
        self._bar.update(task, completed=done, total=total)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar() -> rich.progress.Progress:
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description:<28}"),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("elapsed,"),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("left"),
        console=_CONSOLE,
    )

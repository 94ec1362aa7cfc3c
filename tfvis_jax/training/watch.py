"""What a run spends its time on besides learning: waiting for input, compiling."""

import time
from collections.abc import Iterator
from typing import TypeVar

import jax

Item = TypeVar("Item")
_COMPILED = "/jax/core/compile/backend_compile_duration"


class Watch:
    """Counts since the last look; one at a time is enough for a process."""

    def __init__(self):
        self._waited = 0.0
        self._before = _compilations()

    def waiting(self, items: Iterator[Item]) -> Iterator[Item]:
        """Passes items on, and adds up how long each was waited for."""
        while True:
            start = time.monotonic()
            try:
                item = next(items)
            except StopIteration:
                return
            self._waited += time.monotonic() - start
            yield item

    def look(self) -> dict[str, float]:
        """Returns seconds waited for input and programs compiled since last time."""
        now = _compilations()
        found = {
            "seconds_waiting": round(self._waited, 4),
            "compilations": now - self._before,
        }
        self._waited, self._before = 0.0, now
        return found


_compiled = []


def _compilations() -> int:
    return len(_compiled)


def _count(event: str, seconds: float, **_) -> None:
    if event == _COMPILED:
        _compiled.append(seconds)


# JAX keeps listeners for good, so there is one for all.
jax.monitoring.register_event_duration_secs_listener(_count)

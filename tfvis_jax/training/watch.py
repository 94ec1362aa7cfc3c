"""Measures the time that a run spends waiting for input, and counts compilations."""

import time
from collections.abc import Iterator
from typing import TypeVar

import jax

Item = TypeVar("Item")
_COMPILED = "/jax/core/compile/backend_compile_duration"


class Watch:
    """Seconds and compilations since the last `look`; one is enough for a process."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._before = _compilations()

    def waiting(self, items: Iterator[Item]) -> Iterator[Item]:
        """Passes items on, and adds up the time spent waiting for them."""
        while True:
            start = time.monotonic()
            try:
                item = next(items)
            except StopIteration:
                return
            self._waited += time.monotonic() - start
            yield item

    def look(self) -> dict[str, float]:
        """Returns seconds spent waiting and compilations, both since the last call."""
        now = _compilations()
        found = {
            "seconds_waiting": round(self._waited, 4),
            "compilations": now - self._before,
        }
        self._waited, self._before = 0.0, now
        return found


# Seconds that each compilation of this process took.
_compiled: list[float] = []


def _compilations() -> int:
    return len(_compiled)


def _count(event: str, duration_secs: float, **kwargs: str | int) -> None:
    del kwargs
    if event == _COMPILED:
        _compiled.append(duration_secs)


# JAX never removes listeners, so there is one for all instances.
jax.monitoring.register_event_duration_secs_listener(_count)

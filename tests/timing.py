"""Bounds on processor time that hold on slow and busy machines as well."""

import contextlib
import time
from collections.abc import Iterator

# Processor seconds of `_loop` on a quiet core of 2.7 GHz with Python 3.11.
_REFERENCE = 0.025


def _loop() -> float:
    start = time.thread_time()
    text = "a b c " * 1000
    for _ in range(400):
        sum(map(len, text.split(" ")))
    return time.thread_time() - start


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fails where the block takes over `seconds` of this thread's processor time.

    A slower machine has more: `seconds` times what a loop takes here, over what it
    takes on a quiet core of 2.7 GHz.
    """
    before = _loop()
    start = time.thread_time()
    yield
    took = time.thread_time() - start
    slower = max(1.0, before / _REFERENCE, _loop() / _REFERENCE)
    assert took < seconds * slower, f"{took:.2f} s, {slower:.2f} times a quiet core's"

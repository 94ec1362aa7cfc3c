"""Encodes the sentences of a page while the rest of it is written.

To compile what encodes them takes longer than anything else that a small page needs,
and XLA compiles beside Python.
"""

import concurrent.futures
import contextlib
import ctypes
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from tfvis_jax.errors import InputError
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import live

# Seconds after which a thread that has not ended is told again.
_AGAIN = 1.0


class Recorded(Sequence[list[dict[str, Any]]]):
    """The records of each sentence, which are waited for when they are first read."""

    def __init__(self, found: concurrent.futures.Future[list[Any]]) -> None:
        """Waits for nothing yet.

        Args:
          found: the records, later.
        """
        self._found = found

    def check(self) -> None:
        """Raises what has gone wrong so far."""
        if self._found.done():
            self._found.result()

    def __getitem__(self, place: Any) -> Any:
        return self._found.result()[place]

    def __len__(self) -> int:
        return len(self._found.result())


@contextlib.contextmanager
def recording(run: run_lib.Run, sentences: Sequence[str]) -> Iterator[Recorded]:
    """Yields the records of sentences, which a thread makes.

    Leaving the block gives up what is not done, after the layer that is under way; by
    Ctrl-C, at once, or after the compilation that is.

    Args:
      run: trained.
      sentences: one given twice is recorded once.
    """
    given_up = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1, "record") as pool:
        thread = pool.submit(threading.get_ident).result()
        found = pool.submit(_record, run, sentences, given_up)
        try:
            yield Recorded(found)
        except KeyboardInterrupt:
            given_up.set()
            # Python hears of Ctrl-C in the main thread alone. Once more, since what JAX
            # does when Python collects garbage swallows it.
            while not found.done():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt)
                )
                concurrent.futures.wait([found], timeout=_AGAIN)
            raise
        finally:
            given_up.set()


def _record(
    run: run_lib.Run, sentences: Sequence[str], given_up: threading.Event
) -> list[Any]:
    recorded: list[Any] = []
    if not sentences:
        return recorded
    encoder = live.RunEncoder(run)
    for text in dict.fromkeys(sentences):
        records = []
        try:
            for record in encoder.encode(text):
                if given_up.is_set():
                    return recorded
                records.append(record)
        except InputError as error:
            raise InputError(f"{text[:60]!r} cannot be recorded. {error}") from error
        recorded.append(records)
    return recorded

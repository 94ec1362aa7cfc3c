"""Sentences encoded on demand: a queue, and one thread that encodes in order."""

import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from tfvis_jax.errors import InputError

# Sentences that wait; more are refused, so that no answer is waited for in vain.
QUEUE_SIZE = 8
# Seconds that one sentence may be encoded. Asked between layers.
TIME_LIMIT = 60.0
# Seconds between two looks at whether the worker is to stop.
_IDLE = 0.2


class Encoder(Protocol):
    """Encodes sentences; `encode` is called from one thread, also during `warm_up`."""

    def warm_up(self) -> Iterator[None]:
        """Compiles what sentences need, one program a step."""
        ...

    def encode(self, text: str, *, masked: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yields the records of a sentence, some of whose tokens may be masked.

        Raises:
          InputError: says what is wrong with the sentence.
        """
        ...

    def explain(self, text: str, *, cell: "Cell") -> Iterator[dict[str, Any]]:
        """Yields ever better explanations of a factor's α at one cell of a sentence.

        Raises:
          InputError: says what is wrong with the sentence or the cell.
        """
        ...

    def steer(
        self, text: str, *, masked: Sequence[int], change: "Change"
    ) -> Iterator[dict[str, Any]]:
        """Yields what a change along a factor does, beside ever more other factors.

        Raises:
          InputError: says what is wrong with the sentence or the change.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Cell:
    """A factor at one token of a sentence, at one layer.

    Attributes:
      token: Index of the token.
      layer: Number of the layer.
      factor: Index of the factor.
    """

    token: int
    layer: int
    factor: int


@dataclasses.dataclass(frozen=True)
class Change:
    """A factor that is taken out of the hidden states of a sentence, or added to them.

    Attributes:
      layer: Number of the layer.
      factor: Index of the factor.
      by: What is added to α; None takes the factor out.
      token: Index of the token; None changes all.
    """

    layer: int
    factor: int
    by: float | None = None
    token: int | None = None


# What is done for each question, and what to do when it takes too long.
_DOING = {
    type(None): ("Encoding", "Try a shorter sentence."),
    Cell: (
        "Explaining",
        "Try a shorter sentence, or `tfvis explain`, which has no limit.",
    ),
    Change: (
        "Steering",
        "Try a shorter sentence, or `tfvis steer`, which has no limit.",
    ),
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """Why a sentence was not encoded, or not to its end.

    Attributes:
      message: A sentence for the user.
      status: The HTTP status that fits.
    """

    message: str
    status: int


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A sentence to be encoded, or what else is asked of it.

    Attributes:
      text: The sentence.
      masked: Indices of tokens to replace by the mask token.
      deliver: Called with each record, or a problem, and with None at the end.
      asked: The cell to explain, or the change to make; None encodes the sentence.
      cancelled: Set when nobody waits for the records any more.
    """

    text: str
    masked: tuple[int, ...]
    deliver: Callable[[dict[str, Any] | Problem | None], None]
    asked: Cell | Change | None = None
    cancelled: threading.Event = dataclasses.field(default_factory=threading.Event)


class Worker:
    """One thread that opens the encoder and encodes sentences in order.

    A second one compiles meanwhile what sentences of other lengths need.

    Attributes:
      ready: Set once the first program is compiled, or the encoder could not be opened.
    """

    def __init__(
        self,
        open_encoder: Callable[[], Encoder],
        *,
        on_failure: Callable[[str], None] = lambda message: None,
        queue_size: int = QUEUE_SIZE,
        time_limit: float = TIME_LIMIT,
        patience: float | None = None,
    ) -> None:
        """Prepares a worker; `start` starts it.

        Args:
          open_encoder: Loads the model; called in the thread.
          on_failure: Called with a sentence if the encoder cannot be opened.
          queue_size: Sentences that may wait.
          time_limit: Seconds that one sentence may be encoded.
          patience: Seconds that `stop` waits for the layer or the compilation that is
            under way; None waits for its end.
        """
        self.ready = threading.Event()
        self._open_encoder = open_encoder
        self._on_failure = on_failure
        self._time_limit = time_limit
        self._patience = patience
        self._jobs: queue.Queue[Job] = queue.Queue(queue_size)
        self._stopping = threading.Event()
        # A daemon: a compilation that hangs must not keep the process alive.
        self._threads = [
            threading.Thread(target=self._work, name="encode", daemon=True)
        ]

    def start(self) -> None:
        """Starts the thread."""
        self._threads[0].start()

    def stop(self) -> None:
        """Ends the threads after the layer or the compilation that is under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(self._patience)

    @property
    def busy(self) -> bool:
        """True while a thread works, also after `stop` has lost its patience."""
        return any(thread.is_alive() for thread in self._threads)

    def submit(self, job: Job) -> bool:
        """Returns False if too many sentences wait already."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def _work(self) -> None:
        try:
            encoder = self._open_encoder()
            programs = encoder.warm_up()
            next(programs, None)
        except Exception as error:
            message = _sentence(error)
            self._on_failure(message)
            self.ready.set()
            self._refuse_all(Problem(f"Sentences cannot be encoded. {message}", 503))
            return
        self.ready.set()
        other = threading.Thread(
            target=self._warm_up, args=(programs,), name="warm_up", daemon=True
        )
        self._threads.append(other)
        other.start()
        while not self._stopping.is_set():
            with contextlib.suppress(queue.Empty):
                self._encode(encoder, self._jobs.get(timeout=_IDLE))
        self._refuse_all(Problem("The server stops.", 503))

    def _warm_up(self, programs: Iterator[None]) -> None:
        # Sentences of a length whose compilation failed say so themselves.
        with contextlib.suppress(Exception):
            for _ in programs:
                if self._stopping.is_set():
                    return

    def _refuse_all(self, problem: Problem) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE)
            except queue.Empty:
                if self._stopping.is_set():
                    return
                continue
            job.deliver(problem)
            job.deliver(None)

    def _encode(self, encoder: Encoder, job: Job) -> None:
        end = time.monotonic() + self._time_limit
        records = iter(())
        try:
            if not job.cancelled.is_set():
                records = _records(encoder, job)
            for number, record in enumerate(records):
                job.deliver(record)
                if job.asked is not None and number == 0:
                    # Its programs, one for each layer, were compiled before.
                    end = time.monotonic() + self._time_limit
                if job.cancelled.is_set() or self._stopping.is_set():
                    break
                if time.monotonic() >= end:
                    raise TimeoutError
        except InputError as error:
            job.deliver(Problem(str(error), 400))
        except TimeoutError:
            doing, remedy = _DOING[type(job.asked)]
            job.deliver(
                Problem(
                    f"{doing} took longer than {self._time_limit:g} seconds and was "
                    f"stopped. {remedy}",
                    504,
                )
            )
        except Exception as error:
            doing, _ = _DOING[type(job.asked)]
            job.deliver(Problem(_sentence(error, doing), 500))
        finally:
            job.deliver(None)


def _records(encoder: Encoder, job: Job) -> Iterator[dict[str, Any]]:
    match job.asked:
        case None:
            return encoder.encode(job.text, masked=job.masked)
        case Cell():
            return encoder.explain(job.text, cell=job.asked)
        case Change():
            return encoder.steer(job.text, masked=job.masked, change=job.asked)


def _sentence(error: Exception, doing: str = "Encoding") -> str:
    if isinstance(error, InputError):
        return str(error)
    return f"{doing} failed unexpectedly ({type(error).__name__}: {error})."

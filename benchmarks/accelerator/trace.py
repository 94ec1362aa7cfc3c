"""A profiler trace in one file, and the operations that it says took longest."""

import collections
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax

# Operations that are listed.
_LISTED = 12
# What contains other operations, whose time would count twice.
_OUTER = re.compile(r"%?(while|conditional|call|ThunkExecutor)\b")


def record(call: Callable[[], Any], *, out: pathlib.Path) -> dict[str, Any]:
    """Calls a function under JAX's profiler.

    Args:
      call: what to trace; waits for its result.
      out: folder that the trace is put in, as trace.xplane.pb, for XProf or
        TensorBoard.

    Returns:
      The longest operations with their share of all, and what they took together.
    """
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            call()
        (found,) = pathlib.Path(folder).rglob("*.xplane.pb")
        shutil.copy(found, out / "trace.xplane.pb")
    return longest(out / "trace.xplane.pb")


class Operation(NamedTuple):
    """What ran on the device, with the program that it is part of, if that is known."""

    name: str
    module: str
    start: int  # Nanoseconds.
    end: int


def longest(path: pathlib.Path) -> dict[str, Any]:
    """Reads a trace: seconds by operation, most first.

    Also how long the program that took longest kept the device busy, and for how long
    it was there: the difference are waits for the host.
    """
    totals: collections.Counter[str] = collections.Counter()
    calls: collections.Counter[str] = collections.Counter()
    by_module: dict[str, list[Operation]] = collections.defaultdict(list)
    for operation in _operations(path):
        totals[operation.name] += operation.end - operation.start
        calls[operation.name] += 1
        by_module[operation.module].append(operation)
    together = sum(totals.values())
    program = max(
        (busy_and_span(found) for found in by_module.values()), default=(0, 0)
    )
    return {
        "seconds": together / 1e9,
        "busy_s": program[0] / 1e9,
        "span_s": program[1] / 1e9,
        "operations": [
            {
                "name": name,
                "seconds": nanoseconds / 1e9,
                "calls": calls[name],
                "share": nanoseconds / together,
            }
            for name, nanoseconds in totals.most_common(_LISTED)
        ],
    }


def busy_and_span(operations: Iterable[Operation]) -> tuple[int, int]:
    """Returns for how long any of the operations ran, and from first to last."""
    ordered = sorted(operations, key=lambda operation: operation.start)
    busy, until = 0, ordered[0].start
    for operation in ordered:
        busy += max(operation.end - max(operation.start, until), 0)
        until = max(until, operation.end)
    return busy, until - ordered[0].start


def _operations(path: pathlib.Path) -> Iterator[Operation]:
    """Yields what ran on the device.

    On a TPU that is the line of XLA's operations, on a GPU the lines of streams; on a
    CPU, where there is no device, the threads that run operations.
    """
    data = jax.profiler.ProfileData.from_file(str(path))
    planes = list(data.planes)
    on_device = [plane for plane in planes if plane.name.startswith("/device:")]
    for plane in on_device or planes:
        lines = list(plane.lines)
        operations = [line for line in lines if line.name == "XLA Ops"]
        streams = [line for line in lines if line.name.startswith("Stream")]
        threads = [line for line in lines if "XLA" in line.name or "Eigen" in line.name]
        for line in operations or streams or threads:
            for event in line.events:
                if not _OUTER.match(event.name):
                    module = dict(event.stats).get("hlo_module", "")
                    start = int(event.start_ns)
                    end = start + int(event.duration_ns)
                    yield Operation(event.name, str(module), start, end)

"""A profiler trace in one file, and the operations that it says took longest."""

import collections
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

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


def longest(path: pathlib.Path) -> dict[str, Any]:
    """Reads a trace: seconds by operation, most first."""
    totals: collections.Counter[str] = collections.Counter()
    calls: collections.Counter[str] = collections.Counter()
    for name, nanoseconds in _operations(path):
        totals[name] += nanoseconds
        calls[name] += 1
    together = sum(totals.values())
    return {
        "seconds": together / 1e9,
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


def _operations(path: pathlib.Path) -> Iterator[tuple[str, int]]:
    """Yields name and nanoseconds of what ran on the device.

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
                    yield event.name, int(event.duration_ns)

"""Runs measurements until the time is up, and writes down each as soon as it is done.

Nothing that one of them does ends the others: what does not fit the device's memory, or
fails in another way, is a row that says so.
"""

import pathlib
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.accelerator import tasks
from tfvis_jax import files
from tfvis_jax.errors import InputError
from tfvis_jax.reporting import outputs

OK, NO_MEMORY = "ok", "out of memory"
# Seconds that the first row of a group is expected to take.
_EXPECTED_S = 5.0
_LONGEST_REASON = 160


class Ledger:
    """The document of a measurement, on disk after every row.

    Attributes:
      document: what the JSON holds.
    """

    def __init__(
        self,
        path: pathlib.Path,
        document: dict[str, Any],
        *,
        render: Callable[[dict[str, Any]], str],
    ):
        """Begins a document, or goes on with the one that is there.

        Args:
          path: of the JSON.
          document: header of a new document.
          render: makes the text that is written beside it.

        Raises:
          InputError: what is there was measured on something else.
        """
        self.document = document | {"rows": [], "left_out": []}
        self._path, self._render = path, render
        if path.is_file():
            before = files.read_json(path)
            for part in ("hardware", "versions", "sizes"):
                if _what(before, part) != _what(document, part):
                    raise InputError(
                        f"{path} was measured with other {part}; expected a new "
                        "folder for --out, or the same device and versions."
                    )
            self.document["rows"] = [r for r in before["rows"] if r["status"] == OK]

    def run(self, found: Iterable[tasks.Task], *, seconds: float) -> None:
        """Measures what is not there yet, one after another.

        Args:
          found: what to measure.
          seconds: after which nothing more is begun.
        """
        deadline = time.perf_counter() + seconds
        longest: dict[str, float] = {}
        self.document["left_out"] = []
        for task in found:
            # Peaks are what later rows are compared with, and cost hardly a second.
            if task.group != tasks.PEAKS and self._has(task):
                continue
            expected = min(longest.get(task.group, _EXPECTED_S), 0.1 * seconds)
            if time.perf_counter() + expected > deadline:
                self.document["left_out"].append(_named(task))
                continue
            outputs.say(_named(task))
            start = time.perf_counter()
            row = {"group": task.group, **task.setting, **_measured(task)}
            row["took_s"] = time.perf_counter() - start
            longest[task.group] = max(longest.get(task.group, 0.0), row["took_s"])
            self._put(row, task)
            self._write()
        self._write()

    def failures(self) -> list[str]:
        """Returns what failed, apart from what the device need not be able to do."""
        return [
            f"{row['group']}, {row.get('what', 'a row')}: "
            + (row["status"] if row["status"] != OK else f"off by {row['error']:.1e}")
            for row in self.document["rows"]
            if row["group"] != tasks.SPLIT
            and (row["status"] not in (OK, NO_MEMORY) or not row.get("passed", True))
        ]

    def _has(self, task: tasks.Task) -> bool:
        return any(_is_of(row, task) for row in self.document["rows"])

    def _put(self, row: dict[str, Any], task: tasks.Task) -> None:
        rows = [row for row in self.document["rows"] if not _is_of(row, task)]
        self.document["rows"] = [*rows, row]

    def _write(self) -> None:
        text = self._render(self.document)
        outputs.write(self._path, self.document, text, announce=False)


def _measured(task: tasks.Task) -> dict[str, Any]:
    try:
        return {**task.measure(), "status": OK}
    # A device's libraries fail in ways of their own, and every later row still counts.
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        is_full = "RESOURCE_EXHAUSTED" in reason or isinstance(error, MemoryError)
        outputs.say(reason[:2000])
        return {"status": NO_MEMORY if is_full else reason[:_LONGEST_REASON]}


def _is_of(row: dict[str, Any], task: tasks.Task) -> bool:
    setting = {"group": task.group, **task.setting}
    return all(row.get(name) == value for name, value in setting.items())


def _named(task: tasks.Task) -> str:
    values = [f"{value}" for value in task.setting.values() if value is not None]
    return f"{task.group}: {', '.join(values)}"


def _what(document: dict[str, Any], part: str) -> Any:
    found = document[part]
    if part == "hardware":
        return found["device"], found["num_devices"]
    return found

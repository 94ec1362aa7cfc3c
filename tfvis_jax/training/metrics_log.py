"""Writes `metrics.jsonl`: one line per batch, continued where a run resumes."""

import json
import pathlib
import time
from typing import Any, NamedTuple

import jax
import msgspec
import numpy as np

from tfvis_jax import files, schema, sharding
from tfvis_jax.errors import InputError
from tfvis_jax.learning import step


class _Line(msgspec.Struct):
    """What is read of a line; its other metrics are for people."""

    batch: schema.Positive
    seconds: schema.NotNegative
    rows: schema.Count
    solver_steps: float = 0.0
    held_out_fvu: float = 0.0


_REMEDY = (
    "Remove that line, or the file: training resumes from its checkpoints without it."
)


class _Held(NamedTuple):
    """A batch whose metrics are still on the device."""

    metrics: list[step.StepMetrics]
    batch: int
    window_ids: np.ndarray
    values: dict[str, float | None]
    time: float


class MetricsLog:
    """Appends the metrics of each batch; lines after the resumed batch are dropped.

    Every process checks the metrics, and the first one writes them.
    """

    def __init__(self, path: pathlib.Path, *, resumed_at: int) -> None:
        """Opens the log of a run that resumes after batch ``resumed_at``."""
        self._path = path
        self._writes = sharding.is_first_process()
        self._held: _Held | None = None
        if not self._writes:
            return
        # A run that was killed may have logged batches after its last checkpoint.
        kept = [line for line in read(path) if line["batch"] <= resumed_at]
        with files.write_atomically(path) as file:
            file.writelines(_as_line(line) for line in kept)
        self._before = kept[-1]["seconds"] if kept else 0.0
        self._start = time.monotonic()

    def add(
        self,
        metrics: list[step.StepMetrics],
        *,
        batch: int,
        window_ids: np.ndarray,
        **values: float | None,
    ) -> None:
        """Takes the metrics of a batch, and writes those of the previous batch.

        The host thus reads the results of a batch while the device computes the next.

        Args:
          metrics: the metrics of the batch's steps.
          batch: number of the batch, from 1.
          window_ids: [b] indices of its windows, for error messages.
          values: additional values of the line; those that are None are left out.

        Raises:
          InputError: the metrics of the previous batch are not finite.
        """
        self.flush()
        now = time.monotonic()
        self._held = _Held(metrics, batch, window_ids, values, now)

    def flush(self) -> None:
        """Writes the metrics of the last batch.

        Raises:
          InputError: they are not finite.
        """
        held, self._held = self._held, None
        if held is None or not held.metrics:
            return
        metrics, batch, window_ids, more, now = held
        # One transfer for all steps: each would wait for the device on its own.
        table = np.asarray(jax.device_get(metrics), np.float64)
        sums = step.StepMetrics(*table.sum(axis=0))
        check_hidden_states(
            float(sums.squared_norm), batch=batch, window_ids=window_ids
        )
        # The inputs were finite, so a non-finite error comes from the dictionary.
        if not np.isfinite(sums.squared_error):
            raise InputError(
                f"The dictionary step of batch {batch} diverged; use a smaller "
                "`step_size` or a larger `energy_floor`. Earlier checkpoints are whole."
            )
        # The checks above run in every process, so that all of them stop together.
        if not self._writes:
            return
        values = {
            "batch": batch,
            "seconds": round(self._before + now - self._start, 3),
            "rows": int(sums.n_rows),
            "relative_error": float(sums.squared_error / max(sums.squared_norm, 1e-30)),
            "l0": float(sums.n_active / sums.n_rows),
            "gap_mean": float(sums.gap / sums.n_rows),
            "gap_max": float(table[:, step.StepMetrics._fields.index("max_gap")].max()),
            "solver_steps": float(sums.num_steps / sums.n_rows),
            "n_revived": int(sums.n_revived),
            "l1_penalty": float(sums.l1_penalty / len(metrics)),
        }
        values |= {name: value for name, value in more.items() if value is not None}
        with self._path.open("ab") as file:
            file.write(_as_line(values))


def check_hidden_states(
    squared_norm: float, *, batch: int, window_ids: np.ndarray
) -> None:
    """Raises InputError, which names the batch, if hidden states are not finite.

    Args:
      squared_norm: Σ ‖x‖² of the batch.
      batch: its number.
      window_ids: [n] its windows.
    """
    if not np.isfinite(squared_norm):
        raise InputError(
            f"Hidden states of batch {batch} are not finite (NaN or infinity); its "
            f"windows are {window_ids[:8].tolist()}… of the run's tokens. Try another "
            "--dtype or model; earlier checkpoints are intact."
        )


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the lines of a log; a last line that was cut off is left out.

    Raises:
      InputError: another line is damaged; the message gives its number.
    """
    if not path.exists():
        return []
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from error
    # A killed process leaves a line without its end.
    whole = content[: content.rfind(b"\n") + 1].split(b"\n")[:-1]
    lines = []
    for number, line in enumerate(whole, start=1):
        where = f"Line {number} of {path}"
        try:
            lines.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            why = f"it is not JSON ({error})"
            raise schema.damaged(where, why, remedy=_REMEDY) from error
        schema.convert(lines[-1], _Line, where=where, remedy=_REMEDY)
        if number > 1 and lines[-1]["batch"] <= lines[-2]["batch"]:
            why = f"Expected a batch after {lines[-2]['batch']}"
            raise schema.damaged(where, why, remedy=_REMEDY)
    return lines


def _as_line(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"

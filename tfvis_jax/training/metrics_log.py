"""`metrics.jsonl`: one line a batch, continued exactly where a resume begins."""

import json
import pathlib
import time

import jax
import numpy as np

from tfvis_jax import files, sharding
from tfvis_jax.errors import InputError
from tfvis_jax.learning import step


class MetricsLog:
    """Appends the metrics of each batch; lines after the resumed batch are dropped.

    The first process writes, all check.
    """

    def __init__(self, path: pathlib.Path, *, resumed_at: int):
        """Opens the log of a run that goes on after batch ``resumed_at``."""
        self._path = path
        self._writes = sharding.is_first_process()
        self._held = None
        if not self._writes:
            return
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
        """Takes the metrics of a batch, and writes those of the batch before.

        So the device already has its next work when the host reads what it has done.

        Args:
          metrics: of the batch's steps.
          batch: its number, from 1.
          window_ids: its windows, for a message.
          values: more of the line; None leaves one out.
        """
        self.flush()
        now = time.monotonic()
        self._held = (metrics, batch, window_ids, values, now)

    def flush(self) -> None:
        """Writes what is held; stops the run when the batch was not finite."""
        held, self._held = self._held, None
        if held is None or not held[0]:
            return
        metrics, batch, window_ids, more, now = held
        table = np.asarray(jax.device_get(metrics), np.float64)
        sums = step.StepMetrics(*table.sum(axis=0))
        check_hidden_states(
            float(sums.squared_norm), batch=batch, window_ids=window_ids
        )
        if not np.isfinite(sums.squared_error):
            raise InputError(
                f"The dictionary step of batch {batch} diverged; a smaller `step_size` "
                "or a larger `energy_floor` helps. The checkpoints before are whole."
            )
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
    """Stops a run whose hidden states are not finite; InputError names the batch."""
    if not np.isfinite(squared_norm):
        raise InputError(
            f"Hidden states of batch {batch} are not finite (NaN or infinity); its "
            f"windows are {window_ids[:8].tolist()}… of the run's tokens. Another "
            "--dtype or model may help; checkpoints from before it are whole."
        )


def read(path: pathlib.Path) -> list[dict]:
    """Returns the lines of a log, up to one that is not whole."""
    lines = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            break
        if not isinstance(values, dict) or not {"batch", "seconds", "rows"} <= set(
            values
        ):
            break
        lines.append(values)
    return lines


def _as_line(values: dict) -> bytes:
    return json.dumps(values).encode() + b"\n"

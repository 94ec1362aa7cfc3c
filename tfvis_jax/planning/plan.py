"""Whether a run fits its devices, and what it costs, before it starts."""

import dataclasses
import os
from collections.abc import Sequence
from typing import NamedTuple

import jax

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.data import loader
from tfvis_jax.errors import InputError
from tfvis_jax.models import bert_config
from tfvis_jax.planning import compiled, costs
from tfvis_jax.training import mesh as mesh_lib

_GIB = 2**30


class Rate(NamedTuple):
    """How fast a run was, as its log says.

    Attributes:
      rows: that were trained on in the time below.
      seconds: from the end of the first batch of the log, which compiles, to the last.
      solver_steps: of an average row.
    """

    rows: int
    seconds: float
    solver_steps: float

    def seconds_for(self, rows: float) -> float:
        """Returns how long so many rows take at this rate."""
        return rows / self.rows * self.seconds


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run needs and whether that is there.

    Attributes:
      mesh: where it runs.
      solver: that infers the codes.
      memory: bytes of one device.
      work: of one device in a dictionary step.
      solver_steps: that ``work`` reckons with.
      rows: of a dictionary step, over all devices.
      device_memory: bytes that a device has; None where nobody knows.
      most_rows: of a step for which the memory would do; None likewise.
    """

    mesh: costs.Mesh
    solver: str
    memory: costs.Memory
    work: costs.Work
    solver_steps: float
    rows: int
    device_memory: int | None
    most_rows: int | None

    @property
    def fits(self) -> bool:
        """Whether the memory does, as far as it is known."""
        return self.device_memory is None or self.memory.peak <= self.device_memory


def make(
    config: config_lib.RunConfig,
    model: bert_config.BertConfig,
    *,
    mesh: costs.Mesh,
    device_memory: int | None,
    solver_steps: float | None = None,
) -> Plan:
    """Returns the plan of a run.

    Args:
      config: its settings.
      model: sizes of its BERT.
      mesh: sizes of the mesh.
      device_memory: bytes that a device has; None if unknown.
      solver_steps: to reckon with; the most that the settings allow if None.

    Raises:
      InputError: the settings of the run do not go with the mesh.
    """
    mesh_lib.check(config, _abstract(mesh))
    steps = config.solver.max_steps if solver_steps is None else solver_steps
    return Plan(
        mesh=mesh,
        solver=costs.solver_name(config, mesh),
        memory=costs.memory(config, model, mesh=mesh),
        work=costs.work(config, model, mesh=mesh, solver_steps=steps),
        solver_steps=steps,
        rows=compiled.rows_of_step(config),
        device_memory=device_memory,
        most_rows=None
        if device_memory is None
        else _most_rows(config, model, mesh=mesh, device_memory=device_memory),
    )


def check(
    config: config_lib.RunConfig,
    model: bert_config.BertConfig,
    *,
    mesh: jax.sharding.Mesh,
) -> None:
    """Refuses a run that cannot fit the devices of a mesh; to ask before it starts.

    Args:
      config: settings of the run.
      model: sizes of its BERT.
      mesh: from `sharding.make_mesh`.

    Raises:
      InputError: the run takes more memory than a device has (says which part takes
        what, and which rows would do), or its settings do not go with the mesh.
    """
    device = mesh.local_devices[0]
    sizes = costs.Mesh(
        mesh.shape[sharding.DATA], mesh.shape[sharding.FACTOR], device.platform
    )
    planned = make(config, model, mesh=sizes, device_memory=device_memory(device))
    if planned.fits:
        return
    parts = ", ".join(
        f"{name.replace('_', ' ')} {num_bytes / _GIB:.2f}"
        for name, num_bytes in planned.memory._asdict().items()
    )
    remedy = (
        f"--rows_per_step={planned.most_rows} would fit."
        if planned.most_rows
        else "No number of rows would fit: take fewer windows or factors, or let more "
        f"devices share the dictionary (--mesh=data=-1,factor={2 * sizes.factor})."
    )
    raise InputError(
        f"Expected a run that fits the {planned.device_memory / _GIB:.2f} GiB of a "
        f"device; this one takes {planned.memory.peak / _GIB:.2f} GiB ({parts}). "
        + remedy
    )


def device_memory(device: jax.Device) -> int | None:
    """Returns the bytes that a program may use on a device, or None if unknown.

    On a CPU it is an equal share of the machine's memory for each of its devices.
    """
    if device.platform == "cpu":
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return machine // jax.local_device_count("cpu")
    return (device.memory_stats() or {}).get("bytes_limit")


def measured_rate(log: Sequence[dict]) -> Rate | None:
    """Returns the rate that the lines of a `metrics.jsonl` show; None for fewer than 2.

    Args:
      log: from `metrics_log.read`.
    """
    if len(log) < 2 or log[-1]["seconds"] <= log[0]["seconds"]:
        return None
    rows = sum(line["rows"] for line in log[1:])
    steps = sum(line["rows"] * line.get("solver_steps", 0.0) for line in log[1:])
    return Rate(rows, log[-1]["seconds"] - log[0]["seconds"], steps / rows)


def _most_rows(config, model, *, mesh, device_memory) -> int:
    """Returns the most rows of a step that fit; 0 if none do."""
    parts = loader.num_parts(config.windows_per_batch)

    def fits(rows_of_part):
        tried = dataclasses.replace(config, rows_per_step=rows_of_part * parts)
        return costs.memory(tried, model, mesh=mesh).peak <= device_memory

    # A batch has no more rows than this to give.
    tokens = config.windows_per_batch * config.corpus.window_length
    low = 0
    high = tokens * len(compiled.layers_of(config, model)) // parts + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low * parts


def _abstract(mesh):
    return jax.sharding.AbstractMesh(
        (mesh.data, mesh.factor), (sharding.DATA, sharding.FACTOR)
    )

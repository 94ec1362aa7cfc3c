"""Plans a run: whether it fits the devices and what it costs, before it starts."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.data import loader
from tfvis_jax.errors import InputError
from tfvis_jax.models import encoder_config
from tfvis_jax.planning import compiled, costs
from tfvis_jax.training import mesh as mesh_lib

_GIB = 2**30


class Rate(NamedTuple):
    """How fast a run was, according to its log.

    Attributes:
      rows: rows trained on in that time.
      seconds: time from the end of the first batch, which includes compilation, to the
        end of the last.
      solver_steps: number of solver steps of an average row.
    """

    rows: int
    seconds: float
    solver_steps: float

    def seconds_for(self, rows: float) -> float:
        """Returns how many seconds ``rows`` take at this rate."""
        return rows / self.rows * self.seconds


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run needs, and what its devices have.

    Attributes:
      mesh: where it runs.
      solver: name of the solver that infers the codes.
      memory: bytes needed on one device.
      work: work of one device in a dictionary step.
      solver_steps: number of solver steps that ``work`` assumes.
      rows: rows of a dictionary step, over all devices.
      device_memory: bytes that a device has; None if unknown.
      most_rows: the most rows per step that fit the memory; None if it is unknown.
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
        """True if the run fits the memory, or if the memory is unknown."""
        return self.device_memory is None or self.memory.peak <= self.device_memory


def make(
    config: config_lib.RunConfig,
    model: encoder_config.EncoderConfig,
    *,
    mesh: costs.Mesh,
    device_memory: int | None,
    solver_steps: float | None = None,
) -> Plan:
    """Returns the plan of a run.

    Args:
      config: settings of the run.
      model: sizes of its encoder.
      mesh: sizes of the mesh.
      device_memory: bytes that a device has; None if unknown.
      solver_steps: number of solver steps to assume; by default, the most that the
        settings allow.

    Raises:
      InputError: the settings of the run do not suit the mesh.
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
        else _most_rows(config, model, mesh=mesh, limit=device_memory),
    )


def check(
    config: config_lib.RunConfig,
    model: encoder_config.EncoderConfig,
    *,
    mesh: jax.sharding.Mesh,
) -> None:
    """Refuses a run that does not fit the devices of a mesh, before it starts.

    Args:
      config: settings of the run.
      model: sizes of its encoder.
      mesh: from `sharding.make_mesh`.

    Raises:
      InputError: the run needs more memory than a device has (the message lists the
        parts, and the rows that would fit), or its settings do not suit the mesh.
    """
    device = mesh.local_devices[0]
    sizes = costs.Mesh(
        mesh.shape[sharding.DATA], mesh.shape[sharding.FACTOR], device.platform
    )
    limit = device_memory(device)
    planned = make(config, model, mesh=sizes, device_memory=limit)
    if limit is None or planned.fits:
        return
    # Named part by part, so that a user sees which setting to lower.
    parts = ", ".join(
        f"{name.replace('_', ' ')} {num_bytes / _GIB:.2f}"
        for name, num_bytes in planned.memory._asdict().items()
    )
    remedy = (
        f"--rows_per_step={planned.most_rows} would fit."
        if planned.most_rows
        else "No number of rows would fit: use fewer windows or factors, or split the "
        f"dictionary over more devices (--mesh=data=-1,factor={2 * sizes.factor})."
    )
    raise InputError(
        f"Expected a run that fits the {limit / _GIB:.2f} GiB of a device, got one "
        f"that needs {planned.memory.peak / _GIB:.2f} GiB ({parts}). " + remedy
    )


def device_memory(
    # jaxlib has no stubs.
    device: jax.Device,  # pyright: ignore[reportInvalidTypeForm, reportUnknownParameterType]
) -> int | None:
    """Returns the bytes that a program may use on a device, or None if unknown.

    The devices of a CPU share the machine's memory equally.
    """
    if device.platform == "cpu":
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return machine // jax.local_device_count("cpu")
    return (device.memory_stats() or {}).get("bytes_limit")


def measured_rate(log: Sequence[Mapping[str, Any]]) -> Rate | None:
    """Returns the rate of a run according to its `metrics.jsonl`.

    Args:
      log: lines of the file, from `metrics_log.read`.

    Returns:
      The rate, or None if the log has fewer than two lines.
    """
    if len(log) < 2 or log[-1]["seconds"] <= log[0]["seconds"]:
        return None
    # The first batch is left out, because its time includes compilation.
    rows = sum(line["rows"] for line in log[1:])
    steps = sum(line["rows"] * line.get("solver_steps", 0.0) for line in log[1:])
    return Rate(rows, log[-1]["seconds"] - log[0]["seconds"], steps / max(rows, 1))


def _most_rows(
    config: config_lib.RunConfig,
    model: encoder_config.EncoderConfig,
    *,
    mesh: costs.Mesh,
    limit: int,
) -> int:
    """Returns the most rows per step that fit into `limit` bytes, or 0."""
    parts = loader.num_parts(config.windows_per_batch)

    def fits(rows_of_part: int) -> bool:
        tried = dataclasses.replace(config, rows_per_step=rows_of_part * parts)
        return costs.memory(tried, model, mesh=mesh).peak <= limit

    # A batch has no more rows than this.
    tokens = config.windows_per_batch * config.corpus.window_length
    # Bisection: `low` fits, `high` does not or is more than a batch has.
    low = 0
    high = tokens * len(config.layers_of(model.n_layers)) // parts + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low * parts


def _abstract(mesh: costs.Mesh) -> jax.sharding.AbstractMesh:
    return jax.sharding.AbstractMesh(
        (mesh.data, mesh.factor), (sharding.DATA, sharding.FACTOR)
    )

"""Compiles the programs of a run for a slice of TPUs that need not be present.

XLA's compiler for TPUs is part of the package `libtpu` and needs no TPU. It requires a
process of its own and writes to stderr, so it runs in a child process.
"""

import dataclasses
import importlib.util
import json
import os
import re
import subprocess
import sys
from typing import Any

import jax
from jax.experimental import topologies

from tfvis_jax import config as config_lib
from tfvis_jax import config_json, sharding
from tfvis_jax.errors import InputError
from tfvis_jax.models import encoder_config, registry
from tfvis_jax.planning import compiled

# Without these variables libtpu looks for the TPU machine that it expects to run on.
_ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
_NAMES = (
    "Give GENERATION:SIDES, with the number of chips along each side, in hosts of "
    "2x2: such as v5e:16x16, v5e:2x4, v6e:2x4 or v5p:2x2x1."
)
# GiB of a chip by generation, from Google's documentation of Cloud TPU.
_CHIP_GIB = {"v4": 32, "v5e": 16, "v5p": 95, "v6e": 32}
_PROGRAMS = {"step": compiled.lower_step, "encoder": compiled.lower_encoder}


def num_chips(topology: str) -> int:
    """Returns the number of chips of a topology such as ``v5e:16x16``.

    Raises:
      InputError: this is not the name of a topology.
    """
    match = re.fullmatch(r"v\w+:(\d+(?:x\d+)*)", topology)
    if match is None:
        raise InputError(f"Expected a topology, got {topology!r}. {_NAMES}")
    chips = 1
    for side in match.group(1).split("x"):
        chips *= int(side)
    return chips


def chip_memory(topology: str) -> int | None:
    """Returns the memory of a chip in bytes, or None for an unknown generation."""
    gib = _CHIP_GIB.get(topology.partition(":")[0])
    return None if gib is None else gib * 2**30


def compile_programs(
    config: config_lib.RunConfig,
    model: encoder_config.EncoderConfig,
    *,
    topology: str,
    data: int,
    factor: int,
    programs: tuple[str, ...] = tuple(_PROGRAMS),
) -> dict[str, compiled.ProgramCost | str]:
    """Compiles the programs of a run for a slice of TPUs.

    Args:
      config: settings of the run.
      model: sizes of its encoder.
      topology: the slice's name in libtpu, such as ``v5e:16x16``.
      data: devices that share the rows.
      factor: devices that share the dictionary.
      programs: names of the programs, among "step" and "encoder".

    Returns:
      By name, the cost of each program, or the reason why it cannot be compiled, such
      as that it does not fit the memory of a chip.

    Raises:
      InputError: libtpu is not installed, or does not know the topology.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise InputError(
            "Expected libtpu, XLA's compiler for TPUs, got none; install it with "
            "`pip install 'tfvis_jax[tpu]'`. It needs no TPU."
        )
    request = {
        "config": config_json.to_json(config),
        "model_type": registry.of_config(model)[0],
        "model": dataclasses.asdict(model),
        "topology": topology,
        "mesh": [data, factor],
        "programs": list(programs),
    }
    child = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        # On the CPU, so that the child does not take the accelerator of its parent.
        env=os.environ | _ENVIRONMENT,
        check=False,
    )
    if child.returncode:
        last = (child.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"libtpu could not compile for {topology}: {last}")
    # The last line, in case that libtpu prints something too.
    answer = json.loads(child.stdout.splitlines()[-1])
    if "refused" in answer:
        raise InputError(
            f"libtpu does not know the topology {topology!r} ({answer['refused']}). "
            + _NAMES
        )
    return {name: _as_program_cost(value) for name, value in answer.items()}


def _as_program_cost(value: dict[str, Any] | str) -> compiled.ProgramCost | str:
    if isinstance(value, str):
        return value
    exchanged = tuple(compiled.Collective(*each) for each in value["collectives"])
    fields: dict[str, Any] = value | {"collectives": exchanged}
    return compiled.ProgramCost(**fields)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Returns the child's answer: by program, its cost or the reason for none."""
    try:
        devices = topologies.get_topology_desc(
            platform="tpu", topology_name=request["topology"]
        ).devices
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        return {"refused": str(error).splitlines()[0]}
    axes = (sharding.DATA, sharding.FACTOR)
    mesh = jax.make_mesh(tuple(request["mesh"]), axes, devices=devices)
    config = config_json.from_json(request["config"])
    model = registry.ARCHITECTURES[request["model_type"]].config(**request["model"])
    answer = {}
    for name in request["programs"]:
        try:
            lowered = _PROGRAMS[name](config, model, mesh=mesh)
            answer[name] = dataclasses.asdict(compiled.program_cost(lowered))
        except jax.errors.JaxRuntimeError as error:
            # The first paragraph says why; the rest lists every buffer.
            answer[name] = str(error).split("\n\n")[0].strip()
    return answer


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_answer(json.loads(sys.stdin.read()))) + "\n")

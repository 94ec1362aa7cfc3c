"""Compiling the programs of a run for a slice of TPUs that is not at hand.

XLA's compiler for TPUs is in the package `libtpu` and needs no TPU. It wants a process
to itself and speaks on its error stream, so that it runs in a child.
"""

import dataclasses
import importlib.util
import json
import os
import re
import subprocess
import sys

import jax
from jax.experimental import topologies

from tfvis_jax import config as config_lib
from tfvis_jax import config_json, sharding
from tfvis_jax.errors import InputError
from tfvis_jax.models import bert_config
from tfvis_jax.planning import compiled

# Without these libtpu looks for the machine that it believes to be on.
_ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
_NAMES = (
    "A name is GENERATION:SIDES, the chips along each side, in hosts of 2x2: such as "
    "v5e:16x16, v5e:2x4, v6e:2x4 or v5p:2x2x1."
)
# GiB of a chip, by generation, as Google's documentation of Cloud TPU gives them.
_CHIP_GIB = {"v4": 32, "v5e": 16, "v5p": 95, "v6e": 32}
_PROGRAMS = {"step": compiled.lower_step, "encoder": compiled.lower_encoder}


def num_chips(topology: str) -> int:
    """Returns how many chips ``v5e:16x16`` has, by its name alone.

    Raises:
      InputError: the name is not one of a topology.
    """
    match = re.fullmatch(r"v\w+:(\d+(?:x\d+)*)", topology)
    if match is None:
        raise InputError(f"Expected a topology, got {topology!r}. {_NAMES}")
    chips = 1
    for side in match.group(1).split("x"):
        chips *= int(side)
    return chips


def chip_memory(topology: str) -> int | None:
    """Returns the bytes of a chip of ``v5e:16x16``, None for unknown generations."""
    gib = _CHIP_GIB.get(topology.partition(":")[0])
    return None if gib is None else gib * 2**30


def compile_programs(
    config: config_lib.RunConfig,
    model: bert_config.BertConfig,
    *,
    topology: str,
    data: int,
    factor: int,
    programs: tuple[str, ...] = tuple(_PROGRAMS),
) -> dict[str, compiled.Figures | str]:
    """Compiles the programs of a run for a slice of TPUs.

    Args:
      config: settings of the run.
      model: sizes of its BERT.
      topology: name of the slice, as libtpu knows it.
      data: devices that share the rows.
      factor: devices that share the dictionary.
      programs: which of "step" and "encoder".

    Returns:
      What XLA says of each program, or why it could not be compiled; a program that
      does not fit the memory of a chip cannot.

    Raises:
      InputError: libtpu is not installed, or does not know the topology.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise InputError(
            "Expected libtpu, XLA's compiler for TPUs, and found none. It needs no "
            "TPU: pip install 'tfvis_jax[tpu]'."
        )
    request = {
        "config": config_json.to_json(config),
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
        env=os.environ | _ENVIRONMENT,
        check=False,
    )
    if child.returncode:
        last = (child.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"libtpu could not compile for {topology}: {last}")
    answer = json.loads(child.stdout.splitlines()[-1])
    if "refused" in answer:
        raise InputError(
            f"libtpu does not know the topology {topology!r} ({answer['refused']}). "
            + _NAMES
        )
    return {name: _as_figures(value) for name, value in answer.items()}


def _as_figures(value):
    if isinstance(value, str):
        return value
    exchanged = tuple(compiled.Collective(*each) for each in value["collectives"])
    return compiled.Figures(**value | {"collectives": exchanged})


def _answer(request: dict) -> dict:
    """Returns what the child says: figures or reasons by program."""
    try:
        devices = topologies.get_topology_desc(
            platform="tpu", topology_name=request["topology"]
        ).devices
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        return {"refused": str(error).splitlines()[0]}
    axes = (sharding.DATA, sharding.FACTOR)
    mesh = jax.make_mesh(tuple(request["mesh"]), axes, devices=devices)
    config = config_json.from_json(request["config"])
    model = bert_config.BertConfig(**request["model"])
    answer = {}
    for name in request["programs"]:
        try:
            lowered = _PROGRAMS[name](config, model, mesh=mesh)
            answer[name] = dataclasses.asdict(compiled.figures(lowered))
        except jax.errors.JaxRuntimeError as error:
            answer[name] = str(error).split("\n\n")[0].strip()
    return answer


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_answer(json.loads(sys.stdin.read()))) + "\n")

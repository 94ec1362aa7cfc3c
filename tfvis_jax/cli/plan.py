"""`tfvis plan`: the memory and work of a run, and whether it fits, before it runs."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import jax
from absl import flags

from tfvis_jax import config as config_lib
from tfvis_jax import models, pipeline, sharding
from tfvis_jax.cli import (
    command,
    devices,
    plan_text,
    run_argument,
    settings,
    shared_flags,
)
from tfvis_jax.data import loader
from tfvis_jax.data import windows as windows_lib
from tfvis_jax.errors import InputError
from tfvis_jax.models import encoder_config
from tfvis_jax.planning import costs, plan, timing, topology
from tfvis_jax.runs import directory as directory_lib

FLAGS = command.new_flags()
settings.define(FLAGS)
_MESH = flags.DEFINE_string(
    "mesh",
    None,
    "Devices that share the rows (data) and the dictionary (factor), such as "
    "data=-1,factor=2; -1 takes what the other leaves. (default: as `tfvis train`)",
    flag_values=FLAGS,
)
_NUM_DEVICES = flags.DEFINE_integer(
    "num_devices",
    None,
    "Devices in all. (default: those of this machine)",
    lower_bound=1,
    flag_values=FLAGS,
)
_DEVICE_MEMORY = flags.DEFINE_float(
    "device_memory",
    None,
    "Memory of a device in GiB. (default: that of this machine's or the topology's)",
    lower_bound=0,
    flag_values=FLAGS,
)
_TOPOLOGY = flags.DEFINE_string(
    "topology",
    None,
    "Compile for this slice of TPUs, such as v5e:16x16, without having one.",
    flag_values=FLAGS,
)
_TOTAL_ROWS = flags.DEFINE_float(
    "total_rows",
    None,
    "Hidden states to train on in all. (default: those of the run's text)",
    lower_bound=1,
    flag_values=FLAGS,
)
_MEASURED = flags.DEFINE_string(
    "measured",
    None,
    "Run whose log says how many rows a second were trained on. (default: RUN)",
    flag_values=FLAGS,
)
_TRIAL = flags.DEFINE_bool(
    "trial",
    False,
    "Train on the beginning of --text for some seconds to measure the time on this "
    "machine; nothing is kept.",
    flag_values=FLAGS,
)
# Stands for the text where none is needed.
_NO_TEXT = ("-",)
_JSON = shared_flags.json(FLAGS, "Print JSON.")


def main(arguments: Sequence[str]) -> int:
    """Prints the plan of a run or of flags; returns 1 if it does not fit."""
    if len(arguments) > 1:
        raise command.UsageError(f"Expected at most one run, got {list(arguments)}.")
    directory = None
    if arguments:
        directory = directory_lib.RunDirectory(run_argument.folder(arguments[0]))
    config = _config(directory)
    devices.use_all_cores(quietly=True)
    model = models.read_config(config.model)
    config.layers_of(model.n_layers)  # Refuses a layer that the model has not.
    mesh = _mesh(config)
    measured = _tried(config) if _TRIAL.value else _measured(directory)
    has_codes = measured is not None and measured.same_codes(config)
    planned = plan.make(
        config,
        model,
        mesh=mesh,
        device_memory=_device_memory(),
        solver_steps=measured.rate.solver_steps if measured and has_codes else None,
    )
    windows = _windows(directory)
    document = plan_text.document(
        planned,
        total_rows=_TOTAL_ROWS.value or _rows_of_text(windows, config, model),
        stored_token=costs.stored_token(config, model),
        num_tokens=None if windows is None else len(windows) * windows.window_length,
        measured=measured,
        time=measured
        and measured.time_for(
            planned,
            config,
            model,
            kind=None if _TOPOLOGY.value else jax.devices()[0].device_kind,
            same_devices=_has_devices_of_this_machine(),
        ),
        compiled=_compiled(config, model, mesh),
    )
    print(json.dumps(document, indent=1) if _JSON.value else plan_text.text(document))
    return 0 if document["fits"] else 1


def _config(directory: directory_lib.RunDirectory | None) -> config_lib.RunConfig:
    if directory and (directory.config_path.is_file() or not FLAGS.model):
        return settings.override(directory.read_config(), FLAGS)
    if not FLAGS.text:
        # No text is read, and none is needed.
        FLAGS.text = list(_NO_TEXT)
    return settings.build(FLAGS)


def _mesh(config: config_lib.RunConfig) -> costs.Mesh:
    if _TOPOLOGY.value:
        num_devices, platform = topology.num_chips(_TOPOLOGY.value), "tpu"
    else:
        num_devices = _NUM_DEVICES.value or jax.device_count()
        platform = jax.default_backend()
    sizes = _sizes(config, num_devices=num_devices)
    return costs.Mesh(*sizes, platform)


def _sizes(config: config_lib.RunConfig, *, num_devices: int) -> tuple[int, int]:
    """Returns the sizes of the mesh: as asked for, or as training would choose."""
    if _MESH.value is not None:
        return sharding.parse(_MESH.value, num_devices=num_devices)
    parts = loader.num_parts(config.windows_per_batch)
    return sharding.most_devices(num_parts=parts, num_devices=num_devices), 1


def _device_memory() -> int | None:
    if _DEVICE_MEMORY.value is not None:
        return int(_DEVICE_MEMORY.value * 2**30)
    if _TOPOLOGY.value:
        return topology.chip_memory(_TOPOLOGY.value)
    return plan.device_memory(jax.local_devices()[0])


def _has_devices_of_this_machine() -> bool:
    return (
        not _TOPOLOGY.value and _NUM_DEVICES.value is None and not FLAGS["mesh"].present
    )


def _measured(
    directory: directory_lib.RunDirectory | None,
) -> timing.Measured | None:
    """Returns the run whose log says how fast it was, if there is one."""
    if _MEASURED.value is None:
        return directory and timing.of_run(directory)
    found = timing.of_run(
        directory_lib.RunDirectory(run_argument.folder(_MEASURED.value))
    )
    if found is None:
        raise InputError(
            f"Expected --measured to be a run with two batches in its metrics.jsonl, "
            f"got {_MEASURED.value}."
        )
    return found


def _tried(config: config_lib.RunConfig) -> timing.Measured:
    """Measures this machine."""
    if _MEASURED.value is not None or _TOPOLOGY.value:
        raise command.UsageError(
            "Expected --trial without --measured and --topology: it measures this "
            "machine."
        )
    if config.corpus.paths == _NO_TEXT:
        raise command.UsageError("Expected --text for --trial, which reads some of it.")
    mesh = sharding.make_mesh(*_sizes(config, num_devices=jax.device_count()))
    with pipeline.bars() as progress:
        return pipeline.run_trial(config, mesh=mesh, progress=progress).measured


def _windows(
    directory: directory_lib.RunDirectory | None,
) -> windows_lib.Windows | None:
    """Opens the token windows of a run that has some."""
    if directory is None or not (directory.tokens / "index.json").is_file():
        return None
    return windows_lib.open(directory.tokens)


def _rows_of_text(
    windows: windows_lib.Windows | None,
    config: config_lib.RunConfig,
    model: encoder_config.EncoderConfig,
) -> float | None:
    if windows is None:
        return None
    tokens = int(windows.num_rows(windows.train).sum()) * config.num_epochs
    return tokens * len(config.layers_of(model.n_layers)) * config.row_fraction


def _compiled(
    config: config_lib.RunConfig, model: encoder_config.EncoderConfig, mesh: costs.Mesh
) -> dict[str, Any] | None:
    if not _TOPOLOGY.value:
        return None
    programs = topology.compile_programs(
        config,
        model,
        topology=_TOPOLOGY.value,
        data=mesh.data,
        factor=mesh.factor,
    )
    return {
        "topology": _TOPOLOGY.value,
        "programs": {
            name: each
            if isinstance(each, str)
            else dataclasses.asdict(each)
            | {"collectives": [c._asdict() for c in each.collectives]}
            for name, each in programs.items()
        },
    }


COMMAND = command.Command(
    name="plan",
    usage="[RUN] [--model=FOLDER_OR_NAME] [--flags]",
    description=(
        "Estimates the memory that a run takes on each device, whether it fits, and "
        "how much it computes and exchanges, from a run's settings or from flags; "
        "nothing is trained. The exit code is 0 if it fits and 1 if it does not. A "
        "time is that of a measured run, or scaled from it by the work, or not given. "
        "With --topology XLA compiles the training step for TPUs that this machine "
        "does not have (one to five minutes)."
    ),
    flags=FLAGS,
    run=main,
)

"""Learns a dictionary with the settings of a run, on any mesh, without the command.

    python -m experiments.train_dictionary --workdir=runs/other --settings=runs/demo \
        --n_factors=4096 --mesh=data=-1,factor=2

The library does the work; this is what a program of one's own looks like. The settings
may be those of the same run, which then goes on where it stopped.
"""

import jax
from absl import app, flags

from benchmarks import script
from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.cli import progress, train
from tfvis_jax.planning import plan
from tfvis_jax.runs import dictionary_file
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.training import loop

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's directory.", required=True)
_SETTINGS = flags.DEFINE_string(
    "settings", None, "Run whose settings are used.", required=True
)
_N_FACTORS = flags.DEFINE_integer(
    "n_factors", None, "Factors; those of the settings by default.", lower_bound=1
)
_MESH = flags.DEFINE_string(
    "mesh",
    f"{sharding.DATA}=-1,{sharding.FACTOR}=1",
    "Devices that share the rows and the dictionary; -1 is what the other leaves.",
)


@script.main
def main() -> None:
    """Trains and writes the dictionary."""
    values = config_lib.to_json(
        directory_lib.RunDirectory(_SETTINGS.value).read_config()
    )
    if _N_FACTORS.value is not None:
        values["dictionary"]["n_factors"] = _N_FACTORS.value
    config = config_lib.from_json(values)
    sizes = sharding.parse(_MESH.value, num_devices=jax.device_count())
    mesh = sharding.make_mesh(*sizes)
    directory, stages = directory_lib.RunDirectory(_WORKDIR.value), progress.Stages()
    with directory.lock():
        opened, windows = train.prepare(directory, config, stages, num_workers=1)
        plan.check(config, opened.pretrained.config, mesh=mesh)
        with stages.stage("train", "learning") as show:
            state = loop.fit(opened, windows, progress=show, mesh=mesh)
        trained = dictionary_file.from_state(state, opened)
        dictionary_file.save(directory.dictionary, trained)
    print(
        f"{len(trained.factors):,} factors after {int(state.step):,} steps on "
        f"{mesh.size} devices: {directory.dictionary}"
    )


if __name__ == "__main__":
    app.run(main)

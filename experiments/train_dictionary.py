"""Learns a dictionary with the settings of a run, on any mesh, without the command.

    python -m experiments.train_dictionary --workdir=runs/other --settings=runs/demo \
        --n_factors=4096 --mesh=data=-1,factor=2

The library does the work; a program of your own looks like this. The settings may be
those of the same run, which then resumes where it stopped.
"""

import dataclasses

import jax
from absl import flags

from experiments import script
from tfvis_jax import pipeline, sharding
from tfvis_jax.runs import directory as directory_lib

FLAGS = flags.FlagValues()
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The run's directory.", required=True, flag_values=FLAGS
)
_SETTINGS = flags.DEFINE_string(
    "settings",
    None,
    "Run whose settings are used.",
    required=True,
    flag_values=FLAGS,
)
_N_FACTORS = flags.DEFINE_integer(
    "n_factors",
    None,
    "Factors. (default: those of the settings)",
    lower_bound=1,
    flag_values=FLAGS,
)
_MESH = flags.DEFINE_string(
    "mesh",
    f"{sharding.DATA}=-1,{sharding.FACTOR}=1",
    "Devices that share the rows and the dictionary; -1 takes what the other leaves.",
    flag_values=FLAGS,
)


def main() -> None:
    """Trains and writes the dictionary."""
    config = directory_lib.RunDirectory(_SETTINGS.value).read_config()
    if _N_FACTORS.value is not None:
        dictionary = dataclasses.replace(config.dictionary, n_factors=_N_FACTORS.value)
        config = dataclasses.replace(config, dictionary=dictionary)
    sizes = sharding.parse(_MESH.value, num_devices=jax.device_count())
    mesh = sharding.make_mesh(*sizes)
    with pipeline.bars() as progress:
        report = pipeline.train(_WORKDIR.value, config, mesh=mesh, progress=progress)
    print(
        f"{report['n_factors']:,} factors from {report['n_rows']:,} rows on "
        f"{mesh.size} devices: {directory_lib.RunDirectory(_WORKDIR.value).dictionary}"
    )


if __name__ == "__main__":
    script.run(main, FLAGS)

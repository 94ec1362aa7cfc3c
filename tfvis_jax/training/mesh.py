"""Checks that a run can be trained on a mesh, before anything is written."""

import jax

from tfvis_jax import config as config_lib
from tfvis_jax import sharding
from tfvis_jax.data import loader
from tfvis_jax.errors import InputError
from tfvis_jax.sparse_coding import registry


def check(
    config: config_lib.RunConfig,
    mesh: sharding.AnyMesh,
) -> None:
    """Refuses a mesh that does not suit the settings of a run.

    Args:
      config: settings of the run.
      mesh: from `sharding.make_mesh`, or its sizes alone.

    Raises:
      InputError: the mesh does not divide the sizes of the run, or it splits the
        dictionary although the solver or update needs all of it on each device.
    """
    sharding.check_sizes(
        mesh,
        n_factors=config.dictionary.n_factors,
        batch_size=config.windows_per_batch,
        num_parts=loader.num_parts(config.windows_per_batch),
        part_size=loader.WINDOWS_PER_PART,
    )
    if mesh.shape[sharding.FACTOR] == 1:
        return
    solver = registry.solver(
        config.solver.solver,
        platform=jax.default_backend(),
        n_factors=config.dictionary.n_factors,
        factors_are_split=True,
    )
    for name, value, method in (
        ("solver", config.solver.solver, solver),
        ("update", config.dictionary.update, registry.update(config.dictionary)),
    ):
        if method.needs_whole_dictionary:
            raise InputError(
                f"Expected {sharding.FACTOR}=1 with --{name}={value}, which needs the "
                f"whole dictionary on each device, got {sharding.FACTOR}="
                f"{mesh.shape[sharding.FACTOR]}; split the rows only, or choose "
                f"another {name}."
            )

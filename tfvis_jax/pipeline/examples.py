"""The tokens of the corpus that fire each factor most."""

import contextlib
import os

import jax

from tfvis_jax import sharding
from tfvis_jax.errors import InputError
from tfvis_jax.examples import gathering, stored, unfinished
from tfvis_jax.pipeline import progress as progress_lib
from tfvis_jax.pipeline.writing import writing
from tfvis_jax.runs import dictionary_file, setup
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.sparse_coding import checks


def collect_examples(
    directory: str | os.PathLike[str],
    *,
    top_n: int = 1000,
    random_n: int = gathering.N_RANDOM,
    progress: progress_lib.Progress = progress_lib.silent,
    mesh: jax.sharding.Mesh | None = None,
) -> stored.Examples | None:
    """Encodes the corpus of a run and writes `examples/`, unless they are there.

    Args:
      directory: of a trained run.
      top_n: largest activations to keep per layer and factor; the importance score is
        their mean.
      random_n: tokens to draw at random per layer and factor, of all that fire it.
      progress: hears of the stages "model" and "examples".
      mesh: devices to use, of all processes, each of which encodes with the whole
        dictionary; all if None.

    Returns:
      The examples. None in all processes but the first, where they were collected now.

    Raises:
      InputError: the training of the run has not finished, a file of it is damaged, or
        the mesh splits the dictionary, or there is no such number of examples.
    """
    if mesh is not None and mesh.shape[sharding.FACTOR] > 1:
        raise InputError(
            "Expected a mesh that splits the rows only, such as data=-1, since each "
            f"device encodes with the whole dictionary; got {dict(mesh.shape)}."
        )
    checks.check_count("top_n", top_n)
    checks.check_count("random_n", random_n, at_least=0)
    with writing(directory) as run:
        found = _collect(
            run,
            progress_lib.Stages(progress),
            top_n=top_n,
            random_n=random_n,
            mesh=mesh,
        )
        # The others wait until all is written.
        sharding.wait_for_all("examples written")
    return found


def _collect(
    run: directory_lib.RunDirectory,
    stages: progress_lib.Stages,
    *,
    top_n: int,
    random_n: int,
    mesh: jax.sharding.Mesh | None,
) -> stored.Examples | None:
    trained = dictionary_file.load(run.dictionary)
    pass_folder = unfinished.PassFolder(run.examples_progress)
    with contextlib.suppress(InputError):
        found = stored.load(run.examples, trained)
        sizes = found.activation.shape[2], found.random_activation.shape[2]
        if sizes == (top_n, random_n):
            if sharding.is_first_process():
                # A pass that was killed when all was written.
                pass_folder.remove_if_for(
                    gathering.settings_of(n=top_n, n_random=random_n, seed=found.seed)
                )
            return found
    with stages.stage("model"):
        opened = setup.open_model(run, run.read_config())
    with stages.stage("examples") as show:
        found = gathering.collect(
            opened,
            trained,
            opened.windows(),
            n=top_n,
            n_random=random_n,
            progress=show,
            devices=None if mesh is None else mesh.local_devices,
        )
        if found is not None:
            stored.save(run.examples, found)
            pass_folder.remove()
    return found

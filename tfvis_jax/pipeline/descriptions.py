"""The descriptions of all factors of a run, in one file."""

import json
import os
import pathlib

import numpy as np

from tfvis_jax import files
from tfvis_jax.description import terms
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.pipeline import progress as progress_lib

SCHEMA = "tfvis-descriptions/1"


def write_descriptions(
    directory: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    layer: int | None = None,
    tagger: terms.Tagger | None = None,
    progress: progress_lib.Progress = progress_lib.silent,
) -> int:
    """Writes every factor in words, as JSON; dead factors are left out.

    Args:
      directory: of the run, with its examples.
      path: file to write; one of the same schema is replaced.
      layer: whose contexts are read; the one where each factor peaks if None.
      tagger: adds the parts of speech.
      progress: hears of the stage "describe".

    Returns:
      How many factors were written.

    Raises:
      InputError: something else is at ``path``, there is no such layer, or the run has
        no examples.
    """
    run, path = run_lib.load_run(directory), pathlib.Path(path)
    files.check_replaceable(path, schema=SCHEMA)
    firing = run.examples.firing
    if layer is not None:
        run.check_layer(layer)
        firing = firing[[run.trained.layers.index(layer)]]
    alive = np.flatnonzero(np.any(firing, axis=0)).tolist()
    stages = progress_lib.Stages(progress)
    with files.write_atomically(path) as file, stages.stage("describe") as show:
        file.write(f'{{"schema": "{SCHEMA}", "factors": ['.encode())
        for done, number in enumerate(alive, start=1):
            found = run.factor(number).describe(layer=layer, tagger=tagger)
            text = json.dumps(found.as_json(), ensure_ascii=False, allow_nan=False)
            file.write((",\n" if done > 1 else "\n").encode())
            file.write(text.encode("utf-8", "replace"))
            show(done, len(alive))
        file.write(b"\n]}\n")
    return len(alive)

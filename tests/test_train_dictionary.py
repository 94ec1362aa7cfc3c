"""The script trains with the settings of a run, on a mesh."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tfvis_jax import config
from tfvis_jax.runs import dictionary_file
from tfvis_jax.runs import directory as directory_lib


def _train(*flags):
    # By itself, as flags of scripts share one table.
    return subprocess.run(
        [sys.executable, "-m", "experiments.train_dictionary", *flags],
        cwd=pathlib.Path(__file__).parents[1],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "8"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def settings_of(toy_bert_folder, toy_corpus, tmp_path):
    """A run that is no more than its settings."""
    directory = directory_lib.RunDirectory(tmp_path / "settings")
    directory.open_or_create(
        config.RunConfig(
            model=str(toy_bert_folder),
            corpus=config.CorpusConfig(paths=(str(toy_corpus),), window_length=12),
            solver=config.SolverConfig(solver="ista", max_steps=5),
            dictionary=config.DictionaryConfig(n_factors=24),
            windows_per_batch=64,
            rows_per_step=1024,
        )
    )
    return directory.path


def test_it_trains_on_a_mesh(settings_of, tmp_path):
    flags = (f"--workdir={tmp_path / 'run'}", f"--settings={settings_of}")
    refused = _train(*flags, "--n_factors=27", "--mesh=data=-1,factor=2")
    assert refused.returncode == 1
    assert "train_dictionary: " in refused.stderr and "26 and 28" in refused.stderr
    assert "Traceback" not in refused.stderr
    # A refusal is no obstacle to another try, in another directory.
    flags = (f"--workdir={tmp_path / 'other'}", flags[1])
    done = _train(*flags, "--n_factors=32", "--mesh=data=-1,factor=2")
    assert done.returncode == 0, done.stderr
    assert "32 factors" in done.stdout and "8 devices" in done.stdout
    directory = directory_lib.RunDirectory(tmp_path / "other")
    assert directory.read_config().dictionary.n_factors == 32
    trained = dictionary_file.load(directory.dictionary)
    norms = np.linalg.norm(trained.factors, axis=1)
    np.testing.assert_allclose(norms, np.ones(32), atol=1e-5)

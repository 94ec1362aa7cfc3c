"""The script trains with the settings of a run, on a mesh."""

import numpy as np
import pytest
import scripts

from experiments import train_dictionary
from tfvis_jax import config
from tfvis_jax.runs import dictionary_file
from tfvis_jax.runs import directory as directory_lib


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


def test_it_trains_on_a_mesh(settings_of, tmp_path, capsys):
    given = {"settings": settings_of, "mesh": "data=-1,factor=2"}
    with pytest.raises(SystemExit, match=r"^train_dictionary: .*26 or 28"):
        scripts.run(train_dictionary, **given, workdir=tmp_path / "run", n_factors=27)
    # A refusal is no obstacle to another try, in another directory.
    scripts.run(train_dictionary, **given, workdir=tmp_path / "other", n_factors=32)
    printed = capsys.readouterr().out
    assert "32 factors" in printed and "8 devices" in printed
    directory = directory_lib.RunDirectory(tmp_path / "other")
    assert directory.read_config().dictionary.n_factors == 32
    trained = dictionary_file.load(directory.dictionary)
    norms = np.linalg.norm(trained.factors, axis=1)
    np.testing.assert_allclose(norms, np.ones(32), atol=1e-5)

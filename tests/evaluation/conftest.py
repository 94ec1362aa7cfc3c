"""A run of a toy BERT that is opened, but with a dictionary out of thin air."""

import numpy as np
import pytest

from tfvis_jax import config
from tfvis_jax.data import build_windows
from tfvis_jax.runs import directory, setup, trained_dictionary


@pytest.fixture(scope="session")
def opened(toy_bert_folder, toy_corpus, tmp_path_factory):
    settings = config.RunConfig(
        model=str(toy_bert_folder),
        corpus=config.CorpusConfig(
            paths=(str(toy_corpus),), window_length=12, held_out_fraction=0.3
        ),
        solver=config.SolverConfig(l1_penalty=0.1, tolerance=1e-4),
        windows_per_batch=8,
    )
    run = directory.RunDirectory(tmp_path_factory.mktemp("run"))
    return setup.open_model(run, settings)


@pytest.fixture(scope="session")
def windows(opened, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "tokens"
    return build_windows.build(folder, opened.config.corpus, tokenizer=opened.tokenizer)


@pytest.fixture(scope="session")
def trained(opened):
    factors = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
    return trained_dictionary.TrainedDictionary(
        factors=factors / np.linalg.norm(factors, axis=1, keepdims=True),
        layer_scale=np.array([3.0, 4.0, 5.0], np.float32),
        layers=(0, 1, 2),
        model=opened.config.model,
        l1_penalty=0.1,
    )

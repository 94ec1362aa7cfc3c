"""A run of a toy BERT with a dictionary out of thin air, and a text it never saw."""

import numpy as np
import pytest
import toy_runs

from tfvis_jax.runs import dictionary_file, trained_dictionary


@pytest.fixture(scope="session")
def run(toy_bert_folder, toy_corpus, tmp_path_factory):
    """The run's `Setup` and dictionary; its directory can be used by commands."""
    settings = toy_runs.settings(toy_bert_folder, toy_corpus, windows_per_batch=8)
    opened, _ = toy_runs.open_run(tmp_path_factory.mktemp("codes") / "run", settings)
    factors = np.random.default_rng(0).normal(size=(24, 16)).astype(np.float32)
    trained = trained_dictionary.TrainedDictionary(
        factors=factors / np.linalg.norm(factors, axis=1, keepdims=True),
        layer_scale=np.float32([2, 5, 5]),
        layers=opened.layers,
        model=settings.model,
        l1_penalty=0.2,
    )
    dictionary_file.save(opened.run.dictionary, trained)
    return opened, trained


@pytest.fixture(scope="session")
def other_text(tmp_path_factory):
    """Forty documents of a line each, the last a copy of the first."""
    rng = np.random.default_rng(5)
    words = ["the", "bank", "river", "interest", "rate", "unseen", "."]
    lines = [" ".join(rng.choice(words, size=5 + 2 * n)) for n in range(39)]
    path = tmp_path_factory.mktemp("other") / "other.txt"
    documents = [f"= Text {n} =\n\n{line}\n" for n, line in enumerate(lines)]
    path.write_text("\n".join([*documents, f"= Copy =\n\n{lines[0]}\n"]))
    return path

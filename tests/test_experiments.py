"""The scripts run from end to end on a toy corpus."""

import dataclasses
import json

import numpy as np
import pytest
import scripts

from experiments import compare_dictionaries, reproduce_paper
from tfvis_jax import config as config_lib
from tfvis_jax import pipeline
from tfvis_jax.runs import directory as directory_lib

pytestmark = pytest.mark.long


def test_the_papers_settings_from_text_to_page(
    toy_bert_folder, toy_corpus, tmp_path, capsys, monkeypatch
):
    # Of a batch of 64 windows nearly all would be padding.
    paper = config_lib.RunConfig.paper
    monkeypatch.setattr(
        config_lib.RunConfig,
        "paper",
        lambda **given: dataclasses.replace(paper(**given), windows_per_batch=8),
    )
    scripts.run(
        reproduce_paper,
        workdir=tmp_path / "run",
        model=toy_bert_folder,
        text=[toy_corpus],
        max_tokens=200,
        top_n=20,
    )
    printed = capsys.readouterr().out
    assert "2,000 factors for layers [0]" in printed
    assert (tmp_path / "run" / "site" / "index.html").is_file()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["solver"]["max_steps"] == 500


def _compare(**values):
    given = {"quick": True, "n_factors": 24, "l0": ["3"], "passes": 1}
    scripts.run(compare_dictionaries, **given | values)


def test_a_quick_comparison_of_rows_goes_on_where_it_stopped(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x = rng.exponential(size=(700, 40)) * (rng.random((700, 40)) < 0.1)
    np.save(tmp_path / "rows.npy", np.float32(x @ rng.normal(size=(40, 16))))
    out = tmp_path / "compare.json"
    given = {"activations": str(tmp_path / "rows.npy"), "out": str(out)}
    _compare(**given, methods=["pca", "random_factors"])
    before = json.loads(out.read_text())["rows"]
    _compare(**given, methods=["pca", "random_factors", "sparse_coding", "sae_topk"])
    rows = json.loads(out.read_text())["rows"]
    # The same, seconds included: they were not fitted again.
    assert rows[:2] == before
    assert [row["method"] for row in rows[2:]] == ["sparse_coding", "sae_topk"]
    table = out.with_suffix(".md").read_text()
    assert "Against the best autoencoder" in table
    assert capsys.readouterr().out.endswith(table)
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit, match="other rows or settings"):
        _compare(**given, methods=["pca"], rows=300)
    with pytest.raises(SystemExit, match="needs a model"):
        _compare(**given, methods=["random_encoder"])


def test_a_run_is_compared_with_its_untrained_model(
    toy_bert_folder, toy_corpus, tmp_path
):
    directory = directory_lib.RunDirectory(tmp_path / "run")
    settings = config_lib.RunConfig(
        model=str(toy_bert_folder),
        corpus=config_lib.CorpusConfig(paths=(str(toy_corpus),), held_out_fraction=0.3),
        dictionary=config_lib.DictionaryConfig(n_factors=24),
        row_fraction=0.2,
    )
    pipeline.train(directory, settings)
    out = tmp_path / "compare.json"
    _compare(
        run=str(directory.path),
        out=str(out),
        methods=["pca", "random_encoder"],
        loss_windows=4,
    )
    pca, untrained = json.loads(out.read_text())["rows"]
    assert len(pca["loss_recovered_per_layer"]) == 3
    assert pca["loss_recovered"] < 1
    assert untrained["method"] == "random_encoder"
    # A mean would leave all of it; a dictionary leaves a part.
    assert 0 < untrained["fvu"] < 0.9

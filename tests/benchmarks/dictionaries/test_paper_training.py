"""Published code and our preset learn the same dictionary."""

import json

import numpy as np
import pytest
import scripts

from benchmarks.dictionaries import paper_training
from tfvis_jax import config as config_lib


def test_the_preset_learns_what_the_published_code_learns():
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    rows = np.float32(rng.normal(size=(5, 30, 16)))
    first = rng.normal(size=(40, 16))
    first = np.float32(first / np.linalg.norm(first, axis=1, keepdims=True))
    preset = config_lib.RunConfig.paper(model="", paths=("",), n_layers=2)
    published = paper_training.by_published_code(rows, first, preset=preset)
    ours = paper_training.by_ours(rows, first, preset=preset)
    # 5 x 500 steps in float32, in another order of summation.
    np.testing.assert_allclose(ours, published, atol=2e-5)
    assert np.max(np.abs(published - first)) > 1e-2


def test_every_row_has_its_time_and_held_out_fvu(problem_files, tmp_path, capsys):
    pytest.importorskip("torch")
    out = tmp_path / "paper.json"
    scripts.run(
        paper_training, **problem_files, out=str(out), steps=2, held_out_rows=200
    )
    document = json.loads(out.read_text())
    assert document["problem"]["rows_seen"] == 200
    published, preset, certified = document["rows"]
    assert preset["fvu"] == pytest.approx(published["fvu"], abs=1e-3)
    assert certified["fvu"] == pytest.approx(published["fvu"], abs=1e-2)
    assert all(row["seconds"] > 0 for row in document["rows"])
    assert out.with_suffix(".md").read_text() == capsys.readouterr().out


def test_more_steps_than_rows_are_refused(problem_files, tmp_path):
    with pytest.raises(SystemExit, match="Take fewer --steps"):
        scripts.run(
            paper_training,
            **problem_files,
            out=str(tmp_path / "paper.json"),
            steps=1000,
        )

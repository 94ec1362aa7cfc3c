"""Autoencoders of other tools in a comparison: measured as they are."""

import json

import numpy as np
import pytest
import scripts
from interop import saelens_folders

from experiments import compare_dictionaries
from tfvis_jax.comparison import compare, imported, methods
from tfvis_jax.comparison import data as data_lib
from tfvis_jax.errors import InputError
from tfvis_jax.interop import hooks, saelens

_PLACE = hooks.Place(2)


def test_scaled_rows_are_reconstructed_as_hidden_states(tmp_path):
    read = saelens.read(saelens_folders.make(tmp_path, "topk"))
    x = np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)
    scaled = imported.of_rows(read, d_model=16, place=_PLACE, scale=2.5)
    found = scaled.reconstruct(x / np.float32(2.5))
    np.testing.assert_allclose(2.5 * found, read.reconstruct(x), atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(scaled.factors, axis=1), 1, atol=1e-6)


def test_rows_that_are_not_of_its_layer_are_refused(tmp_path):
    read = saelens.read(saelens_folders.make(tmp_path / "sae", "topk"))
    with pytest.raises(InputError, match="rows of one layer"):
        imported.of_rows(read, d_model=16, place=None, scale=1.0)
    with pytest.raises(InputError, match="autoencoder of 12 numbers"):
        imported.of_rows(read, d_model=12, place=_PLACE, scale=1.0)
    for other in (hooks.Place(1), hooks.Place(2, "mlp_out")):
        with pytest.raises(InputError, match="Expected an autoencoder of layer"):
            imported.of_rows(read, d_model=16, place=other, scale=1.0)
    rows = np.ones((9, 16), np.float32)
    with pytest.raises(InputError, match=r"that no method has, got \['pca'\]"):
        compare.compare(
            data_lib.Data(rows, rows, "rows", place=_PLACE),
            methods.ComparisonConfig(),
            out=tmp_path / "out.json",
            header={},
            imported={"pca": read},
        )


def test_the_table_has_a_row_of_it(toy_run, tmp_path, monkeypatch):
    folder = saelens_folders.make(
        tmp_path / "theirs", "jumprelu", hook="blocks.0.hook_resid_post"
    )
    out = tmp_path / "compare.json"
    given = {"quick": True, "run": str(toy_run), "out": str(out), "l0": ["3"]}
    given |= {"methods": ["random_factors"], "n_factors": 24, "loss_windows": 0}
    scripts.run(compare_dictionaries, **given, saelens=[str(folder)])
    first, second = json.loads(out.read_text())["rows"]
    assert first["method"] == "theirs" and second["method"] == "random_factors"
    data = data_lib.from_run(toy_run, num_rows=99, layer=1)
    x = np.float64(data.held_out * data.scale)
    read = saelens.read(folder)
    error = x - np.asarray(read.reconstruct(x), np.float64)
    fvu = np.sum(error**2) / np.sum((x - x.mean(axis=0)) ** 2)
    assert first["fvu"] == pytest.approx(fvu, rel=1e-4)
    assert first["l0"] == pytest.approx(np.count_nonzero(read.encode(x)) / len(x))
    assert first["fvu_debiased"] < first["fvu"]
    assert "| theirs" in out.with_suffix(".md").read_text()
    # The row is kept, as those of fitted methods are.
    scripts.run(compare_dictionaries, **given, saelens=[str(folder)])
    assert json.loads(out.read_text())["rows"][0] == first
    # Another autoencoder of the same name is measured, also by another spelling of it.
    saelens_folders.make(folder, "jumprelu", seed=1, hook="blocks.0.hook_resid_post")
    monkeypatch.chdir(folder)
    scripts.run(compare_dictionaries, **given, saelens=["."])
    rows = {row["method"]: row for row in json.loads(out.read_text())["rows"]}
    assert set(rows) == {"theirs", "random_factors"}
    assert rows["theirs"]["sha256"] != first["sha256"]
    assert rows["theirs"]["fvu"] != first["fvu"]
    assert rows["random_factors"] == second
    with pytest.raises(SystemExit, match="Expected autoencoders of one layer"):
        scripts.run(compare_dictionaries, **given, saelens=[str(folder)], layer=2)

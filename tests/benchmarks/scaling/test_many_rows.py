"""Many rows, of which there are few here."""

import json

import numpy as np
import pytest
import scripts

from benchmarks.scaling import many_rows


def test_rows_on_disk_become_a_sparse_matrix(tmp_path, capsys):
    out = tmp_path / "many.json"
    scripts.run(many_rows, rows=300, d_model=8, n_factors=20, active=2.0, out=out)
    (row,) = json.loads(out.read_text())["rows"]
    assert row["rows"] == 300 and row["not_converged"] == 0
    assert row["nonzeros"] == pytest.approx(300 * row["l0"])
    assert 0 < row["l0"] < 20
    assert row["codes_mb"] == pytest.approx((row["nonzeros"] * 8 + 301 * 4) / 1e6)
    assert row["peak_memory_mb"] >= row["peak_anonymous_mb"] > 0
    assert out.with_suffix(".md").read_text() == capsys.readouterr().out


def test_rows_have_the_norm_that_is_said(tmp_path):
    path = tmp_path / "rows.npy"
    dictionary = many_rows.write_rows(
        path, n_rows=5000, d_model=32, n_factors=64, active=4.0, noise=0.1
    )
    rows = np.load(path, mmap_mode="r")
    assert rows.dtype == np.float16 and rows.shape == (5000, 32)
    norm = np.sqrt(np.mean(np.sum(rows.astype(np.float64) ** 2, axis=1)))
    # Factors of 32 dimensions overlap by 1/32 on average of the squares, and 5,000 rows
    # know their mean to 2 %.
    assert norm == pytest.approx(1, abs=0.15)
    np.testing.assert_allclose(np.linalg.norm(dictionary, axis=1), 1, atol=1e-6)


def test_mistakes_are_answered_by_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"end in \.json"):
        scripts.run(many_rows, out=tmp_path / "x.txt")

"""Time to quality: from flags to plot, and the arithmetic of its summary."""

import json
import logging
import re

import jax
import numpy as np
import pytest
import scripts

from benchmarks import time_to_quality
from benchmarks.dictionaries import quality_curves, quality_report

METHODS = ["sparse_coding", "sae_batchtopk", "sae_jumprelu"]


@pytest.fixture(scope="module")
def rows_file(small_problem, tmp_path_factory):
    rng = np.random.default_rng(1)
    rows = np.concatenate([small_problem[0]] * 4)
    rows += np.float32(0.01) * rng.normal(size=rows.shape).astype(np.float32)
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    np.save(path, rows[rng.permutation(len(rows))])
    return path


def test_from_flags_to_plot(rows_file, tmp_path, capsys):
    out = tmp_path / "deep" / "quality.json"
    scripts.run(
        time_to_quality,
        activations=str(rows_file),
        out=str(out),
        n_factors=32,
        l0=4,
        rows=1024,
        rows_seen=[512, 2048],
        seeds=[0, 1],
        methods=METHODS,
        learning_rates=["1e-3", "1e-2"],
        held_out_rows=128,
    )
    document = json.loads(out.read_text())
    rows = document["rows"]
    assert document["problem"]["n_held_out_rows"] == 128
    wanted = [(s, m) for s in (0, 1) for m in METHODS for _ in range(2)]
    assert [(row["seed"], row["method"]) for row in rows] == wanted
    for few, many in zip(rows[::2], rows[1::2], strict=True):
        # All rows are learnt from, in two passes, but for those that fill no batch.
        assert few["rows_seen"] <= 512 < 1500 < many["rows_seen"] <= 2048
        assert 0 < many["fvu"] < few["fvu"] + 0.02 < 1
        is_ours = few["method"] == "sparse_coding"
        for row in (few, many):
            assert row["seconds"] > 0 and row["processor_seconds"] > 0
            assert abs(row["l0"] / 4 - 1) < 0.25
            assert (row["learning_rate"] is None) == is_ours
    assert [entry["method"] for entry in document["summary"]] == METHODS[1:]
    assert out.with_suffix(".md").read_text() == capsys.readouterr().out
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_steps_are_compiled_before_they_are_timed(small_problem, monkeypatch, caplog):
    timed, compiled = quality_curves._timed, []

    def watched(work):
        caplog.clear()
        # Commands that other tests have run disable logs.
        with caplog.at_level(logging.WARNING), jax.log_compiles():
            result = timed(work)
        compiled.append("\n".join(record.getMessage() for record in caplog.records))
        return result

    monkeypatch.setattr(quality_curves, "_timed", watched)
    # Sizes that no other test has, so that nothing is compiled already.
    x = small_problem[0][:333]
    config = quality_curves.CurveConfig(
        methods=("sparse_coding", "sae_topk"),
        rows_seen=(333,),
        n_factors=23,
        target_l0=3,
    )
    assert len(list(quality_curves.rows(x, x[:50], config))) == 2
    for program, phases in (("train_step", compiled[:3]), ("fit", compiled[3:])):
        pattern = rf"Compiling \S*\b{program}\b"
        found = [bool(re.search(pattern, phase)) for phase in phases]
        assert found == [True, False, False], program


def _row(method, seen, seconds, fvu, seed=0):
    return {
        "method": method,
        "rows_seen": seen,
        "processor_seconds": seconds,
        "seconds": seconds / 2,
        "fvu": fvu,
        "seed": seed,
    }


ROWS = [
    _row("sparse_coding", 10, 1.0, 0.4),
    _row("sparse_coding", 20, 3.0, 0.1),
    _row("sparse_coding", 20, 5.0, 0.1, seed=1),
    _row("sae_topk", 10, 0.5, 0.5),
    _row("sae_topk", 20, 2.0, 0.2),
    _row("sae_relu", 10, 0.5, 0.3),
    _row("sae_jumprelu", 10, 8.0, 0.05),
]


def test_the_summary_reads_our_curve_where_autoencoders_end():
    times, errors = quality_report.curve(ROWS, "sparse_coding")
    np.testing.assert_allclose(times, [1, 4])
    np.testing.assert_allclose(errors, [0.4, 0.1])
    topk, relu, jumprelu = quality_report.summary(ROWS)
    # Half way from 1 to 4 in logarithms, so half way from 0.4 to 0.1.
    assert topk["our_fvu"] == pytest.approx(0.2)
    assert topk["ratio"] == pytest.approx(1)
    assert topk["our_seconds"] == pytest.approx(2)
    # It ended before our first point; ours came to its error all the same.
    assert relu["our_fvu"] is None and relu["ratio"] is None
    assert relu["our_seconds"] == pytest.approx(4 ** (np.log(4 / 3) / np.log(4)))
    # After our last point; and never as low.
    assert jumprelu["ratio"] == pytest.approx(2)
    assert jumprelu["our_seconds"] is None


def test_a_curve_that_starts_below_has_the_time_of_its_first_point():
    assert quality_report.time_to(np.array([2.0, 3]), np.array([0.1, 0.05]), 0.2) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ["lars"]}, "lars"),
        ({"l0": 64}, "--l0 from 1 to --n_factors 32"),
        ({"rows_seen": ["many"]}, "--rows_seen as positive numbers"),
        ({"out": "quality.txt"}, "--out to end in .json"),
        ({"out": None}, "--out FILE.json with --activations"),
    ],
)
def test_mistakes_are_answered_by_a_sentence(changes, message, rows_file, tmp_path):
    given = {"activations": str(rows_file), "out": str(tmp_path / "quality.json")}
    with pytest.raises(SystemExit, match=message):
        scripts.run(time_to_quality, **given | {"n_factors": 32, "l0": 4} | changes)

"""Recovery runs from flags to plot; tables say what the rows say."""

import json

import pytest
import scripts

from benchmarks.dictionaries import recovery, recovery_report
from tfvis_jax.comparison import sae

SMALL = {
    "n_true": 24,
    "d_model": 12,
    "n_factors": 8,
    "rows": 600,
    "held_out": 500,
    "passes": 1,
    "l0": ["2"],
    "learning_rates": ["1e-3"],
    "l1_penalties": ["0.2"],
    "seeds": ["0"],
    "methods": ["oracle", "lasso", "omp", "sae_topk"],
}


def test_recovery_from_flags_to_plot(monkeypatch, tmp_path, capsys):
    # Full trees need a whole family: 85 features as published.
    law = {"branching": 2, "depth": 2, "n_roots": 2, "correlation_rank": 2}
    sized = recovery.world_config.WorldConfig.sized
    monkeypatch.setattr(
        recovery.world_config.WorldConfig,
        "sized",
        lambda **sizes: sized(**sizes, **law),
    )
    out = tmp_path / "deep" / "recovery.json"
    scripts.run(recovery, out=str(out), **SMALL)
    document = json.loads(out.read_text())
    rows = document["rows"]
    assert [row["method"] for row in rows] == SMALL["methods"]
    assert [row["target_l0"] for row in rows] == [2, None, 2, 2]
    assert [row["l1_penalty"] for row in rows] == [None, 0.2, None, None]
    assert [row["rows_seen"] > 0 for row in rows] == [False, True, True, True]
    oracle, *others = rows
    assert oracle["mcc"] > 0.999 and oracle["uniqueness"] == 1
    for row in others:
        assert 0 < row["mcc"] < oracle["mcc"] and 0 < row["f1"] < oracle["f1"]
        assert row["true_l0"] == oracle["true_l0"] > document["l0_in_reach"] > 0
    text = out.with_suffix(".md").read_text()
    assert capsys.readouterr().out == text
    assert text.count("\n| ") == 2 + len(rows)
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def _row(method, f1, mcc, **changes):
    return {
        "method": method,
        "target_l0": 3,
        "learning_rate": None,
        "l1_penalty": None,
        "f1": f1,
        "mcc": mcc,
        "uniqueness": 1.0,
        "explained_variance": 0.5,
        **changes,
    }


def test_the_headline_takes_the_best_autoencoder_for_every_score():
    rows = [
        _row("nested_sparse_coding", 0.6, 0.5),
        _row("nested_sparse_coding", 0.8, 0.7),
        _row("omp", 0.9, 0.9),
        _row("sae_topk", 0.5, 0.4, learning_rate=1e-3),
        _row("sae_topk", 0.4, 0.65, learning_rate=3e-3),
    ]
    cells = recovery_report.headline(rows).splitlines()[-1]
    # Means over worlds of ours; each score has its own learning rate.
    assert "0.700 / 0.500 (topk)" in cells and "0.600 / 0.650 (topk)" in cells
    assert recovery_report.headline(rows[:3]) == ""


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"out": "recovery.txt"}, "--out to end in .json"),
        ({"methods": ["lars"]}, "lars"),
        ({"l0": ["9"]}, "--l0 from 1 to --n_factors 8"),
        ({"l0": ["few"]}, "--l0 as numbers"),
        ({"learning_rates": ["0"]}, "--learning_rates above 0"),
        ({"n_true": 8}, "use fewer roots"),
    ],
)
def test_mistakes_are_answered_by_a_sentence(changes, message, tmp_path):
    flags = SMALL | {"out": str(tmp_path / "recovery.json")} | changes
    with pytest.raises(SystemExit) as stopped:
        scripts.run(recovery, **flags)
    assert message in str(stopped.value)


def test_every_kind_of_autoencoder_is_measured():
    methods = recovery.recovery_candidates.METHODS
    assert {f"sae_{kind}" for kind in sae.KINDS} < set(methods)

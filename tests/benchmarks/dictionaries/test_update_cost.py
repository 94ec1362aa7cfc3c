"""The update's share of a step, from end to end."""

import json

import pytest
import scripts

from benchmarks.dictionaries import update_cost


def test_the_updates_share_is_what_a_step_takes_longer(problem_files, tmp_path, capsys):
    out = tmp_path / "cost.json"
    scripts.run(
        update_cost,
        **problem_files,
        out=str(out),
        updates=["energy", "online"],
        batches=3,
        rows_per_step=30,
    )
    rows = json.loads(out.read_text())["rows"]
    assert [row["update"] for row in rows] == ["energy", "online"]
    for row in rows:
        assert min(row["step_s"], row["inference_s"]) > 0
        share = (row["step_s"] - row["inference_s"]) / row["step_s"]
        assert row["update_share"] == pytest.approx(share)
    assert out.with_suffix(".md").read_text() == capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"updates": ["bfgs"]}, "Expected --updates of energy"),
        ({"batches": 1000}, "Take fewer --batches"),
    ],
)
def test_mistakes_are_answered_by_a_sentence(problem_files, tmp_path, changes, message):
    with pytest.raises(SystemExit, match=message):
        scripts.run(
            update_cost, **problem_files, **changes, out=str(tmp_path / "cost.json")
        )

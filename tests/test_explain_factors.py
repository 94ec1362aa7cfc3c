"""Test the script that writes a line on every factor of a dictionary."""

import dataclasses
import fcntl
import json
import shutil

import numpy as np
import pytest
import scripts

import tfvis_jax
from experiments import explain_factors
from tfvis_jax.errors import InputError
from tfvis_jax.levels import evidence as evidence_lib
from tfvis_jax.levels import gathering, level_file, measuring
from tfvis_jax.notebook import explanations_file


def _explain(path, out, **values):
    given = {"run": path, "out": out, "examples": 3, "methods": ["occlusion"]}
    scripts.run(explain_factors, **given | values)


def _measure(path, factors):
    """Writes what would be measured of some factors."""
    run = tfvis_jax.load_run(path)
    context = evidence_lib.Context(dict.fromkeys(measuring.ALTERATIONS, 0.5), 0.1)
    evidence = gathering.of_examples(run)
    for factor in factors:
        evidence[factor] = dataclasses.replace(evidence[factor], context=context)
    level_file.save(
        run.directory.levels, level_file.Measured(evidence, 4), run.examples
    )


def test_every_factor_gets_a_line_and_a_killed_run_resumes(toy_run, tmp_path, capsys):
    out = tmp_path / "lines.jsonl"
    _explain(toy_run, out, factors=["0", "1", "5", "7"])
    found = explanations_file.read(out)
    assert found[0] == {"factor": 0, "dead": True}
    assert set(found) == {0, 1, 5, 7}
    run = tfvis_jax.load_run(toy_run)
    line, factor = found[5], run.factor(5)
    layer = factor.importance().peak
    assert line["layer"] == layer and line["level"] == factor.level.name
    best = factor.examples(layer=layer, n=3)
    assert [e["word"] for e in line["examples"]] == [e.word for e in best]
    [saliency] = line["maps"]
    assert saliency["position"] == best[0].position
    assert list(saliency["maps"]) == ["occlusion"]
    # After a kill, the last line is incomplete.
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    assert len(explanations_file.read(out)) == 3
    capsys.readouterr()
    _explain(toy_run, out, factors=["0", "1", "5", "7"])
    assert "1 factors added" in capsys.readouterr().out
    assert out.read_bytes() == whole
    # More factors are appended; the lines in the file stay.
    # In so few documents no factor has a level.
    unclear = [f for f in range(24) if run.factor(f).level.name == "unclear"]
    _explain(toy_run, out, level="unclear")
    assert out.read_bytes().startswith(whole)
    assert set(explanations_file.read(out)) == {0, 1, 5, 7} | set(unclear)


def test_files_of_something_else_are_left_alone(toy_run, tmp_path):
    out = tmp_path / "lines.jsonl"
    _explain(toy_run, out, factors=["0"])
    before = out.read_bytes()
    with pytest.raises(SystemExit, match="other settings"):
        _explain(toy_run, out, factors=["0"], examples=4)
    assert out.read_bytes() == before
    # Otherwise the file would mix measured and unmeasured levels.
    measured = tmp_path / "run"
    shutil.copytree(toy_run, measured)
    _measure(measured, [5])
    with pytest.raises(SystemExit, match="other examples or levels"):
        _explain(measured, out, factors=["0", "1"])
    assert out.read_bytes() == before
    # So would a file begun when fewer were measured.
    sampled = tmp_path / "sampled.jsonl"
    _explain(measured, sampled, factors=["0"])
    _explain(measured, sampled, factors=["0", "5"])
    assert set(explanations_file.read(sampled)) == {0, 5}
    _measure(measured, [5, 7])
    with pytest.raises(SystemExit, match="other examples or levels"):
        _explain(measured, sampled, factors=["0", "7"])
    for content in ("my thesis", "my\nthesis\n", '{"a": 1}\n[2]\n', "{}\n{}\n"):
        out.write_text(content)
        with pytest.raises(SystemExit, match="another"):
            _explain(toy_run, out, factors=["0"])
        assert out.read_text() == content
        if "\n" in content:
            with pytest.raises(InputError, match=r"another|schema"):
                explanations_file.read(out)
    # An incomplete first line is written again.
    out.write_bytes(before[:20])
    _explain(toy_run, out, factors=["0"])
    assert out.read_bytes() == before


def test_a_map_that_cannot_be_made_is_named_with_its_reason(toy_run, tmp_path):
    moved = tmp_path / "run"
    shutil.copytree(toy_run, moved)
    run = tfvis_jax.load_run(toy_run)
    factor, layer = 5, run.factor(5).importance().peak
    # In the copy, the second example is a token that does not fire the factor.
    positions = np.load(moved / "examples" / "position.npy")
    index = run.trained.layers.index(layer)
    window = int(run.examples.window[index, factor, 1])
    fires = {
        int(run.examples.position[index, factor, place])
        for place in np.flatnonzero(run.examples.window[index, factor] == window)
    }
    n_text = int(run.windows.row_mask(np.array([window])).sum())
    positions[index, factor, 1] = next(p for p in range(1, n_text) if p not in fires)
    np.save(moved / "examples" / "position.npy", positions)
    out = tmp_path / "lines.jsonl"
    _explain(moved, out, factors=["5", "7"], maps=3)
    found = explanations_file.read(out)
    first, second, third = found[5]["maps"]
    assert set(second) == {"rank", "missing"} and second["rank"] == 2
    assert second["missing"].startswith("Factor 5 does not fire at token")
    assert (first["rank"], third["rank"]) == (1, 3)
    assert set(first["maps"]) == set(third["maps"]) == {"occlusion"}
    assert [each["rank"] for each in found[7]["maps"]] == [1, 2, 3]
    # A missing model is an error of the run, not of a target.
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps(config | {"model": "/nowhere"}))
    before = out.read_bytes()
    with pytest.raises(SystemExit, match="/nowhere"):
        _explain(moved, out, factors=["9"], maps=3)
    assert out.read_bytes() == before


def test_two_processes_do_not_add_to_one_file(toy_run, tmp_path):
    out = tmp_path / "lines.jsonl"
    _explain(toy_run, out, factors=["0"])
    before = out.read_bytes()
    with out.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SystemExit, match="Another process"):
            _explain(toy_run, out, factors=["1"])
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"out": "/nowhere/out.jsonl"}, "/nowhere/out.jsonl: No such file"),
        ({"out": "/"}, "Expected a file, but / is not one"),
        ({"factors": ["24"]}, "0 … 23"),
        ({"factors": ["x"]}, "Expected numbers"),
        ({"methods": ["guess"]}, "Expected methods"),
        ({"run": "/nowhere"}, "not a run directory"),
        ({"tagger": "/nowhere"}, "in /nowhere; missing"),
    ],
)
def test_mistakes_are_one_line(toy_run, tmp_path, values, message):
    with pytest.raises(SystemExit, match=message):
        _explain(toy_run, values.pop("out", tmp_path / "out.jsonl"), **values)
    assert not (tmp_path / "out.jsonl").exists()


def test_the_file_is_json_that_any_reader_takes(toy_run, tmp_path):
    out = tmp_path / "lines.jsonl"
    _explain(toy_run, out, factors=["3"], maps=0)
    head, line = map(json.loads, out.read_text().splitlines())
    assert head["schema"] == explanations_file.SCHEMA and head["maps"] == 0
    assert line["maps"] == []

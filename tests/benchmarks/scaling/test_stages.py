"""Stages of a run against tokens: a run of them, and the table from figures made up."""

import json

import pytest
import scripts

from benchmarks.scaling import made_text, stages, stages_table


def _row(stage, tokens, cpu_s, memory_mb=100.0):
    place = {"stage": stage, "tokens": tokens, "n_factors": 1024}
    return place | {"seconds": cpu_s, "cpu_s": cpu_s, "memory_mb": memory_mb}


def _document(*rows):
    hardware = {"cpu": "a CPU", "cores": 2, "device": "cpu", "load_average": 0.0}
    return {
        "settings": {"d_model": 32, "row_fraction": 0.1},
        "hardware": hardware,
        "versions": {"jax": "0"},
        "date": "2026-01-01T00:00",
        "rows": list(rows),
    }


def test_linear_stages_and_flat_memory_are_said_to_be_so():
    rows = [
        _row("windows", tokens, 3 + tokens / 1e5)
        for tokens in (10**5, 10**6, 4 * 10**6)
    ]
    document = _document(*rows)
    assert stages_table.findings(document) == []
    text = stages_table.render(document)
    assert text.endswith("All are linear in tokens, memory is flat.")
    last = [cell.strip() for cell in text.split("\n\n")[1].splitlines()[-1].split("|")]
    assert last[1:-1] == [
        "windows",
        "1,024",
        "4,000,000",
        "43.0",
        "43.0",
        "1.00",
        "100",
    ]


@pytest.mark.parametrize(
    ("power", "is_named"), [(1.0, False), (1.2, True), (2.0, True)]
)
def test_a_stage_that_is_not_linear_is_named(power, is_named):
    rows = [
        _row("page", tokens, 10 * (tokens / 1e5) ** power)
        for tokens in (10**5, 5 * 10**5, 2 * 10**6)
    ]
    found = stages_table.findings(_document(*rows))
    assert bool(found) == is_named
    assert all("page, 1,024 factors" in sentence for sentence in found)


def test_a_constant_stage_with_noise_is_linear():
    rows = [
        _row("page", n, s) for n, s in ((10**5, 20), (5 * 10**5, 19), (10**6, 20.5))
    ]
    assert stages_table.findings(_document(*rows)) == []


def test_memory_that_grows_is_named():
    rows = [_row("examples", 10**5, 1, 100), _row("examples", 10**6, 9, 300)]
    (sentence,) = stages_table.findings(_document(*rows))
    assert "memory grows from 100 to 300 MB" in sentence


def test_text_has_the_tokens_that_were_asked_for(tmp_path):
    path = tmp_path / "text.txt"
    made_text.write_text(path, n_tokens=5000)
    text = path.read_text()
    # A word is a token for each of its syllables, which are two or three letters.
    letters = sum(map(str.isalpha, text))
    assert 5000 * 2 * 0.9 < letters < 5000 * 3
    assert text.count("= ") >= 5


def test_every_stage_is_measured_and_kept(tmp_path, capsys):
    out = tmp_path / "stages.json"
    scripts.run(stages, small=True, out=out)
    rows = json.loads(out.read_text())["rows"]
    assert [row["stage"] for row in rows[:4]] == [
        "windows",
        "learning",
        "examples",
        "page",
    ]
    assert len(rows) == 4 * len(stages._SMALL_TOKENS)
    assert all(row["memory_mb"] >= row["before_mb"] > 0 for row in rows)
    assert all(row["cpu_s"] > 0 and row["seconds"] > 0 for row in rows)
    printed = capsys.readouterr().out
    assert out.with_suffix(".md").read_text() == printed
    # Nothing is left to do.
    scripts.run(stages, small=True, out=out)
    assert json.loads(out.read_text())["rows"] == rows


def test_mistakes_are_answered_by_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"end in \.json"):
        scripts.run(stages, out=tmp_path / "x.txt")
    with pytest.raises(SystemExit, match="tokens as numbers"):
        scripts.run(stages, out=tmp_path / "x.json", tokens="many")

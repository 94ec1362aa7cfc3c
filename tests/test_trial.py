"""A run within a given time, by a trial of the machine."""

import dataclasses
import json
import time

import pytest
import toy_runs

from tfvis_jax import cli, pipeline
from tfvis_jax.errors import InputError
from tfvis_jax.pipeline import trial
from tfvis_jax.planning import plan, timing
from tfvis_jax.runs import directory as directory_lib


def _found(config, *, rows_per_second, n_layers=3, seconds=5.0):
    """A trial by which rows take so long."""
    rate = plan.Rate(rows_per_second, 1.0, 2.0)
    measured = timing.Measured(None, config, rate, None, None)
    return trial.Trial(measured, n_layers, seconds)


def test_the_text_is_what_the_time_is_enough_for(toy_bert_folder, toy_corpus):
    config = toy_runs.settings(toy_bert_folder, toy_corpus, row_fraction=0.5)
    found = _found(config, rows_per_second=1000)

    def within(seconds, examples=True, config=config):
        return pipeline.text_within(config, found, seconds=seconds, examples=examples)

    budget = within(105.0)
    # A fifth is held out. What the rows take is what was asked for, less the trial.
    rows = budget.max_tokens * 3 * (0.8 * 0.5 + 2 * 0.2 + 1)
    assert rows / 1000 == pytest.approx(0.85 * 100, rel=1e-3)
    assert budget.n_rows == pytest.approx(budget.max_tokens * 3 * 0.4, abs=3)
    assert budget.rows_per_second == pytest.approx(1000)
    # Twice the time, less the trial, is twice the text; without examples there is more.
    twice = within(205.0).max_tokens
    assert twice == pytest.approx(2 * budget.max_tokens, abs=2)
    assert within(105.0, examples=False).max_tokens > 2 * budget.max_tokens
    passes = dataclasses.replace(config, num_epochs=3)
    assert within(105.0, config=passes).max_tokens < budget.max_tokens
    # A limit of one's own stays.
    corpus = dataclasses.replace(config.corpus, max_tokens=2000)
    limited = dataclasses.replace(config, corpus=corpus)
    assert within(105.0, config=limited).max_tokens == 2000
    with pytest.raises(InputError, match=r"at least 0\.3 minutes.*got 0\.0917"):
        within(5.5)


def test_a_trial_measures_the_run_and_leaves_nothing(
    toy_bert_folder, toy_corpus, tmp_path, monkeypatch
):
    monkeypatch.setattr(trial, "_SECONDS", 0.0)
    monkeypatch.setattr(trial.tempfile, "tempdir", str(tmp_path))
    config = toy_runs.settings(toy_bert_folder, toy_corpus, windows_per_batch=8)
    start = time.monotonic()
    found = pipeline.run_trial(config)
    assert found.seconds <= time.monotonic() - start
    assert found.n_layers == 3
    # All rows of a batch but the first and the last are counted.
    rate = found.measured.rate
    assert 0 < rate.rows <= 8 * 12 * 3 * 3 and 0 < rate.seconds < found.seconds
    assert list(tmp_path.iterdir()) == []
    # One batch is the whole text.
    whole = dataclasses.replace(config, windows_per_batch=4096)
    with pytest.raises(InputError, match="needs no limit"):
        pipeline.run_trial(whole)


def test_minutes_limit_a_new_run_and_leave_it_to_resume(
    toy_bert_folder, toy_corpus, tmp_path, monkeypatch, capsys
):
    run = tmp_path / "run"
    flags = [
        *(f"--model={toy_bert_folder}", f"--text={toy_corpus}", "--window_length=12"),
        *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=8"),
        *("--l1_penalty=0.1", "--until=train"),
    ]
    tried = []

    def run_trial(config, **how):
        del how
        tried.append(config)
        return _found(config, rows_per_second=1000)

    monkeypatch.setattr(trial, "run_trial", run_trial)
    assert cli.main(["train", str(run), *flags, "--minutes=0.12"]) == 0
    expected = pipeline.text_within(
        tried[0], _found(tried[0], rows_per_second=1000), seconds=7.2, examples=False
    )
    assert f"{expected.max_tokens:,} tokens of text" in capsys.readouterr().err
    stored = directory_lib.RunDirectory(run).read_config()
    assert stored.corpus.max_tokens == expected.max_tokens
    report = json.loads((run / "report.json").read_text())
    assert expected.max_tokens <= report["n_tokens"] < expected.max_tokens + 12
    # The same command goes on with the same text, whatever the machine does now.
    assert cli.main(["train", str(run), *flags, "--minutes=0.12"]) == 0
    assert len(tried) == 1
    both = "--minutes=0.12", "--max_tokens=100"
    for path in (run, tmp_path / "b"):
        assert cli.main(["train", str(path), *flags, *both]) == 2
        assert "Expected --minutes or --max_tokens, got" in capsys.readouterr().err
    assert len(tried) == 1
    assert cli.main(["train", str(tmp_path / "b"), *flags, "--minutes=0.05"]) != 0
    assert "Expected at least" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
    stored = f"--hidden_states={tmp_path}"
    assert cli.main(["train", str(tmp_path / "b"), *flags, "--minutes=1", stored]) == 2
    assert "without --hidden_states" in capsys.readouterr().err


def test_a_plan_has_the_time_of_a_trial(
    toy_bert_folder, toy_corpus, monkeypatch, capsys
):
    flags = ["plan", f"--model={toy_bert_folder}", "--total_rows=60000"]
    found = []

    def run_trial(config, **how):
        del how
        found.append(_found(config, rows_per_second=1000))
        return found[-1]

    monkeypatch.setattr(trial, "run_trial", run_trial)
    assert cli.main([*flags, "--trial"]) != 0
    assert "Expected --text for --trial" in capsys.readouterr().err
    flags.append(f"--text={toy_corpus}")
    assert cli.main([*flags, "--trial", "--measured=runs/x"]) != 0
    assert "without --measured" in capsys.readouterr().err
    assert cli.main([*flags, "--trial", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(found) == 1
    assert document["seconds"] == pytest.approx(60)

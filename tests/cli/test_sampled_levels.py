"""`tfvis levels --at_most`: a sample of factors is measured, the others are guessed."""

import shutil

import numpy as np
import pytest

from tfvis_jax import cli, pipeline
from tfvis_jax.levels import gathering, level_file, measuring, rule, sampling
from tfvis_jax.notebook import run as run_lib
from tfvis_jax.viewer import bundle

_PER_FACTOR = 2
_SAMPLE = 4


@pytest.fixture(autouse=True)
def few_documents(monkeypatch):
    """The corpus of the toy run has fewer documents than a level needs."""
    monkeypatch.setattr(rule, "MIN_DOCUMENTS", 1)


@pytest.fixture(scope="module")
def sampled(toy_run, tmp_path_factory):
    """A run of which a sample was measured."""
    path = tmp_path_factory.mktemp("sampled") / "run"
    shutil.copytree(toy_run, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rule, "MIN_DOCUMENTS", 1)
        pipeline.measure_levels(path, per_factor=_PER_FACTOR, at_most=_SAMPLE)
    return path


@pytest.fixture
def path(sampled, tmp_path):
    return shutil.copytree(sampled, tmp_path / "run")


def _measured(path):
    run = run_lib.load_run(path)
    found = level_file.load(run.directory.levels, run.examples).evidence
    return {factor: each for factor, each in enumerate(found) if each and each.context}


@pytest.fixture
def asked(monkeypatch):
    """The factors that are measured, call by call; None stands for all."""
    calls, measure = [], gathering.measure

    def listen(results, *, factors, **others):
        calls.append(factors)
        return measure(results, factors=factors, **others)

    monkeypatch.setattr(gathering, "measure", listen)
    return calls


def test_the_factors_that_need_context_most_are_measured(path):
    run = run_lib.load_run(path)
    chosen = sampling.by_context(gathering.of_examples(run), n=_SAMPLE)
    assert len(chosen) == _SAMPLE
    assert sorted(_measured(path)) == sorted(chosen)
    alive = np.asarray(run.examples.firing).any(axis=0)
    for factor, level in enumerate(run.levels):
        assert level.is_guess == (alive[factor] and factor not in chosen)


def test_a_second_call_touches_nothing(path, asked):
    file = path / "levels.json"
    before = file.read_bytes(), file.stat().st_mtime_ns
    for n in (_SAMPLE, 1):
        pipeline.measure_levels(path, per_factor=_PER_FACTOR, at_most=n)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    assert asked == []


def test_a_larger_sample_measures_the_others_only(path, asked):
    before = _measured(path)
    run = run_lib.load_run(path)
    chosen = sampling.by_context(gathering.of_examples(run), n=_SAMPLE + 3)
    pipeline.measure_levels(path, per_factor=_PER_FACTOR, at_most=_SAMPLE + 3)
    assert [sorted(each) for each in asked] == [sorted(set(chosen) - set(before))]
    after = _measured(path)
    assert sorted(after) == sorted(chosen)
    assert {factor: after[factor] for factor in before} == before
    # All that a guess can rank, and then nothing is left to choose.
    pipeline.measure_levels(path, per_factor=_PER_FACTOR, at_most=1000)
    asked.clear()
    pipeline.measure_levels(path, per_factor=_PER_FACTOR, at_most=1000)
    assert asked == []


def test_a_sample_then_the_rest_is_all_at_once(path, toy_run, tmp_path, asked):
    before = _measured(path)
    pipeline.measure_levels(path, per_factor=_PER_FACTOR)
    assert not set(asked[0]) & set(before)
    whole = shutil.copytree(toy_run, tmp_path / "whole")
    pipeline.measure_levels(whole, per_factor=_PER_FACTOR)
    assert asked[1] is None
    found, expected = _measured(path), _measured(whole)
    assert sorted(found) == sorted(expected) and set(before) < set(expected)
    for factor, each in expected.items():
        assert found[factor].spread == each.spread
        assert found[factor].context.kinship == each.context.kinship
        # Other batches, whose codes are solved to the same tolerance.
        assert found[factor].context.shares == pytest.approx(
            each.context.shares, abs=1e-3
        )
    assert not any(level.is_guess for level in run_lib.load_run(path).levels)


def test_other_firings_are_measured_anew(path):
    before = (path / "levels.json").read_bytes()
    pipeline.measure_levels(path, per_factor=1, at_most=2)
    assert (path / "levels.json").read_bytes() == before
    measured = len(_measured(path))
    assert measured > 2
    levels = pipeline.measure_levels(path, per_factor=1, at_most=measured)
    run = run_lib.load_run(path)
    assert level_file.load(run.directory.levels, run.examples).per_factor == 1
    assert len(_measured(path)) == measured
    assert [level.is_guess for level in levels] == [x.is_guess for x in run.levels]


def test_the_command_says_how_many_are_guessed(path, capsys, monkeypatch):
    def refuse(*arguments, **settings):
        raise AssertionError("measured again")

    monkeypatch.setattr(measuring, "measure", refuse)
    command = ["levels", str(path), f"--per_factor={_PER_FACTOR}"]
    assert cli.main([*command, f"--at_most={_SAMPLE}"]) == 0
    alive = int(np.asarray(run_lib.load_run(path).examples.firing).any(axis=0).sum())
    assert (
        f"{_SAMPLE} levels are measured, and {alive - _SAMPLE} are guesses, which "
        f"`tfvis levels {path} --per_factor={_PER_FACTOR}` measures"
        in capsys.readouterr().out
    )
    assert cli.main([*command, "--at_most=0"]) != 0
    assert "at_most" in capsys.readouterr().err


def test_the_page_has_probabilities_of_measured_levels_alone(path):
    pipeline.export_site(path, contexts=2)
    scores = bundle.read(path / "site", "data/index")["level_scores"]
    levels = run_lib.load_run(path).levels
    assert [score is None for score in scores] == [each.is_guess for each in levels]
    assert None in scores and any(score is not None for score in scores)
    evidence = bundle.read(path / "site", "data/levels")
    assert evidence["measures"][0]["name"] == "alone"
    known = [value is not None for value in evidence["measures"][0]["values"]]
    assert [f for f, each in enumerate(known) if each] == sorted(_measured(path))

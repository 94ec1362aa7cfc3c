"""`tfvis levels` on a toy run, from training to the reasons."""

import json
import shutil

import numpy as np
import pytest
import scripts

import tfvis_jax
from experiments import levels as levels_experiment
from tfvis_jax import cli
from tfvis_jax.levels import firings as firings_lib
from tfvis_jax.levels import gathering, level_file, measuring, rule
from tfvis_jax.reporting import claims
from tfvis_jax.saliency import context_growth, variants
from tfvis_jax.saliency import target as target_lib

_PER_FACTOR = 2


@pytest.fixture(scope="module")
def path(toy_bert_folder, toy_corpus, tmp_path_factory):
    """A run with examples, trained through the command line."""
    path = tmp_path_factory.mktemp("run") / "toy"
    train = [
        *("train", str(path), f"--model={toy_bert_folder}", f"--text={toy_corpus}"),
        *("--window_length=12", "--held_out_fraction=0.2", "--l1_penalty=0.1"),
        *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=8"),
        "--until=train",
    ]
    assert cli.main(train) == 0
    assert cli.main(["examples", str(path), "--top_n=30"]) == 0
    return path


def test_levels_are_measured_kept_and_used(path, capsys, monkeypatch):
    # No level is sure, so that all firings are measured.
    monkeypatch.setattr(gathering, "SURE", 2)
    before = tfvis_jax.load_run(path)
    judged = [n for n, level in enumerate(before.levels) if level.probabilities]
    assert judged
    for number in judged:
        assert "not been measured" in before.levels[number].reason
        assert before.levels[number].is_guess
    command = ["levels", str(path), f"--per_factor={_PER_FACTOR}"]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    run = tfvis_jax.load_run(path)
    for name in rule.LEVELS:
        count = sum(level.name == name for level in run.levels)
        assert f"{name:<10} {count:>6,} factors" in printed
    assert not any("not been measured" in level.reason for level in run.levels)
    assert not any(level.is_guess for level in run.levels)
    words = [line for line in printed.splitlines() if str(path) not in line]
    assert max(map(len, words)) <= 100

    measured = level_file.load(run.directory.levels, run.examples)
    fires = np.asarray(run.examples.firing).any(axis=0)
    assert [each is not None for each in measured.evidence] == fires.tolist()
    _check_shares(run, measured.evidence)

    # What is there is not measured again, unless by other settings.
    def refuse(*arguments, **settings):
        raise AssertionError("measured again")

    monkeypatch.setattr(measuring, "measure", refuse)
    assert cli.main(command) == 0
    assert cli.main(["levels", str(path)]) == 1


def _check_shares(run, evidence):
    """Compares with the encoder on whole windows, at the firings that are drawn."""
    peaks = gathering.of_run(run)
    mask = run.opened.tokenizer.mask_id
    for factor in [f for f, each in enumerate(evidence) if each is not None][:3]:
        index = int(peaks[factor])
        probe = variants.open_probe(
            run.opened, run.trained, layer=run.trained.layers[index]
        )
        drawn = firings_lib.draw(run.examples, index, factor, n=_PER_FACTOR)
        expected = []
        for alpha, window, position in zip(*map(np.ndarray.tolist, drawn), strict=True):
            target = target_lib.of_window(
                run.windows, window=window, position=position, factor=factor
            )
            requests = [
                context_growth.keeping(target, measuring.RADII),
                context_growth.without_word(target, by=mask),
            ]
            found = np.concatenate(probe.activations(requests))
            expected.append(np.clip(found / alpha, 0, 1))
        shares = evidence[factor].context.shares
        names = [*(f"keep_{radius}" for radius in measuring.RADII), "without_word"]
        # α, here and in the examples, is solved to a relative gap of 1e-3, which bounds
        # its error by √1e-3 = 0.03 of ‖x‖ at unit curvature.
        np.testing.assert_allclose(
            [shares[name] for name in names], np.mean(expected, axis=0), atol=1e-2
        )


def test_levels_of_an_older_version_are_guesses(path, tmp_path, capsys):
    shutil.copytree(path, tmp_path / "run")
    (tmp_path / "run" / "levels.json").write_text('{"schema": "tfvis-levels/1"}')
    run = tfvis_jax.load_run(tmp_path / "run")
    assert any(level.is_guess for level in run.levels)


def test_importance_curves_by_level(path, tmp_path, capsys):
    """The experiment, on levels that the tests before have measured."""
    out = tmp_path / "levels.json"
    scripts.run(levels_experiment, run=path, out=out, resamples=20)
    found = json.loads(out.read_text())
    assert [claims.Claim.from_json(each).claim[:3] for each in found["claims"]] == [
        "Low",
        "Mid",
        "Hig",
    ]
    assert sum(found["counts"].values()) == 24
    # Of so few factors every sample has all that have probabilities.
    told = sum(bool(level.probabilities) for level in tfvis_jax.load_run(path).levels)
    assert [sum(each.values()) for each in found["sampled"].values()] == [told] * 3
    assert out.with_suffix(".md").read_text() == capsys.readouterr().out
    shutil.copytree(path, tmp_path / "run")
    (tmp_path / "run" / "levels.json").unlink()
    with pytest.raises(SystemExit, match="guesses; `tfvis levels"):
        scripts.run(levels_experiment, run=tmp_path / "run", out=out)


def test_a_run_without_examples_says_so(path, tmp_path, capsys):
    shutil.copytree(path, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "examples")
    assert cli.main(["levels", str(tmp_path / "run")]) == 1
    assert "tfvis examples" in capsys.readouterr().err

"""`tfvis levels` on a toy run, from training to the reasons."""

import shutil

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax import cli
from tfvis_jax.levels import context_shares, level_file, rule
from tfvis_jax.saliency import context_need, variants
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
    ]
    assert cli.main(train) == 0
    assert cli.main(["examples", str(path), "--top_n=30"]) == 0
    return path


def test_levels_are_measured_kept_and_used(path, capsys, monkeypatch):
    before = tfvis_jax.load_run(path)
    alive = [n for n, level in enumerate(before.levels) if level.name != "unclear"]
    assert alive
    for number in alive:
        assert "not been measured" in before.levels[number].reason
    command = ["levels", str(path), f"--per_factor={_PER_FACTOR}"]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    run = tfvis_jax.load_run(path)
    for name in rule.LEVELS:
        count = sum(level.name == name for level in run.levels)
        assert f"{name:<8} {count:>6,} factors" in printed
    assert not any("not been measured" in level.reason for level in run.levels)
    words = [line for line in printed.splitlines() if str(path) not in line]
    assert max(map(len, words)) <= 100

    measured = level_file.load(run.directory.levels, run.examples)
    fires = np.asarray(run.examples.firing).any(axis=0)
    np.testing.assert_array_equal(np.isnan(measured.shares).any(axis=1), ~fires)
    _check_shares(run, measured.shares)

    # What is there is not measured again, unless by other settings.
    def refuse(*arguments, **settings):
        raise AssertionError("measured again")

    monkeypatch.setattr(context_shares, "measure", refuse)
    assert cli.main(command) == 0
    assert cli.main(["levels", str(path)]) == 1


def _check_shares(run, shares):
    """Compares with `context_need` at the strongest tokens of other documents."""
    peaks = rule.peaks(run.importance(), np.asarray(run.examples.firing))
    for factor in np.flatnonzero(~np.isnan(shares).any(axis=1))[:3].tolist():
        layer = int(peaks[factor])
        found = run.examples
        n = min(int(found.firing[layer, factor]), 4 * _PER_FACTOR)
        places = [
            (int(w), int(p))
            for w, p in zip(
                found.window[layer, factor, :n],
                found.position[layer, factor, :n],
                strict=True,
            )
        ]
        documents = [run.windows.document(window) for window, _ in places]
        # A document's first comes before any document's second.
        order = sorted(range(n), key=lambda i: (documents.index(documents[i]) != i, i))
        probe = variants.open_probe(
            run.opened, run.trained, layer=run.trained.layers[layer]
        )
        targets = [
            target_lib.of_window(
                run.windows, window=places[i][0], position=places[i][1], factor=factor
            )
            for i in order[:_PER_FACTOR]
        ]
        curves = context_need.curves(probe, targets, radii=context_shares.RADII)
        np.testing.assert_allclose(
            shares[factor], np.clip(curves, 0, 1).mean(axis=0), atol=1e-4
        )


def test_a_run_without_examples_says_so(path, tmp_path, capsys):
    shutil.copytree(path, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "examples")
    assert cli.main(["levels", str(tmp_path / "run")]) == 1
    assert "tfvis examples" in capsys.readouterr().err

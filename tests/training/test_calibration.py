"""λ after training: the target L0 on held-out text, not on what was trained on."""

import dataclasses

import numpy as np
import pytest
import toy_runs

from tfvis_jax import config, pipeline
from tfvis_jax.runs import dictionary_file, encoding, setup
from tfvis_jax.runs import directory as directory_lib
from tfvis_jax.training import calibration

TARGET = 3.0


@pytest.fixture(scope="module")
def run(toy_bert_folder, toy_corpus, tmp_path_factory):
    settings = toy_runs.settings(
        toy_bert_folder,
        toy_corpus,
        windows_per_batch=8,
        rows_per_step=64,
        sparsity=config.SparsityConfig(target_l0=TARGET),
    )
    path = tmp_path_factory.mktemp("calibration") / "run"
    report = pipeline.train(path, settings)
    run = directory_lib.RunDirectory(path)
    opened = setup.open_model(run, settings)
    return opened, dictionary_file.load(run.dictionary), report


def _l0(opened, trained, chosen):
    """Mean number of active factors, counted row by row."""
    counts = []
    for _, layers in encoding.encode_windows(opened, trained, opened.windows(), chosen):
        for rows in layers:
            valid = np.asarray(rows.valid)
            counts.append(np.count_nonzero(np.asarray(rows.codes)[valid], axis=1))
    return np.concatenate(counts).mean()


def test_held_out_text_has_the_target_l0(run):
    opened, trained, report = run
    held_out = opened.windows().held_out
    assert report["l0"]["all"] == pytest.approx(TARGET, rel=0.05)
    assert _l0(opened, trained, held_out) == pytest.approx(TARGET, rel=0.05)
    assert report["l1_penalty"] == trained.l1_penalty


def test_lambda_does_not_depend_on_where_training_left_it(run):
    opened, trained, _ = run
    moved = dataclasses.replace(trained, l1_penalty=7 * trained.l1_penalty)
    found = calibration.l1_penalty(opened, moved, opened.windows(), target_l0=TARGET)
    assert found == trained.l1_penalty


def test_windows_that_are_measured_do_not_decide(run, monkeypatch):
    opened, trained, _ = run
    windows, seen = opened.windows(), []

    def sample_rows(opened, trained, windows, chosen, **how):
        seen.append(chosen)
        return np.zeros((0, 16), np.float32)

    monkeypatch.setattr(encoding, "sample_rows", sample_rows)
    held_out = np.arange(100)
    for n_measured in (60, 90):
        windows.held_out, windows.measured = held_out, held_out[:n_measured]
        # Without rows λ stays.
        found = calibration.l1_penalty(opened, trained, windows, target_l0=TARGET)
        assert found == trained.l1_penalty
    np.testing.assert_array_equal(seen[0], held_out[60:])
    # Ten windows would be too few.
    np.testing.assert_array_equal(seen[1], held_out)

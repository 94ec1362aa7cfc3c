"""Test the training step that is compiled ahead of time."""

import contextlib
import dataclasses

import jax
import numpy as np
import pytest
import toy_runs

from tfvis_jax import config
from tfvis_jax.training import step_program


@pytest.fixture(scope="module")
def settings(toy_bert_folder, toy_corpus):
    return toy_runs.settings(
        toy_bert_folder,
        toy_corpus,
        solver=config.SolverConfig(solver="spectral", l1_penalty=0.1),
        windows_per_batch=64,
        rows_per_step=1024,
        checkpoint_every=1,
    )


def _fails(self):
    raise RuntimeError("no program")


def test_steps_are_those_of_the_jitted_function(settings, tmp_path, monkeypatch):
    ahead = toy_runs.fit(tmp_path / "ahead", settings)
    monkeypatch.setattr(
        step_program.StepProgram, "compiling", lambda self: contextlib.nullcontext()
    )
    jitted = toy_runs.fit(tmp_path / "jitted", settings)
    jax.tree.map(np.testing.assert_array_equal, ahead, jitted)


def test_what_goes_wrong_in_compiling_stops_the_run(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(step_program.StepProgram, "_compile", _fails)
    with pytest.raises(RuntimeError, match="no program"):
        toy_runs.fit(tmp_path, settings)


def test_a_run_that_is_done_compiles_nothing(settings, tmp_path, monkeypatch):
    # Steps too small to change anything: the error settles at once.
    still = dataclasses.replace(settings.dictionary, step_size=1e-9, revive_after=None)
    settled = dataclasses.replace(settings, patience=1, num_epochs=4, dictionary=still)
    runs = {"whole": settings, "settled": settled}
    done = {
        name: toy_runs.fit(tmp_path / name, each, notify=lambda said: None)
        for name, each in runs.items()
    }
    monkeypatch.setattr(step_program.StepProgram, "_compile", _fails)
    for name, each in runs.items():
        again = toy_runs.fit(tmp_path / name, each)
        jax.tree.map(np.testing.assert_array_equal, done[name], again)


def test_runs_of_one_process_share_the_program(settings, tmp_path):
    step_program._compiled.cache_clear()
    for name in ("one", "two"):
        toy_runs.fit(tmp_path / name, settings)
    found = step_program._compiled.cache_info()
    assert (found.misses, found.hits) == (1, 1)

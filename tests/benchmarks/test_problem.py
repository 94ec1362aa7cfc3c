"""Rows and factors come whole from files, and from the held-out text of a run."""

import pathlib

import numpy as np
import pytest

import tfvis_jax
from benchmarks import problem
from tfvis_jax import config, errors, models
from tfvis_jax.data import build_windows
from tfvis_jax.runs import dictionary_file, setup, trained_dictionary
from tfvis_jax.runs import directory as directory_lib


def test_rows_and_samples_of_a_file_do_not_overlap(small_problem, problem_files):
    rows, factors = small_problem
    got = problem.from_files(*_paths(problem_files), num_rows=50, num_samples=1000)
    np.testing.assert_array_equal(got.x, rows[:50])
    np.testing.assert_array_equal(got.samples, rows[50:])
    np.testing.assert_array_equal(got.dictionary, factors)
    assert got.l1_penalty is None


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros(16, np.float32), r"of shape \(16,\)"),
        (np.zeros((0, 16), np.float32), r"of shape \(0, 16\)"),
        (np.full((2, 16), np.nan, np.float32), "NaN or infinity"),
        (np.array([["a"]]), "Expected numbers"),
        (np.zeros((3, 15), np.float32), "one d_model"),
    ],
)
def test_wrong_files_are_named(array, message, problem_files):
    np.save(problem_files["activations"], array)
    with pytest.raises(errors.InputError, match=message):
        problem.from_files(*_paths(problem_files), num_rows=5)


def test_a_file_that_is_no_array(tmp_path, problem_files):
    (tmp_path / "activations.npy").write_text("hello")
    with pytest.raises(errors.InputError, match="not a NumPy file"):
        problem.from_files(*_paths(problem_files), num_rows=5)


@pytest.fixture
def finished_run(toy_bert_folder, toy_corpus, tmp_path):
    """What training leaves, with factors that were not learnt."""
    settings = config.RunConfig(
        model=str(toy_bert_folder),
        corpus=config.CorpusConfig(
            paths=(str(toy_corpus),),
            window_length=12,
            held_out_fraction=0.3,
            max_tokens=1500,
        ),
        windows_per_batch=8,
    )
    directory = directory_lib.RunDirectory(tmp_path / "run")
    directory.open_or_create(settings)
    opened = setup.open_model(directory, settings)
    build_windows.build(directory.tokens, settings.corpus, tokenizer=opened.tokenizer)
    dictionary_file.save(
        directory.dictionary,
        trained_dictionary.TrainedDictionary(
            factors=np.eye(24, 16, dtype=np.float32),
            layer_scale=np.float32([2, 3, 5]),
            layers=(0, 1, 2),
            model=settings.model,
            l1_penalty=0.15,
        ),
    )
    return directory.path


def test_rows_of_a_run_are_its_held_out_hidden_states(finished_run):
    got = problem.from_run(finished_run, num_rows=200, num_samples=64)
    run = tfvis_jax.load_run(finished_run)
    assert got.l1_penalty == 0.15
    np.testing.assert_array_equal(got.dictionary, run.trained.factors)
    assert got.x.shape == (200, 16) and got.samples.shape == (64, 16)
    held_out, train = (
        _hidden_states(run, chosen)
        for chosen in (run.windows.held_out, run.windows.train)
    )
    assert _all_among(got.x, held_out) and not _all_among(got.x[:20], train)
    assert _all_among(got.samples, train)
    # All layers, each divided by its scale, in random order.
    layers = np.array([_nearest_layer(row, held_out) for row in got.x])
    assert set(layers) == {0, 1, 2} and not np.all(np.diff(layers) >= 0)
    again = problem.from_run(finished_run, num_rows=200)
    np.testing.assert_array_equal(again.x, got.x)
    whole = problem.from_run(finished_run, num_rows=10**6)
    assert len(whole.x) == held_out[..., 0].size


def _paths(problem_files):
    return (pathlib.Path(problem_files[name]) for name in ("activations", "dictionary"))


def _hidden_states(run, chosen):
    """Scaled hidden states of windows, [n_layers, tokens, d_model]."""
    windows = run.windows
    states = np.asarray(
        models.load(run.config.model, dtype="float32").encoder(
            windows.token_ids(chosen), windows.token_mask(chosen), layers=(0, 1, 2)
        )
    )
    scaled = states / np.float32([2, 3, 5])[:, None, None, None]
    return scaled[:, windows.row_mask(chosen)]


def _all_among(rows, states):
    # Batches of another size round differently in the last bits.
    flat = states.reshape(-1, states.shape[-1])
    distance = np.abs(rows[:, None] - flat[None]).max(axis=2).min(axis=1)
    return bool(np.all(distance < 1e-5))


def _nearest_layer(row, states):
    return int(np.abs(states - row).max(axis=2).min(axis=1).argmin())

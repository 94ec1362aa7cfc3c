"""Planted directions against their definition, and what fires factors most."""

import numpy as np
import pytest

import tfvis_jax
from benchmarks.ground_truth import level_labels
from benchmarks.levels import cases as cases_lib
from benchmarks.levels import planted_factors
from tfvis_jax import cli
from tfvis_jax.runs import encoding


@pytest.fixture(scope="module")
def run(toy_bert_folder, toy_corpus, tmp_path_factory):
    """A run with examples, trained through the command line."""
    path = tmp_path_factory.mktemp("run") / "toy"
    train = [
        *("train", str(path), f"--model={toy_bert_folder}", f"--text={toy_corpus}"),
        *("--window_length=12", "--held_out_fraction=0.2", "--l1_penalty=0.1"),
        *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=8"),
    ]
    assert cli.main(train) == 0
    assert cli.main(["examples", str(path), "--top_n=30"]) == 0
    return tfvis_jax.load_run(path)


def test_strongest_tokens_are_those_of_the_examples(run):
    found = planted_factors.strongest(run.opened, run.trained, run.windows, n=30)
    for name in ("activation", "window", "position", "firing"):
        expected = np.asarray(getattr(run.examples, name))
        np.testing.assert_array_equal(getattr(found, name), expected)


def test_directions_are_differences_of_means(run):
    windows, everything = run.windows, np.arange(len(run.windows))
    form = windows.token_ids(everything)[windows.row_mask(everything)]
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(len(form))[:40])
    word = np.flatnonzero(form == form[0])
    made = planted_factors.dictionary(
        run.opened,
        run.trained,
        windows,
        form=form,
        plants=[
            planted_factors.Plant("word", "low", word, 1),
            planted_factors.Plant("template", "mid", rows, 2),
        ],
    )
    x = np.concatenate(
        [
            np.asarray(states, np.float64)[:, batch.row_mask]
            for batch, states in encoding.scaled_windows(
                run.opened, run.trained, windows, everything
            )
        ],
        axis=1,
    )
    expected = [
        x[1, word].mean(axis=0) - x[1].mean(axis=0),
        np.mean([x[2, row] - x[2, form == form[row]].mean(axis=0) for row in rows], 0),
    ]
    for direction, difference in zip(made.factors, expected, strict=True):
        # Sums of hidden states in float32.
        np.testing.assert_allclose(
            direction, difference / np.linalg.norm(difference), atol=1e-4
        )
    assert made.layers == run.trained.layers


def test_cases_of_a_run_are_labelled_and_measured(run, monkeypatch):
    # Bars that a toy run reaches.
    for name, value in (
        ("MIN_WORD_COUNT", 1),
        ("NUM_STRONGEST", 10),
        ("MIN_PRECISION", 0.1),
        ("MIN_RECALL", 0),
    ):
        monkeypatch.setattr(level_labels, name, value)
    world = cases_lib.ConceptText(run.directory.path)
    assert len(world.form) == run.examples.n_tokens
    cases = cases_lib.trained(world, max_low=3, per_factor=1)
    assert cases and {case.label for case in cases} <= {"low", "mid", "high"}
    for case in cases:
        assert case.concept
        evidence = case.evidence
        np.testing.assert_array_equal(
            evidence.importance, run.importance()[:, case.factor]
        )
        assert evidence.forms.word and np.all(evidence.shares <= 1)
    [again] = cases_lib.matched(run, [cases[0].factor], per_factor=1)
    assert again.shares == cases[0].shares and not again.label

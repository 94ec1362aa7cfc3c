"""Planted directions against their definition, and what fires factors most."""

import numpy as np
import pytest

import tfvis_jax
from benchmarks.levels import fitting, planted, planted_factors, planted_set
from tfvis_jax import cli
from tfvis_jax.levels import measuring
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


def test_examples_are_those_of_the_pass(run):
    found = planted_factors.examples(
        run.opened, run.trained, run.windows, n=30, n_random=100_000
    )
    for name in ("activation", "window", "position", "firing"):
        expected = np.asarray(getattr(run.examples, name))
        np.testing.assert_array_equal(getattr(found, name), expected)
    # A sample as large as this holds all firings.
    for index, factor in np.argwhere(found.firing > 0)[:20].tolist():
        drawn = found.drawn(index, factor)
        assert len(drawn.window) == found.firing[index, factor]
        assert drawn.activation.max() == found.activation[index, factor, 0]
    assert found.n_tokens == run.examples.n_tokens


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


def test_planted_concepts_are_measured(run, monkeypatch):
    # Bars that a toy run reaches.
    monkeypatch.setattr(planted, "_CHECKED", 3)
    monkeypatch.setattr(planted, "_MIN_PRECISION", 0.1)
    monkeypatch.setattr(planted_set, "_WORD_COUNT", (5, 400))
    found = planted.plant(run, per_class=3, per_factor=2)
    assert found
    for each in found:
        assert each.readings[0] and each.agreed in fitting.CLASSES
        assert set(each.evidence.context.shares) == set(measuring.ALTERATIONS)

"""What codes of dictionaries tell, against probes of codes that are made by hand."""

import numpy as np
import pytest

from tfvis_jax import load_run, probing
from tfvis_jax.errors import InputError
from tfvis_jax.probing import scores
from tfvis_jax.sparse_coding import encode
from tfvis_jax.studies import telling


@pytest.fixture(scope="module")
def run(toy_run):
    return load_run(toy_run)


@pytest.fixture(scope="module")
def rows(run, light_labels):
    return telling.labelled(run.opened, run.trained, light_labels)


def _tell(run, rows, dictionaries, **options):
    n = len(rows.layers)
    return telling.accuracy(
        rows,
        dictionaries,
        [0.1] * n,
        solver=run.config.solver,
        n_resamples=20,
        **options,
    )


def test_accuracy_is_that_of_codes_of_each_layer(run, rows):
    factors = run.trained.factors
    found = _tell(run, rows, [factors] * 3)
    assert list(found) == ["1", "5", "all"]
    by_layer = []
    for x in rows.x:
        codes = np.asarray(encode(x, factors, l1_penalty=0.1, tolerance=1e-5).codes)
        predictions = probing.cross_validate(codes, rows.task, probing.FullProbe())
        by_layer.append(np.mean(predictions.predicted == rows.task.y))
    # The run's solver stops at a tolerance of its own: a label or two of 60 may turn.
    assert found["all"].value == pytest.approx(np.mean(by_layer), abs=0.04)
    # Silent factors tell nothing.
    filled = _tell(run, rows, [factors] * 3, n_factors=40)
    assert filled["all"].value == pytest.approx(found["all"].value, abs=0.04)


def test_a_dictionary_that_sees_the_class_tells_more(run, rows):
    # Each row is the direction of its class, and noise across both.
    noise = np.random.default_rng(0).normal(size=(len(rows.task.y), 14))
    x = np.float32(np.hstack([np.eye(2)[rows.task.y], 0.3 * noise]))
    seeing, blind = np.split(np.eye(16, dtype=np.float32), [2])
    top = telling.Labelled(x[None], (2,), rows.task, rows.source)
    ours = _tell(run, top, [seeing])
    control = _tell(run, top, [blind])
    assert ours["1"].value == ours["all"].value == 1
    claim = telling.claim(ours, {"blind": control}, top, claim="Seeing tells more.")
    assert claim.verdict == "holds" and claim.controls["majority"] == 0.5
    margin = scores.difference(ours["all"], control["all"])
    assert claim.ours - claim.controls["blind"] == pytest.approx(margin.value)
    assert "10 documents" in claim.reason and "With one factor" in claim.reason
    behind = telling.claim(control, {"seeing": ours}, top, claim="Blind tells more.")
    assert behind.verdict == "does not hold here"


def test_words_that_the_model_does_not_know(run, tmp_path):
    notes = []
    assert telling.labelled(run.opened, run.trained, notify=notes.append) is None
    assert "Nothing is probed" in notes[0] and "--labels" in notes[0]
    assert telling.caption(None) == "" and telling.heads(None) == ()
    with pytest.raises(InputError, match="found nothing there"):
        telling.labelled(run.opened, run.trained, tmp_path / "none.jsonl")

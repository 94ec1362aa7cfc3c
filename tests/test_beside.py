"""Two runs compared for a page: against NumPy, and runs that cannot be compared."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

import tfvis_jax
from tfvis_jax import cli, errors
from tfvis_jax.pipeline import beside
from tfvis_jax.runs import dictionary_file
from tfvis_jax.viewer import bundle


def _other(toy_run, folder, change):
    """Copies a run, its dictionary changed; examples are then of another one."""
    shutil.copytree(toy_run, folder)
    trained = tfvis_jax.load_run(toy_run).trained
    dictionary_file.save(
        tfvis_jax.load_run(folder).directory.dictionary, change(trained)
    )
    return folder


@pytest.fixture(scope="module")
def shuffled(toy_run, tmp_path_factory):
    """A run with the factors of another in another order, two of them replaced."""
    rng = np.random.default_rng(3)
    order = rng.permutation(24)

    def change(trained):
        factors = trained.factors[order].copy()
        factors[:2] = rng.normal(size=factors[:2].shape)
        factors /= np.linalg.norm(factors, axis=1, keepdims=True)
        return dataclasses.replace(trained, factors=factors.astype(np.float32))

    folder = tmp_path_factory.mktemp("other") / "shuffled"
    return _other(toy_run, folder, change), order


def test_factors_that_moved_are_found_again(toy_run, shuffled):
    folder, order = shuffled
    run, other = tfvis_jax.load_run(toy_run), tfvis_jax.load_run(folder)
    found = beside.of_runs(run, other)
    a, b = (r.trained.directions.astype(np.float64) for r in (run, other))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    cosine = a @ b.T
    np.testing.assert_array_equal(found.nearest, cosine.argmax(axis=1))
    np.testing.assert_allclose(found.cosine, cosine.max(axis=1), atol=1e-9)
    kept = [int(factor) for factor in order[2:]]
    for place, factor in enumerate(kept, start=2):
        assert found.nearest[factor] == found.partner[factor] == place
        assert found.cosine[factor] == pytest.approx(1, abs=1e-6)
    assert sorted(found.partner) == list(range(24))
    # Directions at random are far less alike.
    assert 0.3 < found.by_chance < 0.75
    assert found.title == "shuffled" and found.l1_penalty == run.trained.l1_penalty
    # Its examples are those of another dictionary.
    assert not any(found.words) and not any(found.labels)


def test_words_and_labels_are_those_of_the_other(toy_run, tmp_path):
    shutil.copytree(toy_run, tmp_path / "twin")
    run, twin = tfvis_jax.load_run(toy_run), tfvis_jax.load_run(tmp_path / "twin")
    found = beside.of_runs(run, twin)
    for factor in range(24):
        expected = [word.text for word in twin.words.of(factor, n=4)]
        assert list(found.words[factor]) == expected
    assert any(found.words) and not found.words[0]


def test_a_smaller_dictionary_leaves_factors_without_a_partner(toy_run, tmp_path):
    def change(trained):
        return dataclasses.replace(trained, factors=trained.factors[:20])

    run = tfvis_jax.load_run(toy_run)
    smaller = tfvis_jax.load_run(_other(toy_run, tmp_path / "smaller", change))
    found = beside.of_runs(run, smaller)
    assert found.partner[:20] == list(range(20)) and found.partner[20:] == [None] * 4
    assert found.partner_cosine[20:] == [None] * 4
    assert len(found.words) == 20
    # The other way, each has one.
    assert None not in beside.of_runs(smaller, run).partner


def test_runs_that_cannot_be_compared_are_refused(toy_run, tmp_path, capsys):
    run = tfvis_jax.load_run(toy_run)
    with pytest.raises(errors.InputError, match="got the same one"):
        beside.of_runs(run, tfvis_jax.load_run(toy_run))

    other_model = tmp_path / "other_model"
    shutil.copytree(toy_run, other_model)
    (other_model / "model.json").write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(errors.InputError, match="two runs of one model"):
        beside.of_runs(run, tfvis_jax.load_run(other_model))
    # On the command line, before any work.
    arguments = ["export", str(toy_run), f"--beside={other_model}"]
    assert cli.main([*arguments, f"--out={tmp_path / 'site'}"]) == 1
    assert "Expected two runs of one model" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()

    fewer = _other(toy_run, tmp_path / "fewer", lambda t: t.of_layers([0, 2]))
    with pytest.raises(errors.InputError, match=r"the same layers, got .*--layers=0,1"):
        beside.of_runs(run, tfvis_jax.load_run(fewer))

    def within(trained):
        return dataclasses.replace(trained.of_layers([1, 2]), site="mlp_out")

    one = _other(toy_run, tmp_path / "one", lambda t: t.of_layers([1, 2]))
    other = _other(toy_run, tmp_path / "mlp", within)
    with pytest.raises(errors.InputError, match=r"one site, got hidden.*--site=hidden"):
        beside.of_runs(tfvis_jax.load_run(one), tfvis_jax.load_run(other))


def test_the_page_of_a_run_holds_both(toy_run, shuffled, tmp_path, capsys):
    folder, _ = shuffled
    arguments = ["export", str(toy_run), f"--beside={folder}", "--contexts=2"]
    assert cli.main([*arguments, f"--out={tmp_path / 'site'}"]) == 0
    found = bundle.read(tmp_path / "site", "data/beside")
    assert found["title"] == "shuffled" and len(found["cosine"]) == 24
    assert "found twice" in capsys.readouterr().out
    record = bundle.read(tmp_path / "site", "data/run")
    facts = {title: dict(pairs) for title, pairs in record["facts"]}
    run = tfvis_jax.load_run(toy_run)
    assert facts["Settings: corpus"]["window_length"] == 16
    assert facts["Settings"]["seed"] == 0
    config = json.loads((toy_run / "config.json").read_text())
    assert set(facts["Settings"]) < set(config.get("config", config))
    assert facts["Text"]["tokens"] == run.report["n_tokens"]
    assert facts["Versions"]["tfvis_jax"] == tfvis_jax.__version__
    size = (toy_run / "dictionary.safetensors").stat().st_size
    assert 1000 < size < 1e6
    assert facts["Files"]["dictionary.safetensors"] == f"{size / 1e3:.3g} KB"
    assert not any(said.startswith("0") for said in facts["Files"].values())
    # Folders of this machine are nobody's business.
    assert str(tmp_path.parent.parent) not in json.dumps(record)
    lines = (toy_run / "metrics.jsonl").read_text().splitlines()
    assert record["batches"] == [json.loads(line)["batch"] for line in lines]
    [l0] = [curve for curve in record["curves"] if curve["label"] == "L0"]
    expected = [json.loads(line)["l0"] for line in lines]
    assert l0["values"] == pytest.approx(expected, rel=1e-3)

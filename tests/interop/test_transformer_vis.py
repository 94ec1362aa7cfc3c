"""Dictionaries of the published code: read, written, and made runs of."""

import json

import numpy as np
import pytest

from tfvis_jax import cli, load_run
from tfvis_jax.errors import InputError
from tfvis_jax.interop import transformer_vis
from tfvis_jax.sparse_coding import encode


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """As the published code writes one: columns of norm 1, in any order of memory."""
    columns = np.random.default_rng(0).normal(size=(16, 30))
    columns /= np.linalg.norm(columns, axis=0)
    columns[:, 7] = 0
    path = tmp_path_factory.mktemp("theirs") / "bert_reg0.1_d30_epoch2.npy"
    np.save(path, np.asfortranarray(columns.astype(np.float32)))
    return path


@pytest.fixture(scope="module")
def arguments(toy_bert_folder, toy_corpus, file):
    return [
        *(f"--model={toy_bert_folder}", f"--text={toy_corpus}"),
        *(f"--dictionary={file}", "--window_length=16", "--held_out_fraction=0.3"),
    ]


@pytest.fixture(scope="module")
def imported(arguments, tmp_path_factory):
    path = tmp_path_factory.mktemp("imported") / "run"
    assert cli.main(["import", str(path), *arguments, "--l1_penalty=0.1"]) == 0
    return path


def test_columns_become_rows(file):
    factors = transformer_vis.read(file, d_model=16)
    assert factors.shape == (30, 16) and factors.flags.c_contiguous
    np.testing.assert_array_equal(factors, np.load(file).T)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.ones((16, 30), np.float32), r"norm 1 .* got 4 for column 0"),
        (np.full((16, 3), np.nan, np.float32), "got nan for column 0"),
        (np.eye(30, 16), "Transpose it"),
        (np.eye(12), "columns of 16 numbers"),
        (np.eye(16, dtype=np.int64), "Expected floats"),
        (np.zeros((16, 0)), "Expected floats"),
        (np.array([{}], object), "no whole .npy file"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, message):
    np.save(tmp_path / "other.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        transformer_vis.read(tmp_path / "other.npy", d_model=16)


def test_files_that_are_no_arrays(tmp_path):
    with pytest.raises(InputError, match="found no file"):
        transformer_vis.read(tmp_path / "none.npy", d_model=16)
    (tmp_path / "text.npy").write_text("hello")
    with pytest.raises(InputError, match="no whole"):
        transformer_vis.read(tmp_path / "text.npy", d_model=16)


def test_a_run_uses_the_factors_on_raw_hidden_states(imported, file):
    run = load_run(imported)
    np.testing.assert_array_equal(run.trained.factors, np.load(file).T)
    assert run.trained.layer_scale.tolist() == [1, 1, 1]
    assert run.trained.l1_penalty == 0.1
    encoded = run.encode("the bank of a river")
    for index in range(3):
        codes = encode(
            encoded.x[index], run.trained.factors, l1_penalty=0.1, tolerance=1e-6
        ).codes
        # Both stop at a tolerance, the run's at 1e-5 of the gap.
        np.testing.assert_allclose(encoded.codes[index], codes, atol=2e-2)
    report = run.report
    assert report["n_factors"] == 30 and report["l1_penalty"] == 0.1
    assert 0 < report["fvu"]["all"] < 1
    record = json.loads((imported / "imported.json").read_text())
    assert record["file"] == file.name and record["format"] == "transformer-vis"


def test_other_commands_take_it(imported, capsys):
    assert cli.main(["examples", str(imported), "--top_n=20"]) == 0
    assert cli.main(["export", str(imported)]) == 0
    assert (imported / "site" / "index.html").is_file()
    before = (imported / "dictionary.safetensors").read_bytes()
    assert cli.main(["train", str(imported)]) == 1
    assert "was imported" in capsys.readouterr().err
    assert (imported / "dictionary.safetensors").read_bytes() == before


def test_a_target_finds_the_penalty(arguments, tmp_path):
    path = tmp_path / "run"
    assert cli.main(["import", str(path), *arguments, "--target_l0=4"]) == 0
    found = json.loads((path / "report.json").read_text())
    assert found["l0"]["all"] == pytest.approx(4, rel=0.15)


def test_mistakes_are_sentences(arguments, imported, toy_run, tmp_path, capsys):
    new = str(tmp_path / "new")
    assert cli.main(["import", new, *arguments]) == 2
    assert "Expected --l1_penalty" in capsys.readouterr().err
    assert cli.main(["import", new, "--l1_penalty=0.1"]) == 2
    assert "Expected --dictionary" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    for flag in ("n_factors=8", "whitening=0.5", "equal_l0", "num_epochs=2"):
        said = ["import", new, *arguments, "--l1_penalty=0.1", f"--{flag}"]
        assert cli.main(said) == 2
        assert f"Expected no --{flag.partition('=')[0]}: " in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    over = ["import", str(toy_run), *arguments, "--l1_penalty=0.1"]
    assert cli.main(over) == 1
    assert "trained there" in capsys.readouterr().err


def test_what_is_written_is_read_again(imported, toy_run, tmp_path):
    trained = load_run(imported).trained
    transformer_vis.write(tmp_path / "ours.npy", trained)
    again = transformer_vis.read(tmp_path / "ours.npy", d_model=16)
    np.testing.assert_array_equal(again, trained.factors)
    with pytest.raises(InputError, match="layer's scale"):
        transformer_vis.write(tmp_path / "no.npy", load_run(toy_run).trained)
    assert not (tmp_path / "no.npy").exists()

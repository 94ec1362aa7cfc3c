"""`tfvis evaluate` as a person meets it."""

import json
import shutil

import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from tfvis_jax import cli


@pytest.fixture(scope="module")
def train(toy_bert_folder, toy_corpus, tmp_path_factory):
    """Trains a run on a text, the toy corpus by default; returns its directory."""

    def run(*flags, text=toy_corpus, model=toy_bert_folder):
        path = tmp_path_factory.mktemp("runs") / "toy"
        arguments = [
            *("train", path, f"--model={model}", f"--text={text}"),
            *("--window_length=12", "--held_out_fraction=0.2", "--l1_penalty=0.1"),
            *("--n_factors=24", "--rows_per_step=64", "--windows_per_batch=8", *flags),
            "--until=train",
        ]
        assert cli.main([str(argument) for argument in arguments]) == 0
        return path

    return run


def _evaluate(capsys, *arguments):
    capsys.readouterr()
    code = cli.main(["evaluate", *(str(argument) for argument in arguments)])
    return code, *capsys.readouterr()


def test_figures_are_written_and_printed(train, capsys):
    run = train()
    code, out, err = _evaluate(capsys, run, "--k=4", "--loss_windows=8")
    assert code == 0, err
    assert max(map(len, out.splitlines())) <= 100
    found = json.loads((run / "evaluation.json").read_text())
    report = json.loads((run / "report.json").read_text())
    # The text's rows alone, as after training.
    for kind, name in (("lasso", "fvu"), ("debiased", "fvu_debiased")):
        fvu = found["codes"][kind]["fvu"]
        assert fvu["all"] == pytest.approx(report[name]["all"], rel=1e-3)
        assert f"{fvu['per_layer'][1]:.3f}" in out
    assert found["codes"]["k_largest"]["l0"]["all"] <= 4 < report["l0"]["all"]
    assert found["special_tokens_fvu"] > 0 and "special tokens alone" in out
    recovered = found["codes"]["debiased"]["loss_recovered"]
    assert len(recovered["per_layer"]) == 3 and recovered["all"] <= 1
    # The toy has no masked-LM head.
    assert found["loss"]["name"] == "squared error of the last hidden state"
    assert found["loss"]["name"] in out
    density = found["density"]
    assert sum(density["counts"]) + density["n_silent"] == found["n_factors"] == 24
    assert found["duplicates"]["n_factors_above"] >= 0


def test_another_text_stands_beside_the_held_out_one(train, tmp_path, capsys):
    run, other = train(), tmp_path / "other [1].txt"
    lines = ["the bank of a river", "interest rate of the bank", "river river bank"]
    other.write_text(
        "\n".join(f"= {n} =\n\n{lines[n % 3] * (n + 2)}\n" for n in range(7))
    )
    code, out, err = _evaluate(capsys, run, "--k=4", "--loss_windows=8")
    assert code == 0, err
    before = json.loads((run / "evaluation.json").read_text())
    # Of the toy's twelve documents a section each is held out.
    assert before["n_documents"] == 12 and "interval over 12 documents" in out
    code, out, err = _evaluate(capsys, run, "--k=4", f"--text={other}")
    assert code == 0, err
    found = json.loads((run / "evaluation.json").read_text())
    [(name, measured)] = found.pop("texts").items()
    # What was measured before is not measured again.
    assert found == before and name == str(other)
    assert measured["n_documents"] == 7 and measured["k"] == 4
    fvu = measured["codes"]["lasso"]["fvu"]
    low, high = fvu["interval_95"]["all"]
    assert low < fvu["all"] < high and len(fvu["interval_95"]["per_layer"]) == 3
    assert f"{fvu['all']:.3f}" in out and f"[{low:.3f}, {high:.3f}]" in out
    assert measured["gap"]["max"] <= 1e-3
    # Texts stay when the held-out text is measured again, or another k asks for it.
    code, out, err = _evaluate(capsys, run, "--k=3", "--loss_windows=0")
    assert code == 0, err
    found = json.loads((run / "evaluation.json").read_text())
    assert found["k"] == 3 and found["texts"][name] == measured and "7" in out
    code, _, err = _evaluate(capsys, run, f"--text={tmp_path / 'absent.txt'}")
    assert code == 1 and "absent.txt" in err
    assert json.loads((run / "evaluation.json").read_text()) == found


def test_what_a_run_lacks_is_left_out(train, capsys):
    run = train("--nospecial_tokens", "--layers=1")
    code, out, err = _evaluate(capsys, run, "--loss_windows=0")
    assert code == 0, err
    assert "n/a" in out and "recovered" not in out
    found = json.loads((run / "evaluation.json").read_text())
    assert found["layers"] == [1]
    assert found["special_tokens_fvu"] is None and found["loss"] is None
    assert "loss_recovered" not in found["codes"]["lasso"]


def test_runs_that_cannot_be_measured_say_why(train, tmp_path, capsys):
    code, _, err = _evaluate(capsys, tmp_path)
    assert code == 1 and "not a run directory" in err
    text = tmp_path / "short.txt"
    text.write_text("the bank of a river")
    run = train(text=text)
    code, _, err = _evaluate(capsys, run)
    assert code == 1 and "held out" in err and "longer text" in err
    other = tmp_path / "other.txt"
    other.write_text("the river of a bank " * 30)
    code, out, err = _evaluate(capsys, run, f"--text={other}")
    assert code == 0, err
    found = json.loads((run / "evaluation.json").read_text())
    assert found["codes"]["lasso"]["fvu"]["all"] is None and "n/a" in out
    assert found["texts"][str(other)]["codes"]["lasso"]["fvu"]["all"] > 0
    (run / "dictionary.safetensors").unlink()
    code, _, err = _evaluate(capsys, run)
    assert code == 1 and "has not finished" in err
    code, _, err = _evaluate(capsys, run, "--k=0")
    assert code == 2 and "k" in err


def test_a_head_that_does_not_fit_is_said_and_not_used(
    train, toy_bert_folder, tmp_path, capsys
):
    model = tmp_path / "model"
    shutil.copytree(toy_bert_folder, model)
    tensors = safetensors_numpy.load_file(model / "model.safetensors")
    n_words = len(tensors["embeddings.word_embeddings.weight"])
    tensors["cls.predictions.bias"] = np.zeros(n_words + 6, np.float32)
    safetensors_numpy.save_file(tensors, model / "model.safetensors")
    run = train(model=model)
    code, _, err = _evaluate(capsys, run, "--k=4", "--loss_windows=2")
    assert code == 0, err
    said = f"cls.predictions.bias has the shape [{n_words + 6}] instead of [{n_words}]"
    assert "note: The model's language model head is not used." in err
    assert said in err and "UserWarning" not in err
    found = json.loads((run / "evaluation.json").read_text())
    assert found["loss"]["name"] == "squared error of the last hidden state"
    assert cli.main(["examples", str(run)]) == 0
    capsys.readouterr()
    assert cli.main(["describe", str(run), "--factor=0"]) == 0
    assert said in capsys.readouterr().err

"""The command as a person meets it: help, exit codes, a sentence for bad input."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

from tfvis_jax import cli
from tfvis_jax.cli import demo, dispatch
from tfvis_jax.runs import encoding, parallel_encoding
from tfvis_jax.viewer import bundle


def _run(capsys, *arguments):
    """Exit code, what was printed, what was complained about."""
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err + captured.out
    return code, captured.out, captured.err


@pytest.fixture
def train(toy_bert_folder, toy_corpus, tmp_path, capsys):
    """Trains on the toy corpus; keyword arguments replace flags."""

    def run(path=tmp_path / "run", **flags):
        flags = {
            "model": toy_bert_folder,
            "text": toy_corpus,
            "window_length": 12,
            "n_factors": 24,
            "rows_per_step": 64,
            "windows_per_batch": 8,
            "l1_penalty": 0.1,
            "until": "train",
        } | flags
        return _run(capsys, "train", path, *(f"--{k}={v}" for k, v in flags.items()))

    return run


def test_the_whole_way_and_the_page_shows_markup_as_text(train, tmp_path, capsys):
    run = tmp_path / "run"
    code, out, _ = train()
    assert code == 0
    assert "unexplained variance" in out and "tfvis examples" in out
    assert _run(capsys, "examples", run, "--top_n=50")[0] == 0
    assert _run(capsys, "export", run, "--contexts=50")[0] == 0
    manifest = bundle.read(run / "site", "data/manifest")
    assert manifest["schema"] == "tfvis-site/1"
    shards = sorted((run / "site" / "data" / "factors").glob("*.js"))
    text = "".join(shard.read_text() for shard in shards)
    assert "script" in text and "<script" not in text

    code, out, _ = _run(capsys, "encode", run, "the bank of a river", "--layers=0,2")
    assert code == 0
    assert "layer 0" in out and "layer 2" in out and "layer 1" not in out
    last = " ".join(out[out.index("\nspectral: ") :].split())
    assert last.startswith("spectral: ") and "rows converged" in last
    code, out, _ = _run(capsys, "encode", run, "the bank of a river", "--json")
    [first, *_] = json.loads(out)["layers"]
    assert [token["token"] for token in first["tokens"]][:2] == ["the", "bank"]
    assert all(len(t["factors"]) == t["l0"] for t in first["tokens"])


def test_the_same_command_again_needs_no_flags_and_changes_nothing(
    train, tmp_path, capsys
):
    assert train()[0] == 0
    before = (tmp_path / "run" / "dictionary.safetensors").read_bytes()
    assert _run(capsys, "train", tmp_path / "run", "--until=train")[0] == 0
    assert (tmp_path / "run" / "dictionary.safetensors").read_bytes() == before
    code, _, err = _run(capsys, "train", tmp_path / "run", "--n_factors=25")
    assert code == 1 and "dictionary.n_factors: 24 there, 25 requested" in err
    code, _, err = train(n_factors=25)
    assert code == 1
    assert "dictionary.n_factors: 24 there, 25 requested" in err
    assert (tmp_path / "run" / "dictionary.safetensors").read_bytes() == before


def test_the_paper_preset_trains(train, tmp_path):
    code, _, err = train(preset="paper", max_steps=20, max_tokens=300)
    assert code == 0, err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    # Flags given by hand win over the preset; the rest is the paper's.
    assert config["layers"] == [0]
    assert config["dictionary"]["energy_length"] == 300
    assert not config["corpus"]["special_tokens"] and not config["layer_scale"]


@pytest.mark.parametrize("name", [*dispatch._COMMANDS, None])
def test_help_fits_a_terminal(capsys, name):
    code, out, _ = _run(capsys, *([name] if name else []), "--help")
    assert code == 0
    assert out.startswith("usage: tfvis" if name else "tfvis")
    assert all(len(line) <= 88 for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage"),
        (["trian"], "There is no command 'trian'. Did you mean `tfvis train`?"),
        (["zzz"], "There is no command 'zzz'.\n\ntfvis shows"),
        (["train"], "run directory"),
        (["train", "r"], "--model"),
        (["train", "r", "--model=m"], "--text"),
        (["train", "r", "--bogus=1"], "There is no flag --bogus.\nusage: tfvis train"),
        (
            ["train", "r", "--n-factor=9"],
            "no flag --n-factor. Did you mean --n_factors?",
        ),
        (["view", "r", "--prot=80"], "There is no flag --prot. Did you mean --port?"),
        (["view", "r", "--no-browser"], "Did you mean --nobrowser?"),
        (["view", "r", "--no-open"], "usage: tfvis view RUN [--port=N] [--nobrowser]"),
        (["train", "r", "--n_factors=many"], "n_factors"),
        (["train", "r", "--model=m", "--text=t", "--l1_penalty=0"], "l1_penalty"),
        (["train", "r", "--model=m", "--text=t", "--n_factors=0"], "n_factors"),
        (["train", "r", "--model=m", "--text=t", "--layers=1,x"], "layers"),
        (["train", "r", "--model=m", "--text=t", "--layers=2,1"], "layers"),
        (["train", "r", "--model=m", "--text=t", "--site=mlp"], "attention_out"),
        (
            ["train", "r", "--model=m", "--text=t", "--site=mlp_out", "--layers=0,1"],
            "layer 0 is the embedding output",
        ),
        (["encode", "r"], "one sentence"),
        (["examples", "r", "--top_n=0"], "top_n"),
    ],
)
def test_wrong_usage_is_code_2(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = _run(capsys, *arguments)
    assert code == 2
    assert message in out + err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"model": "/nowhere"}, "/nowhere"),
        ({"text": "/nowhere.txt"}, "/nowhere.txt"),
        ({"layers": "0,9"}, "between 0 and 2"),
        ({"layers": "1,9", "site": "attention_out"}, "between 1 and 2"),
        ({"window_length": 70}, "64 tokens"),
    ],
)
def test_bad_input_is_code_1_and_a_sentence(train, flags, message):
    code, _, err = train(**flags)
    assert code == 1
    assert message in err


def test_damaged_models_and_texts_are_named(train, toy_bert_folder, tmp_path, capsys):
    folder = tmp_path / "model"
    shutil.copytree(toy_bert_folder, folder)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    code, _, err = train(model=folder)
    assert code == 1 and "model.safetensors" in err
    weights.write_bytes(whole)

    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "t5"}))
    code, _, err = train(model=folder)
    assert code == 1 and "t5" in err and "bert, roberta" in err
    smaller = config | {"vocab_size": 20}
    (folder / "config.json").write_text(json.dumps(smaller))
    code, _, err = train(model=folder)
    assert code == 1 and "embeddings.word_embeddings.weight" in err
    (folder / "config.json").write_text(json.dumps(config))

    text = tmp_path / "latin1.txt"
    text.write_bytes("the bank of a café river".encode("latin-1") * 50)
    code, _, err = train(model=folder, text=text)
    assert code == 1 and "latin1.txt" in err and "17" in err
    assert "--replace_undecodable" in err
    code, _, err = train(model=folder, text=text, replace_undecodable="true")
    assert code == 0, err
    text.write_bytes(b"the bank")
    # One window: it is learnt from, and nothing is left to measure on.
    code, out, _ = train(path=tmp_path / "r4", text=text)
    assert code == 0 and "n/a" in out
    text.write_bytes(b"")
    code, _, err = train(path=tmp_path / "r3", text=text)
    assert code == 1 and "latin1.txt" in err


def test_other_weights_in_the_same_folder_are_noticed(
    train, toy_bert_folder, tmp_path, capsys
):
    folder = tmp_path / "model"
    shutil.copytree(toy_bert_folder, folder)
    assert train(model=folder)[0] == 0
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"] *= 1.5
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    for command in ("train", "examples"):
        code, _, err = _run(capsys, command, tmp_path / "run")
        assert code == 1 and "not those that" in err and str(folder) in err


def test_a_model_that_moved_can_be_followed(train, toy_bert_folder, tmp_path, capsys):
    run, old, new = tmp_path / "run", tmp_path / "old", tmp_path / "new"
    shutil.copytree(toy_bert_folder, old)
    assert train(model=old)[0] == 0
    before = (run / "dictionary.safetensors").read_bytes()
    old.rename(new)
    code, _, err = _run(capsys, "examples", run)
    assert code == 1 and f"tfvis train {run} --model=FOLDER" in err
    assert _run(capsys, "train", run, f"--model={new}", "--until=train")[0] == 0
    assert _run(capsys, "examples", run)[0] == 0
    tensors = "dictionary", "layer_scale"
    after = (run / "dictionary.safetensors").read_bytes()
    first, second = (safetensors.numpy.load(content) for content in (before, after))
    for name in tensors:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize(
    ("piece", "command", "message"),
    [
        ("tokens/00000.text", "export", "tfvis train"),
        ("tokens/00000.tokens.npy", "export", "tfvis train"),
        ("tokens/00000.windows.npy", "examples", "tfvis train"),
        ("tokens/index.json", "export", "index.json"),
        ("examples/activation.npy", "export", "tfvis examples"),
        ("examples/index.json", "export", "index.json"),
        ("dictionary.safetensors", "examples", "tfvis train"),
        ("report.json", "export", "report.json"),
        ("config.json", "examples", "config.json"),
    ],
)
def test_a_piece_cut_short_is_named_with_the_remedy(
    train, tmp_path, capsys, piece, command, message
):
    run = tmp_path / "run"
    assert train()[0] == 0
    assert _run(capsys, "examples", run, "--top_n=5")[0] == 0
    content = (run / piece).read_bytes()
    (run / piece).write_bytes(content[: len(content) // 2])
    arguments = ["--top_n=6"] if command == "examples" else []
    code, _, err = _run(capsys, command, run, *arguments)
    assert code == 1
    assert message in err and "unexpectedly" not in err


def test_a_full_disk_is_a_sentence_and_nothing_is_lost(
    train, tmp_path, capsys, monkeypatch
):
    run = tmp_path / "run"
    assert train()[0] == 0
    assert _run(capsys, "examples", run, "--top_n=5")[0] == 0
    before = {path: path.read_bytes() for path in (run / "examples").iterdir()}

    def full(*args, **kwargs):
        raise OSError("192000 requested and 77792 written")

    monkeypatch.setattr(np, "save", full)
    code, _, err = _run(capsys, "examples", run, "--top_n=6")
    assert code == 1 and "No space left" in err and "unexpectedly" not in err
    assert "memory" not in err
    assert {p: p.read_bytes() for p in (run / "examples").iterdir()} == before


def test_a_device_without_memory_is_a_sentence_with_what_to_lower(capsys, monkeypatch):
    def full(arguments):
        raise RuntimeError(
            "RESOURCE_EXHAUSTED: Out of memory allocating 4398046511104 bytes.\nStack"
        )

    real = dispatch._load("view")
    fake = type(real)(**(vars(real) | {"run": full}))
    monkeypatch.setattr(dispatch, "_load", lambda name: fake)
    code, _, err = _run(capsys, "view", "r")
    assert code == 1 and "Out of memory" in err and "4398046511104 bytes" in err
    for flag in ("--rows_per_step", "--windows_per_batch", "--n_factors", "--mesh"):
        assert flag in err
    assert "disk" not in err and "Stack" not in err


def test_help_shows_defaults_and_choices(capsys):
    _, out, _ = _run(capsys, "train", "--help")
    text = " ".join(out.split())
    assert "--n_factors=N Factors in the dictionary. (default: 1024)" in text
    assert "--[no]clean" in text and "(default: on)" in text
    assert (
        "spectral|working_set Algorithm" in text
        and "(default: RUN/checkpoints)" in text
    )
    # Settings without a flag are of the presets alone.
    assert "energy_floor" not in text


def test_older_names_of_commands_and_flags_still_work(train, tmp_path, capsys):
    assert _run(capsys, "activations", "--help")[1].startswith(
        "usage: tfvis hidden_states"
    )
    assert train(activations=tmp_path / "nowhere")[0] == 1
    code, _, err = train(hidden_states=tmp_path / "nowhere")
    assert code == 1 and "no complete hidden states" in err


def test_steps_out_of_order_say_what_is_missing(train, tmp_path, capsys):
    run = tmp_path / "run"
    for command in ("examples", "export", "view"):
        code, _, err = _run(capsys, command, run)
        assert code == 1 and "not a run directory" in err
    assert train()[0] == 0
    code, _, err = _run(capsys, "export", run)
    assert code == 1 and f"tfvis examples {run}" in err
    assert _run(capsys, "examples", run)[0] == 0
    (run / "report.json").unlink()
    code, _, err = _run(capsys, "export", run)
    assert code == 1 and f"tfvis train {run}" in err
    code, _, err = _run(capsys, "view", run, "--nobrowser")
    assert code == 1 and f"tfvis train {run}" in err


def test_hidden_states_that_are_not_finite_are_named_after_training_too(
    train, tmp_path, capsys, monkeypatch
):
    assert train()[0] == 0
    real = encoding.hidden_states_lib.scaled_hidden_states

    def poisoned(*args, **kwargs):
        return real(*args, **kwargs).at[1, 2, 3].set(np.nan)

    monkeypatch.setattr(encoding.hidden_states_lib, "scaled_hidden_states", poisoned)
    # What was compiled before does not know of it, nor may anything later.
    parallel_encoding._states_program.cache_clear()
    code, _, err = _run(capsys, "examples", tmp_path / "run")
    parallel_encoding._states_program.cache_clear()
    assert code == 1
    assert "layer 1 are not finite" in err and "windows [2]" in err
    assert not (tmp_path / "run" / "examples").exists()


def test_a_closed_pipe_is_no_failure_of_ours(tmp_path):
    root = pathlib.Path(__file__).parents[2]
    program = f"{sys.executable} -m tfvis_jax --help | true"
    done = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, cwd=root
    )
    assert done.stderr == ""


def test_a_failure_of_our_own_is_one_line_without_debug(capsys, monkeypatch):
    def broken(arguments):
        raise ZeroDivisionError("a bug")

    real = dispatch._load("view")
    fake = type(real)(**(vars(real) | {"run": broken}))
    monkeypatch.setattr(dispatch, "_load", lambda name: fake)
    code, _, err = _run(capsys, "view", "r")
    assert code == 1
    assert err.count("\n") == 1 and "--debug" in err
    assert cli.main(["view", "r", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_the_demo_says_what_it_needs(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_MODEL_PACKAGE", "no_such_package")
    code, _, err = _run(capsys, "demo", tmp_path / "demo")
    assert code == 1 and "make demo" in err
    assert not pathlib.Path(tmp_path / "demo").exists()

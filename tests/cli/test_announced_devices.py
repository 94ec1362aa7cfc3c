"""The devices of a command: named, and a sentence where they cannot be used."""

import json
import os
import subprocess
import sys

import pytest

from tfvis_jax import cli
from tfvis_jax.cli import dispatch
from tfvis_jax.reporting import devices

FLAGS = {
    "window_length": 12,
    "n_factors": 24,
    "rows_per_step": 64,
    "windows_per_batch": 8,
    "l1_penalty": 0.1,
}
_PROGRAM = """
import json, sys
from tfvis_jax import cli

for arguments in json.loads(sys.argv[1]):
    print("code", cli.main(arguments), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def run(toy_bert_folder, toy_corpus, tmp_path_factory):
    path = tmp_path_factory.mktemp("devices") / "run"
    flags = FLAGS | {"model": toy_bert_folder, "text": toy_corpus}
    assert (
        cli.main(["train", str(path), *(f"--{k}={v}" for k, v in flags.items())]) == 0
    )
    assert cli.main(["examples", str(path)]) == 0
    return path


def test_commands_and_reports_name_the_devices(run, capsys, monkeypatch):
    capsys.readouterr()
    found = devices.find()
    for name, *more in (
        ("train",),
        ("hidden_states",),
        ("examples",),
        ("levels",),
        ("evaluate", "--loss_windows=0"),
        ("encode", "the bank", "--json"),
    ):
        assert cli.main([name, str(run), *more]) == 0
        printed = capsys.readouterr()
        assert printed.err.count(f"devices: {found}\n") == 1, name
        assert "devices:" not in printed.out
    for report in ("report.json", "evaluation.json"):
        assert json.loads((run / report).read_text())["devices"] == found.as_json()
    monkeypatch.setattr(
        devices, "find", lambda: found._replace(fallback="An accelerator is idle.")
    )
    assert cli.main(["encode", str(run), "the bank"]) == 0
    assert "note: An accelerator is idle." in capsys.readouterr().err


@pytest.mark.parametrize("platform", ["cuda", "quantum"])
def test_a_platform_that_cannot_be_used_is_a_sentence(
    run, toy_bert_folder, toy_corpus, tmp_path, platform
):
    flags = [f"--{k}={v}" for k, v in FLAGS.items()]
    new = [f"--model={toy_bert_folder}", f"--text={toy_corpus}", *flags]
    # Nothing is trained where a dictionary was learned elsewhere.
    trains = "--n_factors=", "--rows_per_step=", "--l1_penalty="
    other = [flag for flag in new if not flag.startswith(trains)]
    labels = tmp_path / "labels.json"
    labels.write_text("{}")
    commands = [
        ["demo", str(tmp_path / "new")],
        ["plan", str(run)],
        ["train", str(run)],
        ["train", str(tmp_path / "new"), *new],
        [
            *("import", str(tmp_path / "new"), "--dictionary=none.npy"),
            *("--l1_penalty=0.2", *other),
        ],
        ["hidden_states", str(tmp_path / "new"), *new],
        ["evaluate", str(run)],
        ["codes", str(run), f"--text={toy_corpus}", f"--out={tmp_path / 'codes'}"],
        ["examples", str(run)],
        ["levels", str(run)],
        ["export", str(run)],
        ["export", str(run), "--format=csv", f"--out={tmp_path / 'tables'}"],
        ["figures", str(run), "--sentence=the bank"],
        ["encode", str(run), "the bank"],
        ["explain", str(run), "--factor=3"],
        ["steer", str(run), "the bank", "--factor=3", "--layer=1", "--by=1"],
        ["describe", str(run), "--factor=3"],
        ["labels", str(run), f"--import={labels}"],
        ["labels", str(run), f"--export={tmp_path / 'prompts.json'}"],
        ["label", str(run)],
    ]
    assert {name for name, *_ in commands} == set(dispatch._COMMANDS) - {
        "view",
        "verify",
        "publish",
        "cache",
    }
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(commands)],
        env=os.environ | {"JAX_PLATFORMS": platform},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stderr.splitlines()
    assert len(lines) == 2 * len(commands), done.stderr
    for said, code in zip(lines[::2], lines[1::2], strict=True):
        assert said.startswith("tfvis: JAX cannot use the devices that JAX_PLATFORMS=")
        assert code == "code 1"
    assert {path.name for path in tmp_path.iterdir()} == {"labels.json"}
